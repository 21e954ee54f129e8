"""Ports of a policy's rules that open nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from netlab.errors import Mark
from netlab.lint.subject import Subject, rules_of
from netlab.model import Pod
from netlab.model.policies import INGRESS, PodPeer, Policy, PortMatch, Rule
from netlab.model.services_types import Service, ServicePort
from netlab.near import near
from netlab.spec import Warning


def unknown_name(subject: Subject) -> Iterator[Warning]:
    """A port's name that no Pod in question has."""
    selection = subject.selection
    for policy in subject.policies:
        for rule in rules_of(policy):
            pods = selection.members(policy.subject) if rule.direction == INGRESS else selection.pods
            written = {port.name for port in rule.ports}
            for port in rule.ports:
                if not port.name or not pods or any(True for _ in selection.holders(port.name, port.protocol, pods)):
                    continue
                names = {
                    entry.name for pod in pods for entry in pod.ports if entry.name and entry.protocol == port.protocol
                }
                whom = "Pod that the policy selects" if rule.direction == INGRESS else "Pod"
                hint = near(port.name, sorted(names - written)) if not names & written else ""
                message = f"no {whom} has a port {port}{hint}"
                yield _warning(policy, rule, "port-name-unknown", message)


def of_services(subject: Subject) -> Iterator[Warning]:
    """A Service's port where the port of the Pods behind it is meant: rules see packets after the translation."""
    for policy in subject.policies:
        for rule in rules_of(policy):
            pods = _targets(policy, rule, subject)
            for port in rule.ports:
                if port.first is None or port.first != port.last or not pods:
                    continue
                if found := _translated(port, rule, pods, subject):
                    service, entry, numbers = found
                    targets = ", ".join(f"{number}/{entry.protocol}" for number in numbers)
                    message = (
                        f"port {port} matches no packet: it is the port of Service {service}, and rules see the port of its "
                        f"Pods, {targets}"
                    )
                    yield _warning(policy, rule, "port-of-service", message)


def _warning(policy: Policy, rule: Rule, code: str, says: str) -> Warning:
    mark = rule.mark or policy.mark or Mark("", 0)
    return Warning(code, f"NetworkPolicy {policy} {rule}: {says}", mark, f"NetworkPolicy {policy}")


def _targets(policy: Policy, rule: Rule, subject: Subject) -> Sequence[Pod]:
    """The Pods whose ports the rule opens; none where it opens ports of addresses or of everybody."""
    if rule.direction == INGRESS:
        return subject.selection.members(policy.subject)
    peers = [peer for peer in rule.peers if isinstance(peer, PodPeer)]
    if len(peers) < len(rule.peers) or not all(peer.pods.requirements for peer in peers):
        return ()
    return tuple({str(pod): pod for peer in peers for pod in subject.selection.members(peer)}.values())


def _translated(
    port: PortMatch, rule: Rule, pods: Sequence[Pod], subject: Subject
) -> tuple[Service, ServicePort, list[int]] | None:
    """The Service whose port this is, with the ports behind it, where nobody has that port and the rule opens no other
    of them.
    """
    if any(
        (one.port, one.protocol, one.declared) == (port.first, port.protocol, True) for pod in pods for one in pod.ports
    ):
        return None
    names = {str(pod): pod for pod in pods}
    for service in subject.services_at(port.first or 0, port.protocol):
        behind = [(names[backend.pod], backend.ports) for backend in service.backends if backend.pod in names]
        for number, entry in enumerate(service.ports):
            if (entry.port, entry.protocol) != (port.first, port.protocol) or service.headless:
                continue
            targets = sorted({ports[number] for _, ports in behind if ports[number]} - {port.first})
            opened = any(_opens(rule, pod, ports[number], entry.protocol, subject) for pod, ports in behind)
            if targets and not opened:
                return service, entry, targets
    return None


def _opens(rule: Rule, pod: Pod, number: int, protocol: str, subject: Subject) -> bool:
    """Whether a rule opens a port of a Pod."""
    return any(
        subject.selection.named_port(pod, port.name, protocol) == number
        if port.name
        else port.first is None or port.first <= number <= (port.last or port.first)
        for port in rule.ports
        if port.protocol == protocol
    )
