"""The candidates for a Service's backends: the lab's Pods, by label, and the endpoints of EndpointSlices."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

from netlab.model.cluster.services import Address, Backend, Service, ServicePort
from netlab.model.services import mirror
from netlab.model.services.choice import ZONE, weights
from netlab.spec import Document, Warning
from netlab.tuples import NamedTuple

if TYPE_CHECKING:
    from netlab.model.cluster import Pod


class Target(NamedTuple):
    """A Pod as a Service sees it.  ``ports``: (number, protocol, name)."""

    name: str
    namespace: str
    node: str
    addresses: tuple[Address, ...]
    labels: Mapping[str, str]
    ports: tuple[tuple[int, str, str], ...]
    hostname: str = ""
    has_hostname: bool = False
    subdomain: str = ""
    ready: bool = True

    @classmethod
    def of(cls, pod: Pod) -> Target:
        """A Pod of the lab."""
        return cls(
            str(pod),
            pod.namespace,
            pod.node,
            tuple(address.ip for address in pod.addresses),
            pod.labels,
            tuple((port.port, port.protocol, port.name) for port in pod.ports),
            pod.hostname,
            bool(pod.spec.get("hostname")),
            pod.subdomain,
            pod.ready,
        )

    def port(self, target: int | str, protocol: str) -> int:
        """The number that a targetPort means here; 0 for a name that no container has."""
        if isinstance(target, int):
            return target
        return next((port[0] for port in self.ports if port[2] == target and port[1] == protocol), 0)


class LabAddresses:
    """An index of Pods by label and of addresses.  ``others`` are those of nodes and hosts outside; ``nodes`` are the labels
    of all nodes.
    """

    def __init__(
        self,
        pods: Iterable[Target],
        others: Iterable[Address],
        nodes: Mapping[str, Mapping[str, str]] | None = None,
    ) -> None:
        self.zones = {name: labels.get(ZONE, "") for name, labels in (nodes or {}).items()}
        self.zone_weights = weights((nodes or {}).values())
        self._by_label: dict[tuple[str, str, str], list[Target]] = {}
        self._pods: dict[Address, str] = {}
        self._others = dict.fromkeys(others)
        for pod in pods:
            for item in pod.labels.items():
                self._by_label.setdefault((pod.namespace, *item), []).append(pod)
            for address in pod.addresses:
                if address not in self._others:
                    self._pods.setdefault(address, pod.name)

    def addresses(self) -> Iterable[Address]:
        """The addresses of nodes and external hosts."""
        return self._others

    def selected(self, namespace: str, selector: Mapping[str, str]) -> list[Target]:
        """The Pods of a namespace that have all these labels, in document order; the rarest label is looked up."""
        lists = [self._by_label.get((namespace, *item), []) for item in selector.items()]
        wanted = selector.items()
        return [pod for pod in min(lists, key=len) if wanted <= pod.labels.items()]

    def pod_at(self, address: Address) -> str:
        """The Pod that has an address; "" for nodes, hosts outside and addresses outside the lab."""
        return self._pods.get(address, "")

    def has(self, address: Address) -> bool:
        """Whether a Pod, a node or a host outside has this address."""
        return address in self._others or address in self._pods


def of_slices(service: Service, slices: Sequence[Document], lab_addresses: LabAddresses) -> tuple[Backend, ...]:
    """The backends that EndpointSlices give a Service, in the lab or not."""
    joined = _Joined()
    for document in slices:
        if document.body["addressType"] not in service.families:
            continue
        numbers = tuple(_number(document, port) for port in service.ports)
        for endpoint in document.body.get("endpoints", ()):
            address = ip_address(endpoint["addresses"][0])  # proxies take the first alone
            joined.add(_backend(address, numbers, lab_addresses.pod_at(address), endpoint))
    return joined.backends()


def _number(document: Document, port: ServicePort) -> int:
    """The number that a slice gives a port of its Service, by the name; 0 where it has none."""
    for entry in document.body.get("ports", ()):
        if entry.get("name", "") == port.name and entry.get("protocol", "TCP") == port.protocol and "port" in entry:
            return int(entry["port"])
    return 0


def _backend(address: Address, numbers: tuple[int, ...], pod: str, endpoint: Mapping[str, Any]) -> Backend:
    conditions, hints = endpoint.get("conditions", {}), endpoint.get("hints", {})
    ready = conditions.get("ready", True)
    zones, nodes = (tuple(hint["name"] for hint in hints.get(key, ())) for key in ("forZones", "forNodes"))
    return Backend(
        address, numbers, pod, endpoint.get("nodeName", ""), endpoint.get("hostname", ""), ready,
        conditions.get("serving", ready), conditions.get("terminating", False), endpoint.get("zone", ""),
        zones, nodes, True,
    )  # fmt: skip


class _Joined:
    """The backends of several slices; slices that have parts of a backend's ports, in the same conditions, are one backend."""

    def __init__(self) -> None:
        self._by_rest: dict[Backend, list[tuple[int, ...]]] = {}  # without its ports -> its ports

    def add(self, backend: Backend) -> None:
        """Add a backend, or its ports to one that is there."""
        kept = self._by_rest.setdefault(replace(backend, ports=()), [])
        for index, ports in enumerate(kept):
            pairs = list(zip(ports, backend.ports, strict=True))
            if not any(a and b and a != b for a, b in pairs):
                kept[index] = tuple(a or b for a, b in pairs)
                return
        kept.append(backend.ports)

    def backends(self) -> tuple[Backend, ...]:
        """In the order in which they came first."""
        return tuple(replace(rest, ports=ports) for rest, kept in self._by_rest.items() for ports in kept)


def outside_warnings(document: Document, lab_addresses: LabAddresses) -> Iterator[Warning]:
    """Warnings for the addresses of a slice or of Endpoints that are not in the lab."""
    pairs = mirror.addresses(document) if document.kind == "Endpoints" else _addresses(document)
    for text, path in pairs:
        if not lab_addresses.has(ip_address(text)):
            message = (
                f"{document.kind} {document.namespace}/{document.name}: no Pod, node or external host of this lab has "
                f"{text}; declare a host with this address under external: of the Lab if it should answer"
            )
            yield Warning("endpoint-outside-lab", message, document.at(*path), str(document))


def _addresses(document: Document) -> Iterator[tuple[str, tuple[str | int, ...]]]:
    if document.body["addressType"] == "FQDN":
        return
    for number, endpoint in enumerate(document.body.get("endpoints", ())):
        yield endpoint["addresses"][0], ("endpoints", number, "addresses", 0)


def port_names(slices: Sequence[Document]) -> tuple[str, ...]:
    """The names of the ports that slices have, each once; "" of a port without a name."""
    return tuple(dict.fromkeys(port.get("name", "") for document in slices for port in document.body.get("ports", [])))


def of_slices_warnings(document: Document, service: Service | None) -> list[Warning]:
    """The warning about a slice that belongs to no Service."""
    name = mirror.service_of(document)[1]
    if service is not None:
        return []
    message = (
        f"EndpointSlice {document.namespace}/{document.name} is of Service {name}, which is not there"
        if name
        else f"EndpointSlice {document.namespace}/{document.name} has no label {mirror.SERVICE_LABEL}: it is of no Service"
    )
    return [Warning("endpointslice-without-service", message, document.mark, str(document))]
