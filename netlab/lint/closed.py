"""Ports that somebody serves and nobody may reach."""

from __future__ import annotations

from collections.abc import Iterator

from netlab.errors import Mark
from netlab.lint.peers import level_of_nobody
from netlab.lint.subject import Subject, opens
from netlab.model import Pod
from netlab.model.cluster.policies import INGRESS, Block, Policy, PortMatch, Rule
from netlab.model.cluster.services import Service, ServicePort
from netlab.spec import Warning
from netlab.spec.references import Reference

_NAMED = 3  # policies or ports that a line names before it only counts


def to_everybody(subject: Subject) -> Iterator[Warning]:
    """A port of a Service whose Pods are isolated, and no rule opens the port behind it to anybody.

    Peers that match nothing count as somebody where they are of another chart (a note), or misspelt (an error already).
    Nor is it said again where a rule has the Service's port, or a name that no Pod has: those are errors of their own.
    """
    for service in subject.services:
        for index, port in enumerate(service.ports):
            targets = _behind(service, index, subject)
            if targets and all(_is_closed(subject, pod, number, port) for pod, number in targets):
                yield _closed(service, port, *targets[0], subject)


def to_the_api_server(subject: Subject) -> Iterator[Warning]:
    """A Service that the API server calls, and whose Pods admit other Pods alone.

    The API server is on a node: a rule without peers or with any ipBlock may admit it, selectors never do.
    """
    services = {(service.namespace, service.name): service for service in subject.services}
    for reference in subject.documents.references:
        service = services.get((reference.namespace, reference.name)) if reference.by_api else None
        for index, port in enumerate(service.ports if service else ()):
            if service is None or port.port != reference.port or port.protocol != "TCP":
                continue
            for pod, number in _behind(service, index, subject):
                if subject.isolating(pod, INGRESS) and not _admits_nodes(subject, pod, number):
                    yield _no_api(reference, service, pod, number, subject)
                    break


def _behind(service: Service, index: int, subject: Subject) -> list[tuple[Pod, int]]:
    """The different Pods behind a port of a Service, each with its own port."""
    numbers = {backend.pod: backend.ports[index] for backend in service.backends}
    pods = subject.distinct(pod for pod in subject.behind(service) if not pod.host_network and not pod.ended)
    return [(pod, numbers[str(pod)]) for pod in pods if numbers.get(str(pod))]


def _rules(subject: Subject, pod: Pod, number: int, protocol: str) -> list[Rule]:
    """The rules that open a port of a Pod."""
    return [
        rule
        for policy in subject.isolating(pod, INGRESS)
        for rule in policy.ingress or ()
        if opens(rule, pod, number, protocol, subject.selection)
    ]


def _admits_nodes(subject: Subject, pod: Pod, number: int) -> bool:
    rules = _rules(subject, pod, number, "TCP")
    return any(not rule.peers or any(isinstance(peer, Block) for peer in rule.peers) for rule in rules)


def _is_closed(subject: Subject, pod: Pod, number: int, port: ServicePort) -> bool:
    policies = subject.isolating(pod, INGRESS)
    if not policies or any(
        _is_wrong(subject, policy, rule, port) for policy in policies for rule in policy.ingress or ()
    ):
        return False
    rules = _rules(subject, pod, number, port.protocol)
    return all(level_of_nobody(rule, subject) == "warning" for rule in rules)


def _is_wrong(subject: Subject, policy: Policy, rule: Rule, port: ServicePort) -> bool:
    """Whether a rule gives the Service's port instead of the Pods', or no more than names that its Pods do not have."""
    if port.target != port.port and any(port.port == match.first == match.last for match in rule.ports):
        return True
    if not rule.ports or not all(match.name for match in rule.ports):
        return False
    names = {(entry.name, entry.protocol) for pod in subject.members(policy.subject) for entry in pod.ports}
    return not any((match.name, match.protocol) in names for match in rule.ports)


def _closed(service: Service, port: ServicePort, pod: Pod, number: int, subject: Subject) -> Warning:
    policies = subject.isolating(pod, INGRESS)
    admitted = list(dict.fromkeys(each for policy in policies for rule in policy.ingress or () for each in rule.ports))
    whose = "its rules" if len(policies) == 1 else "their rules"
    but = f"{whose} admit {_ports(admitted)} alone" if admitted else "no rule admits anything"
    if _rules(subject, pod, number, port.protocol):
        but = "the peers of the rules that open it match no Pod"
    named = next((entry.name for entry in pod.ports if (entry.port, entry.protocol) == (number, port.protocol)), "")
    called = f" ({named})" if named else ""
    message = (
        f"port {number}/{port.protocol}{called} of Service {service} is closed to everybody: {_isolate(policies)} "
        f"{pod.owner or f'Pod {pod.name}'}, and {but}"
    )
    mark = port.mark or service.mark or Mark("", 0)
    return Warning("closed-port", message, mark, f"Service {service}")


def _no_api(reference: Reference, service: Service, pod: Pod, number: int, subject: Subject) -> Warning:
    message = (
        f"{reference.object} makes the API server call Service {service}, and it may not reach {number}/TCP there: "
        f"{_isolate(subject.isolating(pod, INGRESS))} {pod.owner or f'Pod {pod.name}'}, and no rule admits more than Pods"
    )
    return Warning("api-server-denied", message, reference.mark, f"Service {service}")


def _isolate(policies: tuple[Policy, ...]) -> str:
    names = [policy.name for policy in policies]
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    verb = "isolates" if len(names) == 1 else "isolate"
    return f"NetworkPolicy {', '.join(names[:_NAMED])}{more} {verb}"


def _ports(ports: list[PortMatch]) -> str:
    more = f" and {len(ports) - _NAMED} more" if len(ports) > _NAMED else ""
    return ", ".join(map(str, ports[:_NAMED])) + more
