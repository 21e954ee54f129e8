"""Ports of a policy's rules that open nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from netlab.lint.subject import Subject, opens, rule_warning, rules_of
from netlab.model import Pod
from netlab.model.cluster.policies import INGRESS, PodPeer, Policy, PortMatch, Rule
from netlab.model.cluster.services import Service, ServicePort
from netlab.model.workloads.ports import states
from netlab.near import near
from netlab.spec import Warning

_LOOKED_AT = 20  # Pods behind a Service, which differ little


def unknown_name(subject: Subject) -> Iterator[Warning]:
    """A port's name that no Pod in question has.

    A note where the rule lists names of other charts beside the right one (http, https).
    """
    selection = subject.selection
    for policy in subject.policies:
        for rule in rules_of(policy):
            written = {port.name for port in rule.ports}
            if not any(written):
                continue
            pods = selection.members(policy.subject) if rule.direction == INGRESS else _named_pods(rule, subject)
            for port in rule.ports:
                if not port.name or not pods or any(True for _ in selection.holders(port.name, port.protocol, pods)):
                    continue
                names = {
                    entry.name for pod in pods for entry in pod.ports if entry.name and entry.protocol == port.protocol
                }
                whom = "Pod that the policy selects" if rule.direction == INGRESS else "Pod"
                hint = near(port.name, sorted(names - written)) if not names & written else ""
                other = any(
                    opens(rule, pod, entry.port, entry.protocol, selection) for pod in pods for entry in pod.ports
                )
                message = f"no {whom} has a port {port}{hint}"
                yield rule_warning(policy, rule, "port-name-unknown", message, "note" if other else "error")


def _named_pods(rule: Rule, subject: Subject) -> Sequence[Pod]:
    """The Pods that an egress rule may mean; none where it names networks or Pods that are not there."""
    if not rule.peers:
        return subject.selection.pods
    members = [subject.selection.members(peer) for peer in rule.peers if isinstance(peer, PodPeer)]
    complete = len(members) == len(rule.peers) and all(members)
    return tuple({str(pod): pod for pods in members for pod in pods}.values()) if complete else ()


def undeclared(subject: Subject) -> Iterator[Warning]:
    """A port's number that no selected Pod declares, while they declare others: nothing in the set answers there."""
    for policy in subject.policies:
        pods = subject.members(policy.subject)
        for rule in policy.ingress or ():
            for port in rule.ports:
                single = port.first is not None and port.first == port.last
                others = [pod for pod in pods if states(pod.ports, port.protocol)]
                if not single or not others or len(others) < len(pods):
                    continue
                if any(
                    (entry.port, entry.protocol) == (port.first, port.protocol) for pod in pods for entry in pod.ports
                ):
                    continue
                if _translated(port, policy, rule, pods, subject) is None:
                    message = f"no Pod that the policy selects declares port {port}"
                    yield rule_warning(policy, rule, "port-undeclared", message, "note")


def of_services(subject: Subject) -> Iterator[Warning]:
    """A Service's port where the port of the Pods behind it is meant: rules see packets after the translation."""
    for policy in subject.policies:
        for rule in rules_of(policy):
            pods = _targets(policy, rule, subject)
            for port in rule.ports:
                if port.first is None or port.first != port.last or not pods:
                    continue
                if translation := _translated(port, policy, rule, pods, subject):
                    service, entry, numbers = translation
                    targets = ", ".join(f"{number}/{entry.protocol}" for number in numbers)
                    message = (
                        f"port {port} matches no packet: it is the port of Service {service}, and rules see the port of its "
                        f"Pods, {targets}"
                    )
                    yield rule_warning(policy, rule, "port-of-service", message, "error")


def _targets(policy: Policy, rule: Rule, subject: Subject) -> Sequence[Pod]:
    """The Pods whose ports the rule opens; none where it opens ports of addresses or of everybody."""
    if rule.direction == INGRESS:
        return subject.selection.members(policy.subject)
    peers = [peer for peer in rule.peers if isinstance(peer, PodPeer)]
    if len(peers) < len(rule.peers) or not all(peer.pods.requirements for peer in peers):
        return ()
    return tuple({str(pod): pod for peer in peers for pod in subject.selection.members(peer)}.values())


def _translated(
    port: PortMatch, policy: Policy, rule: Rule, pods: Sequence[Pod], subject: Subject
) -> tuple[Service, ServicePort, list[int]] | None:
    """The Service whose port this is, with the ports behind it, where nobody has that port and no rule opens another of
    them to the same peers.
    """
    rules = [other for pod in pods[:_LOOKED_AT] for other in _beside(policy, rule, pod, subject)]
    if any(
        (declared.port, declared.protocol, declared.declared) == (port.first, port.protocol, True)
        for pod in pods
        for declared in pod.ports
    ):
        return None
    names = {str(pod): pod for pod in pods}
    for service in subject.services_at(port.first or 0, port.protocol):
        behind = [(names[backend.pod], backend.ports) for backend in service.backends if backend.pod in names]
        for number, entry in enumerate(service.ports):
            if (entry.port, entry.protocol) != (port.first, port.protocol) or service.headless:
                continue
            targets = sorted({ports[number] for _, ports in behind if ports[number]} - {port.first})
            opened = any(
                opens(other, pod, ports[number], entry.protocol, subject.selection)
                for pod, ports in behind[:_LOOKED_AT]
                for other in rules
            )
            if targets and not opened:
                return service, entry, targets
    return None


def _beside(policy: Policy, rule: Rule, pod: Pod, subject: Subject) -> Iterator[Rule]:
    """The rules that admit at least the same peers in the same direction; the rule itself is the first."""
    yield rule
    policies = subject.isolating(pod, INGRESS) if rule.direction == INGRESS else (policy,)
    for other in (each for candidate in policies for each in candidate.rules(rule.direction) or ()):
        if other is not rule and (not other.peers or (rule.peers and set(rule.peers) <= set(other.peers))):
            yield other
