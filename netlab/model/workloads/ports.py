"""The ports that Pods and external hosts serve.

A container answers on each port that it declares.  In a Pod that declares no port of a protocol, the responder also
replies on each port that a Service, a probe or a policy names.  Real charts leave out containerPort: 68 of 718
containers declare none although Services and policies name theirs.  The container listens all the same.  A Pod that
declares ports refuses the others, so that a wrong targetPort shows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from netlab.errors import Mark
from netlab.model.cluster import Pod, Port
from netlab.model.workloads.templates import Template, serving
from netlab.spec import Document, Warning
from netlab.spec.rules import matches
from netlab.tuples import NamedTuple

_PROBES = ("readinessProbe", "livenessProbe", "startupProbe")
_ACTIONS = ("httpGet", "tcpSocket", "grpc")


def declared(template: Template, warn: list[Warning]) -> list[Port]:
    """The containerPorts of a Pod; of two containers on one port the first answers, with a warning."""
    ports: dict[tuple[int, str], Port] = {}
    for container, where, index in serving(template.spec):
        for number, entry in enumerate(container.get("ports", [])):
            protocol = entry.get("protocol", "TCP")
            mark = template.at(where, index, "ports", number, "containerPort")
            port = Port(entry["containerPort"], protocol, entry.get("name", ""), container["name"], True, mark)
            first = ports.setdefault((port.port, protocol), port)
            if first is not port and first.container != port.container:
                warn.append(
                    Warning(
                        "port-clash",
                        f"containers {first.container} and {port.container} of Pod {template.namespace}/{template.name} "
                        f"both want port {port.port}/{protocol}; the first answers ({first.mark})",
                        mark,
                        str(template.document),
                    )
                )
    return list(ports.values())


def states(ports: Iterable[Port], protocol: str) -> bool:
    """Whether a Pod with these ports declares some of the protocol, so that it refuses all others."""
    return any(port.declared and port.protocol == protocol for port in ports)


class HostPort(NamedTuple):
    """A port of a Pod's node that leads to a container's; ``address`` is its hostIP, "" for all of the node's."""

    host_port: int
    port: int
    protocol: str
    address: str
    mark: Mark | None


def mapped(pod: Pod) -> Iterator[HostPort]:
    """The hostPorts of a Pod that is not on the host network and has not ended."""
    if pod.host_network or pod.ended:
        return
    marks = {(port.container, port.port, port.protocol): port.mark for port in pod.ports}
    for container, _, _ in serving(pod.spec):
        for entry in container.get("ports", []):
            if "hostPort" in entry:
                protocol = entry.get("protocol", "TCP")
                address = "" if entry.get("hostIP") in (None, "", "0.0.0.0", "::") else entry["hostIP"]
                mark = marks.get((container["name"], entry["containerPort"], protocol), pod.mark)
                yield HostPort(entry["hostPort"], entry["containerPort"], protocol, address, mark)


def node_ports(template: Template) -> tuple[HostPort, ...]:
    """The ports of its node itself that a Pod will have: its hostPorts, with hostNetwork all that it declares."""
    host = template.spec.get("hostNetwork")
    ports = []
    for container, where, index in serving(template.spec):
        for number, entry in enumerate(container.get("ports", [])):
            port = entry.get("hostPort", entry["containerPort"] if host else 0)
            if port:
                address = "" if entry.get("hostIP") in (None, "", "0.0.0.0", "::") else entry["hostIP"]
                mark = template.at(where, index, "ports", number, "containerPort" if host else "hostPort")
                ports.append(HostPort(port, entry["containerPort"], entry.get("protocol", "TCP"), address, mark))
    return tuple(ports)


def _probed(template: Template) -> list[Port]:
    ports = []
    for container, where, index in serving(template.spec):
        for probe in _PROBES:
            for action in _ACTIONS:
                entry = container.get(probe, {}).get(action)
                if entry and isinstance(entry.get("port"), int):
                    mark = template.at(where, index, probe, action, "port")
                    ports.append(Port(entry["port"], "TCP", "", container["name"], False, mark))
    return ports


def served(
    template: Template,
    own: Sequence[Port],
    labels: Mapping[str, str],
    services: Sequence[Document],
    policies: Sequence[Document],
) -> tuple[Port, ...]:
    """All ports that a Pod answers on, the declared ones (``own``) first."""
    ports = {(port.port, port.protocol): port for port in own}
    stated = {port.protocol for port in own}
    first = serving(template.spec)[0][0]["name"] if serving(template.spec) else ""

    def add(number: Any, protocol: str, by: Document, *path: str | int) -> None:
        if isinstance(number, int) and protocol not in stated and (number, protocol) not in ports:
            ports[number, protocol] = Port(number, protocol, "", first, False, by.at(*path))

    for port in _probed(template) if "TCP" not in stated else ():
        ports.setdefault((port.port, port.protocol), port)
    for service in services:
        spec = service.body.get("spec", {})
        selector = spec.get("selector")
        if service.namespace != template.namespace or not selector:
            continue
        if all(labels.get(key) == value for key, value in selector.items()):
            for index, entry in enumerate(spec.get("ports", [])):
                target = entry.get("targetPort", entry["port"])
                add(target, entry.get("protocol", "TCP"), service, "spec", "ports", index)
    for policy in policies:
        spec = policy.body.get("spec", {})
        if policy.namespace != template.namespace or not matches(spec.get("podSelector", {}), dict(labels)):
            continue
        for index, rule in enumerate(spec.get("ingress", [])):
            for number, entry in enumerate(rule.get("ports", [])):
                if "endPort" not in entry:
                    path = ("spec", "ingress", index, "ports", number)
                    add(entry.get("port"), entry.get("protocol", "TCP"), policy, *path)
    return tuple(ports.values())
