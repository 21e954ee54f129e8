"""The lab of manifests without a Lab: its nodes are those that the Pods ask for, and one for the API server.

A node reaches its own Pods always, whatever their policies.  So the API server's node takes no other Pods, unless they
tolerate its taint.  Routers know the Pods' routes: hosts outside then reach Pods by their own addresses, as a load
balancer would let them, and only policies decide.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from netlab.model.build import CHOSEN_NODES
from netlab.model.topology.nodes import KUBELETS
from netlab.model.workloads.nodefit import REQUIRED
from netlab.model.workloads.templates import WORKLOADS
from netlab.planes import OF_MANIFESTS
from netlab.spec import Document, Text
from netlab.tuples import NamedTuple

FILE = "(default lab)"
CONTROL_PLANE = "control-plane"
INTERNET, METADATA = "internet", "metadata"
ADDRESSES = {INTERNET: ("203.0.113.10", "2001:db8::10"), METADATA: ("169.254.169.254",)}
BLOCK = "block-"  # how the names of hosts begin that stand for an ipBlock
LEAST, MOST = 2, 5  # nodes besides the API server's

_ROLES = ("node-role.kubernetes.io/control-plane", "node-role.kubernetes.io/master")
_HOSTNAME, _ZONE, _REGION = (
    "kubernetes.io/hostname",
    "topology.kubernetes.io/zone",
    "topology.kubernetes.io/region",
)
_PORTS = ("80", "443")


class Host(NamedTuple):
    """A host outside that stands for an ipBlock, and the ports that it serves (``5432``, ``53/UDP``)."""

    name: str
    address: str
    ports: tuple[str, ...]


def text(objects: Iterable[Document], ports: Iterable[str] = (), hosts: Iterable[Host] = ()) -> Text:
    """The Lab document for these objects; the host ``internet`` serves ``ports`` besides 80 and 443."""
    documents = tuple(objects)
    dual = any(_dual(document) for document in documents if document.kind == "Service")
    families = ("IPv4", "IPv6") if dual else ("IPv4",)
    named = any(document.kind == "Node" for document in documents)
    spec = {
        "dataplane": OF_MANIFESTS,
        "containers": "respond",
        "dns": "on",
        "ipFamilies": list(families),
        "underlay": {"kind": "routed", "learnsPodRoutes": True},
        "nodes": [_control_plane(), *([] if named else _nodes(documents))],
        "external": [
            {"name": name, "addresses": list(addresses[: len(families)]), "ports": [_port(port) for port in served]}
            for (name, addresses), served in (
                ((INTERNET, ADDRESSES[INTERNET]), dict.fromkeys((*_PORTS, *ports))),
                ((METADATA, ADDRESSES[METADATA]), {"80": None}),
                *(((host.name, (host.address,)), dict.fromkeys(host.ports)) for host in hosts),
            )
        ],
    }
    metadata = {"name": "test", "annotations": {CHOSEN_NODES: "true"}}
    lab = {"apiVersion": "netlab/v1", "kind": "Lab", "metadata": metadata, "spec": spec}
    return Text(FILE, json.dumps(lab, indent=1))


def _port(port: str) -> int | str:
    return int(port) if port.isdigit() else port


def _control_plane() -> dict[str, Any]:
    return {
        "name": CONTROL_PLANE,
        "labels": {_ROLES[0]: ""},
        "taints": [{"key": _ROLES[0], "effect": "NoSchedule"}],
    }


def _dual(service: Document) -> bool:
    spec = service.body.get("spec", {})
    return spec.get("ipFamilyPolicy") == "RequireDualStack" or "IPv6" in spec.get("ipFamilies", ())


# -- nodes ------------------------------------------------------------------------------------------------------------


def _nodes(documents: Iterable[Document]) -> list[dict[str, Any]]:
    """The nodes that Pods ask for by name, by label and by keeping away from each other."""
    specs = [(document, spec) for document in documents for spec in _pod_specs(document)]
    names: dict[str, None] = {}
    wanted: dict[str, dict[str, None]] = {}
    apart = LEAST
    for document, spec in specs:
        if name := spec.get("nodeName"):
            names[str(name)] = None
        for key, value in _selected(spec):
            if key == _HOSTNAME:
                names[value] = None
            elif key not in _ROLES:
                # What the kubelet says comes first: a node with another system is one of several.
                wanted.setdefault(key, {KUBELETS[key]: None} if key in KUBELETS else {})[value] = None
        if _keeps_apart(spec):
            apart = max(apart, int(document.body.get("spec", {}).get("replicas", 1)))
    names.pop(CONTROL_PLANE, None)
    count = min(MOST, max(apart, *map(len, wanted.values()), 0))
    free = (f"node-{number}" for number in range(1, MOST + 1) if f"node-{number}" not in names)
    while len(names) < count:
        names[next(free)] = None
    return [{"name": name, "labels": _labels(number, wanted)} for number, name in enumerate(names)]


def _labels(number: int, wanted: Mapping[str, Mapping[str, None]]) -> dict[str, str]:
    """A node's labels: of each key that a Pod selects by, each value stands on a node, and the first on all others."""
    labels = {_REGION: "region-1", _ZONE: f"zone-{number + 1}"}
    for key, values in wanted.items():
        labels[key] = [*values][number if number < len(values) else 0]
    return labels


def _pod_specs(document: Document) -> Iterator[Mapping[str, Any]]:
    body = document.body.get("spec", {})
    if document.kind == "Pod":
        yield body
    elif document.kind in WORKLOADS:
        body = body.get("jobTemplate", {}).get("spec", {}) if document.kind == "CronJob" else body
        yield body.get("template", {}).get("spec", {})


def _selected(spec: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The labels that the node of a Pod must have."""
    yield from spec.get("nodeSelector", {}).items()
    required = spec.get("affinity", {}).get("nodeAffinity", {}).get(REQUIRED, {})
    for term in required.get("nodeSelectorTerms", ())[:1]:
        for expression in term.get("matchExpressions", ()):
            if expression["operator"] in ("In", "Exists"):
                yield expression["key"], str((expression.get("values") or ["true"])[0])


def _keeps_apart(spec: Mapping[str, Any]) -> bool:
    """Whether no two of these Pods fit on one node."""
    if spec.get("hostNetwork") or spec.get("affinity", {}).get("podAntiAffinity", {}).get(REQUIRED):
        return True
    ports = (port for container in spec.get("containers", ()) for port in container.get("ports", ()))
    return any("hostPort" in port for port in ports)
