"""The backends among which a node's kube-proxy chooses.

Ready ones; where there is none, those that terminate and still serve (KEP-1669).  Of the ready ones, where each has a
hint and one is for this node or zone, those alone (``trafficDistribution``, ``topology-mode``, hints of slices).  With a
traffic policy ``Local`` the same of the node's own, without hints.

Limit of ``topology-mode: Auto``: every node counts as much, since nodes of a lab have no CPUs of their own; zones that
lack endpoints take as many as they need at least from those that have most.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from math import ceil

from netlab.model.cluster.services import Backend, Service

ZONE = "topology.kubernetes.io/zone"
AUTO, SAME_ZONE, SAME_NODE = "Auto", "PreferSameZone", "PreferSameNode"
_OVERLOAD = 1.2  # the controller's overloadThreshold: a zone's endpoints may get a fifth more than their share
_CONTROL_PLANE = ("node-role.kubernetes.io/control-plane", "node-role.kubernetes.io/master")


def distribution(spec: Mapping[str, object], annotations: Mapping[str, str]) -> str:
    """The traffic distribution of a Service; its annotation comes before its field."""
    mode = annotations.get("service.kubernetes.io/topology-mode") or annotations.get(
        "service.kubernetes.io/topology-aware-hints", ""
    )
    if mode in ("Auto", "auto"):
        return AUTO
    word = str(spec.get("trafficDistribution") or "")
    return SAME_ZONE if word == "PreferClose" else word


def weights(nodes: Iterable[Mapping[str, str]]) -> Mapping[str, int]:
    """How many nodes a zone has, by the labels of all nodes; none where one says no zone: Auto then gives no hints."""
    zones = [labels.get(ZONE, "") for labels in nodes if not any(label in labels for label in _CONTROL_PLANE)]
    counts = Counter(zones)
    return counts if "" not in counts and len(counts) > 1 else {}


def everywhere(service: Service, behind: Sequence[Backend], node: str, zone: str) -> list[Backend]:
    """The backends that a node chooses among with the policy Cluster, of those ``behind`` a port."""
    ready = [backend for backend in behind if service.counts_ready(backend)]
    if not ready:
        return [backend for backend in behind if backend.lasting]
    if service.zone_weights:
        ready = _allotted(service, ready)
    if all(backend.for_nodes for backend in ready) and (
        here := [backend for backend in ready if node in backend.for_nodes]
    ):
        return here
    if all(backend.for_zones for backend in ready) and (
        here := [backend for backend in ready if zone in backend.for_zones]
    ):
        return here
    return ready


def near(service: Service, behind: Sequence[Backend], node: str) -> list[Backend]:
    """The backends that a node chooses among with the policy Local."""
    own = [backend for backend in behind if backend.node == node]
    return [backend for backend in own if service.counts_ready(backend)] or [
        backend for backend in own if backend.lasting
    ]


def plain(service: Service, behind: Sequence[Backend]) -> bool:
    """Whether every node chooses among the same backends, and with Local among its own of them."""
    return not service.zone_weights and not any(
        backend.lasting or backend.for_nodes or backend.for_zones for backend in behind
    )


def _allotted(service: Service, ready: Sequence[Backend]) -> list[Backend]:
    """Auto's hints: each endpoint is for its own zone, but for some of zones that have more than their share."""
    total, nodes = len(ready), sum(service.zone_weights.values())
    least = {zone: ceil(count / nodes * total / _OVERLOAD) for zone, count in service.zone_weights.items()}
    if sum(least.values()) > total or any(not backend.zone for backend in ready):
        return list(ready)
    hints = {backend.address: backend.zone for backend in ready}
    for zone, wanted in sorted(least.items()):
        while (have := Counter(hints.values()))[zone] < wanted:
            rich = max(sorted(have), key=lambda other: have[other] - least.get(other, 0))
            hints[next(address for address, other in hints.items() if other == rich)] = zone
    return [replace(backend, for_zones=(hints[backend.address],)) for backend in ready]
