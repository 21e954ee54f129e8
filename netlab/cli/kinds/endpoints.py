"""Endpoints and EndpointSlices: the backends of Services, as the API server returns and kubectl prints them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from netlab.cli.kinds import lines
from netlab.cli.kinds.kind import AGE, NAME, NONE, Column, Item, Kind, pairs
from netlab.cli.kinds.metadata import filled, with_uids, written
from netlab.cli.kinds.request import Request, Running
from netlab.cli.kinds.service import endpoint, first_endpoints
from netlab.cli.kinds.times import stamp
from netlab.names import short_hash

if TYPE_CHECKING:
    from netlab.model.cluster.services import Backend, Service

_WIDTH = 14  # columns of a field's name


@with_uids
def endpoints(request: Request) -> list[Item]:
    """The Endpoints that manifests have, and for each Service with a selector one of its first family."""
    running = request.running
    selecting = [service for service in running.cluster.services if service.kind != "ExternalName" and service.selector]
    names = {(service.namespace, service.name) for service in selecting}
    fields: Item = {"subsets": []}
    documents = [(namespace, fields | body) for namespace, body in written(request, "Endpoints", "")
                 if (namespace, body["metadata"]["name"]) not in names]  # fmt: skip
    return filled(documents, running) + [_endpoints(service, _born(service, running)) for service in selecting]


def _born(service: Service, running: Running) -> float:
    return running.born("Service", service.namespace, service.name)


def _endpoints(service: Service, since: float) -> Item:
    backends = [backend for backend in service.backends if f"IPv{backend.address.version}" == service.families[0]]
    subsets = []
    for numbers, group in _by_ports(backends).items():
        ready = [_address(backend) for backend in group if service.counts_ready(backend)]
        waiting = [_address(each) for each in group if not (service.counts_ready(each) or each.terminating)]
        subset: Item = {"addresses": ready} if ready else {}
        subset |= {"notReadyAddresses": waiting} if waiting else {}
        subsets.append(subset | {"ports": _ports(service, numbers)})
    metadata = {"name": service.name, "namespace": service.namespace, "labels": dict(service.labels)}
    metadata["creationTimestamp"] = stamp(since)
    return {"apiVersion": "v1", "kind": "Endpoints", "metadata": metadata, "subsets": subsets}


@with_uids
def slices(request: Request) -> list[Item]:
    """The EndpointSlices that manifests have or that mirror Endpoints, and one a family of each other Service."""
    from netlab.model.services.mirror import behind

    running = request.running
    fields: Item = {"endpoints": [], "ports": []}
    items = filled(((each.namespace, fields | each.body) for each in behind(running.objects).slices), running)
    for service in running.cluster.services:
        if service.kind != "ExternalName" and (service.selector or service.system):
            since = _born(service, running)
            items += [item for family in service.families for item in _slices(service, family, since)]
    return items


def _slices(service: Service, family: str, since: float) -> Iterator[Item]:
    from netlab.model.services.mirror import SERVICE_LABEL

    backends = [backend for backend in service.backends if f"IPv{backend.address.version}" == family]
    for numbers, group in (_by_ports(backends) or {(): []}).items():
        yield {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {
                "name": f"{service.name}-{short_hash(f'{service} {family} {numbers}', 5)}",
                "namespace": service.namespace,
                "labels": {**service.labels, SERVICE_LABEL: service.name},
                "creationTimestamp": stamp(since),
            },
            "addressType": family,
            "endpoints": [_slice_entry(service, backend) for backend in group],
            "ports": _ports(service, numbers),
        }


def _by_ports(backends: Iterable[Backend]) -> dict[tuple[int, ...], list[Backend]]:
    """The backends that a selector chose, by their port numbers."""
    groups: dict[tuple[int, ...], list[Backend]] = {}
    for backend in backends:
        if not backend.given:
            groups.setdefault(backend.ports, []).append(backend)
    return groups


def _slice_entry(service: Service, backend: Backend) -> Item:
    ready, serving = service.counts_ready(backend), backend.serving
    conditions = {"ready": ready, "serving": serving, "terminating": backend.terminating}
    entry: Item = {"addresses": [str(backend.address)], "conditions": conditions}
    hints = {"forZones": backend.for_zones, "forNodes": backend.for_nodes} if backend.ready else {}
    optional = {
        "hostname": backend.hostname,
        "nodeName": backend.node,
        "zone": backend.zone,
        "hints": {key: [{"name": name} for name in names] for key, names in hints.items() if names},
        "targetRef": _reference(backend),
    }
    return entry | {key: value for key, value in optional.items() if value}


def _address(backend: Backend) -> Item:
    optional = {"hostname": backend.hostname, "nodeName": backend.node, "targetRef": _reference(backend)}
    return {"ip": str(backend.address)} | {key: value for key, value in optional.items() if value}


def _reference(backend: Backend) -> Item:
    namespace, _, name = backend.pod.partition("/")
    return {"kind": "Pod", "namespace": namespace, "name": name} if backend.pod else {}


def _ports(service: Service, numbers: Sequence[int]) -> list[Item]:
    return [
        {**({"name": port.name} if port.name else {}), "port": number, "protocol": port.protocol}
        for port, number in zip(service.ports, numbers, strict=bool(numbers))
        if number
    ]


def _endpoints_cell(item: Item) -> str:
    with_ports = [
        endpoint(address["ip"], port["port"])
        for subset in item["subsets"]
        for port in subset.get("ports", [])
        for address in subset.get("addresses", [])
    ]
    without = [address["ip"] for subset in item["subsets"] if not subset.get("ports")
               for address in subset.get("addresses", [])]  # fmt: skip
    return first_endpoints(with_ports or without) or NONE


def _describe(request: Request, items: Sequence[Item]) -> Iterator[Iterable[str]]:
    yield from map(_description, items)


def _description(item: Item) -> Iterator[str]:
    metadata = item["metadata"]
    yield lines.field("Name", metadata["name"], _WIDTH)
    yield lines.field("Namespace", metadata["namespace"], _WIDTH)
    yield lines.field("Labels", pairs(metadata["labels"]), _WIDTH)
    yield lines.field("Annotations", NONE, _WIDTH)
    yield "Subsets:"
    for subset in item["subsets"]:
        for name, field in (("Addresses", "addresses"), ("NotReadyAddresses", "notReadyAddresses")):
            addresses = ",".join(address["ip"] for address in subset.get(field, ())) or NONE
            yield "  " + lines.field(name, addresses, 20)
        ports = [(port.get("name", "<unset>"), str(port["port"]), port.get("protocol", "TCP"))
                 for port in subset.get("ports") or ()]  # fmt: skip
        if ports:
            yield "  Ports:"
            yield from lines.table(("Name", "Port", "Protocol"), ports, indent=4)
        yield ""
    yield "Events:  <none>"


_COLUMNS = (NAME, Column("ENDPOINTS", _endpoints_cell), AGE)
ENDPOINTS = Kind("Endpoints", "endpoints", ("ep",), "", endpoints, _COLUMNS, _describe)


def _slice_ports(item: Item) -> str:
    return ",".join(str(port["port"]) for port in item["ports"] if "port" in port) or "<unset>"


def _slice_addresses(item: Item) -> str:
    return first_endpoints([entry["addresses"][0] for entry in item["endpoints"]]) or "<unset>"


_SLICE_COLUMNS = (
    NAME,
    Column("ADDRESSTYPE", lambda item: item["addressType"]),
    Column("PORTS", _slice_ports),
    Column("ENDPOINTS", _slice_addresses),
    AGE,
)
ENDPOINT_SLICE = Kind("EndpointSlice", "endpointslices", (), "discovery.k8s.io", slices, _SLICE_COLUMNS)
