"""Endpoints objects as EndpointSlices: what the EndpointSliceMirroring controller makes of them, and which slices stay.

Proxies and DNS read slices alone.  The controller mirrors Endpoints of Services without selector, each family and list
of ports into a slice of its own, at most 1000 addresses of a subset; of a Service with one, a controller writes the
Endpoints anew.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from ipaddress import ip_address
from itertools import islice
from typing import Any

from netlab.model.workloads.owners import controller
from netlab.names import short_hash
from netlab.spec import Document, Warning
from netlab.tuples import NamedTuple

SERVICE_LABEL = "kubernetes.io/service-name"
_MANAGED_BY = "endpointslice.kubernetes.io/managed-by"
_CONTROLLER = "endpointslice-controller.k8s.io"
_MIRRORING = "endpointslicemirroring-controller.k8s.io"
_SKIP = "endpointslice.kubernetes.io/skip-mirror"
_LEADER = "control-plane.alpha.kubernetes.io/leader"
_TRIGGER = "endpoints.kubernetes.io/last-change-trigger-time"
_NOT_COPIED = (_TRIGGER, "kubectl.kubernetes.io/last-applied-configuration")
#: What the Endpoints controller leaves on what it writes, in a dump of a cluster.
_WRITTEN_BY_CONTROLLER = (_TRIGGER, "endpoints.kubernetes.io/managed-by")
_MOST = 1000
Place = tuple[str | int, ...]
Name = tuple[str, str]


class Behind(NamedTuple):
    """The documents that define the endpoints of Services.

    ``written``: the EndpointSlices that no controller would write anew.  ``mirrored``: the Endpoints that are mirrored,
    and ``mirrors`` their slices.
    """

    written: tuple[Document, ...]
    mirrored: tuple[Document, ...]
    mirrors: tuple[Document, ...]

    @property
    def slices(self) -> tuple[Document, ...]:
        """The slices that proxies see beside those of selectors."""
        return (*self.written, *self.mirrors)


def behind(objects: Sequence[Document]) -> Behind:
    """Among all documents of a lab."""
    kinds = ("Service", "Endpoints", "EndpointSlice")
    services, endpoints, slices = (tuple(obj for obj in objects if obj.kind == kind) for kind in kinds)
    return chosen(services, endpoints, slices)


def chosen(services: Sequence[Document], endpoints: Sequence[Document], slices: Sequence[Document]) -> Behind:
    """The EndpointSlices, and the Endpoints that are mirrored to slices."""
    selectors = {_name(service): bool(service.body.get("spec", {}).get("selector")) for service in services}
    there = {_name(document) for document in endpoints}
    mirrored = tuple(document for document in endpoints if _is_mirrored(document, selectors))
    written = tuple(document for document in slices if not _made_anew(document, selectors, there))
    return Behind(written, mirrored, tuple(each for document in mirrored for each in _mirror(document)))


def service_of(document: Document) -> Name:
    """Namespace and name of the Service whose slice or Endpoints this is; of a slice without the label the name is ""."""
    if document.kind == "Endpoints":
        return _name(document)
    return document.namespace, str(_labels(document).get(SERVICE_LABEL, ""))


def addresses(document: Document) -> Iterator[tuple[str, Place]]:
    """The addresses of Endpoints that are mirrored, each with its place."""
    for subset in range(len(document.body.get("subsets", ()))):
        for index, entry, _ in _of_subset(document, subset):
            yield entry["ip"], index


def warnings(document: Document, services: Mapping[Name, Document]) -> list[Warning]:
    """The warnings about an Endpoints object."""
    service, annotations = services.get(_name(document)), document.body["metadata"].get("annotations", {})
    written = {*annotations, *_labels(document)}
    noun = f"Endpoints {document.namespace}/{document.name}"
    messages = []
    if service is None and not written & {_LEADER, _SKIP}:
        messages.append(("endpoints-without-service", f"{noun} is of no Service: none of that name is there"))
    elif service is not None and _selects(service) and not written & {*_WRITTEN_BY_CONTROLLER, _LEADER}:
        message = f"{noun} is left out: the Service has a selector, and a controller would overwrite its Endpoints"
        messages.append(("endpoints-left-out", message))
    elif service is not None and _is_mirrored(document, {_name(document): _selects(service)}):
        most = max((_size(subset) for subset in document.body.get("subsets", ())), default=0)
        if most > _MOST:
            message = f"{noun} has a subset of {most} addresses: only the first {_MOST} are mirrored"
            messages.append(("endpoints-truncated", message))
    return [Warning(code, text, document.mark, str(document)) for code, text in messages]


def _name(document: Document) -> Name:
    return document.namespace, document.name


def _labels(document: Document) -> Mapping[str, str]:
    labels: Mapping[str, str] = document.body["metadata"].get("labels", {})
    return labels


def _selects(service: Document) -> bool:
    return bool(service.body.get("spec", {}).get("selector"))


def _size(subset: Mapping[str, Any]) -> int:
    return len(subset.get("addresses", ())) + len(subset.get("notReadyAddresses", ()))


def _is_mirrored(document: Document, selectors: Mapping[Name, bool]) -> bool:
    skipped = _labels(document).get(_SKIP) == "true" or _LEADER in document.body["metadata"].get("annotations", {})
    return selectors.get(_name(document)) is False and not skipped


def _made_anew(document: Document, selectors: Mapping[Name, bool], endpoints: set[Name]) -> bool:
    """Whether a controller of the lab's cluster has the say about this slice, which another cluster's wrote."""
    service, manager = service_of(document), _labels(document).get(_MANAGED_BY)
    if manager == _MIRRORING:
        return selectors.get(service, False) or service in endpoints
    owned = manager == _CONTROLLER or controller(document) == ("Service", service[1])
    return owned and selectors.get(service, False)


def _of_subset(document: Document, subset: int) -> Iterator[tuple[Place, Mapping[str, Any], bool]]:
    """The place, the address and its readiness, of those that the controller takes."""
    body = document.body["subsets"][subset]
    every = (
        (("subsets", subset, field, number, "ip"), entry, field == "addresses")
        for field in ("addresses", "notReadyAddresses")
        for number, entry in enumerate(body.get(field, ()))
    )
    return islice(every, _MOST)


def _mirror(document: Document) -> tuple[Document, ...]:
    """Subsets with the same ports share a slice a family."""
    groups: dict[tuple[str, str], tuple[list[Any], list[Any]]] = {}
    for number, subset in enumerate(document.body.get("subsets", ())):
        ports = [{"protocol": "TCP", "name": ""} | port for port in subset.get("ports", ())]
        key = repr(sorted((port["name"], port["protocol"], port["port"]) for port in ports))
        for _, entry, ready in _of_subset(document, number):
            family = f"IPv{ip_address(entry['ip']).version}"
            more = {field: entry[field] for field in ("hostname", "nodeName", "targetRef") if field in entry}
            endpoint = {"addresses": [entry["ip"]], "conditions": {"ready": ready}} | more
            ends = groups.setdefault((key, family), (ports, []))[1]
            if endpoint not in ends:
                ends.append(endpoint)
    return tuple(_slice(document, *key, *parts) for key, parts in groups.items())


def _slice(document: Document, key: str, family: str, ports: list[Any], ends: list[Any]) -> Document:
    written = document.body["metadata"]
    annotations = {key: value for key, value in written.get("annotations", {}).items() if key not in _NOT_COPIED}
    owner = {"apiVersion": "v1", "kind": "Endpoints", "name": document.name, "controller": True,
             "blockOwnerDeletion": True}  # fmt: skip
    name = f"{document.name}-{short_hash(f'{document} {family} {key}', 5)}"
    metadata: dict[str, Any] = {
        "name": name,
        "namespace": document.namespace,
        "labels": {**_labels(document), SERVICE_LABEL: document.name, _MANAGED_BY: _MIRRORING},
        **({"annotations": annotations} if annotations else {}),
        "ownerReferences": [owner],
    }
    version, kind = "discovery.k8s.io/v1", "EndpointSlice"
    body = {"apiVersion": version, "kind": kind, "metadata": metadata, "addressType": family, "endpoints": ends,
            "ports": ports}  # fmt: skip
    return Document(version, kind, document.namespace, name, body, document.mark)
