"""Who can stand behind a Service: the lab's Pods, found by label, and the addresses of EndpointSlices."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from ipaddress import ip_address
from typing import TYPE_CHECKING, NamedTuple

from netlab.errors import Mark
from netlab.model.owners import controller
from netlab.model.services_choice import ZONE, weights
from netlab.model.services_types import Address, Backend, Service
from netlab.spec import Document, Warning

if TYPE_CHECKING:
    from netlab.model.cluster import Pod

SERVICE_LABEL = "kubernetes.io/service-name"
_MANAGED = "endpointslice.kubernetes.io/managed-by"
Complain = Callable[[Mark | None, str, str], None]


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
            tuple(one.ip for one in pod.addresses),
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
        return next((one[0] for one in self.ports if one[2] == target and one[1] == protocol), 0)


class Known:
    """An index: Pods by label, and who has an address.  ``others`` are the addresses of nodes and hosts outside, ``nodes``
    the labels of all nodes.
    """

    def __init__(
        self,
        pods: Iterable[Target],
        others: Mapping[Address, str],
        nodes: Mapping[str, Mapping[str, str]] | None = None,
    ) -> None:
        self.zones = {name: labels.get(ZONE, "") for name, labels in (nodes or {}).items()}
        self.zone_weights = weights((nodes or {}).values())
        self._by_label: dict[tuple[str, str, str], list[Target]] = {}
        self._at: dict[Address, tuple[str, str]] = {address: ("", node) for address, node in others.items()}
        self._others = tuple(others)
        for pod in pods:
            for item in pod.labels.items():
                self._by_label.setdefault((pod.namespace, *item), []).append(pod)
            for address in pod.addresses:
                self._at.setdefault(address, (pod.name, pod.node))

    def addresses(self) -> Iterable[Address]:
        """Those of nodes and hosts outside."""
        return self._others

    def selected(self, namespace: str, selector: Mapping[str, str]) -> list[Target]:
        """The Pods of a namespace that have all these labels, in document order; the rarest label is looked up."""
        lists = [self._by_label.get((namespace, *item), []) for item in selector.items()]
        wanted = selector.items()
        return [pod for pod in min(lists, key=len) if wanted <= pod.labels.items()]

    def at(self, address: Address) -> tuple[str, str] | None:
        """(Pod or "", node or "") of an address; None where nobody in the lab has it."""
        return self._at.get(address)


def of_slices(service: Service, slices: Sequence[Document], known: Known, complain: Complain) -> tuple[Backend, ...]:
    """The backends that EndpointSlices give a Service; an address that nobody has goes to ``complain``."""
    found: dict[Address, Backend] = {}
    for document in slices:
        if document.body["addressType"] == "FQDN":
            continue
        entries = document.body.get("ports", [])
        numbers = tuple(
            next(
                (
                    int(one["port"])
                    for one in entries
                    if one.get("name", "") == port.name
                    and one.get("protocol", "TCP") == port.protocol
                    and "port" in one
                ),
                0,
            )
            for port in service.ports
        )
        for place, endpoint in enumerate(document.body.get("endpoints", [])):
            for position, text in enumerate(endpoint.get("addresses", [])[:1]):
                address = ip_address(text)
                who = known.at(address)
                if who is None:
                    mark = document.at("endpoints", place, "addresses", position)
                    says = f"nobody in this lab has {text}: write a Pod's, a node's or an external host's address"
                    complain(mark, f"endpoints[{place}].addresses[{position}]", says)
                    continue
                if f"IPv{address.version}" not in service.families:
                    continue
                conditions = endpoint.get("conditions", {})
                ready = conditions.get("ready", True)
                node = endpoint.get("nodeName", "") or who[1]
                before = found.get(address)
                if before is not None:  # one address in two slices, each with a part of the ports
                    both = tuple(new or old for new, old in zip(numbers, before.ports, strict=True))
                    found[address] = replace(before, ports=both)
                    continue
                hints = endpoint.get("hints", {})
                found[address] = Backend(
                    address, numbers, who[0], node, endpoint.get("hostname", ""), ready,
                    conditions.get("serving", ready), conditions.get("terminating", False), endpoint.get("zone", ""),
                    *(tuple(one["name"] for one in hints.get(key, ())) for key in ("forZones", "forNodes")),
                )  # fmt: skip
    return tuple(found.values())


def of_slices_warnings(document: Document, service: Service | None) -> list[Warning]:
    """What is odd about a slice: it belongs to no Service, or to one that has a selector."""
    name = document.body["metadata"].get("labels", {}).get(SERVICE_LABEL, "")
    if service is None:
        says = (
            f"EndpointSlice {document.namespace}/{document.name} is of Service {name}, which is not there"
            if name
            else f"EndpointSlice {document.namespace}/{document.name} has no label {SERVICE_LABEL}: it is of no Service"
        )
        return [Warning("endpointslice-without-service", says, document.mark, str(document))]
    managed = _MANAGED in document.body["metadata"].get("labels", {})
    owned = controller(document) == ("Service", service.name)
    if service.selector and not managed and not owned:
        says = (
            f"EndpointSlice {document.namespace}/{document.name} is left out: "
            f"Service {service} has a selector, and its Pods decide"
        )
        return [Warning("endpointslice-left-out", says, document.mark, str(document))]
    return []
