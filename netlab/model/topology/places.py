"""Namespaces and their owners, as documents have them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from netlab.model.cluster import Cluster
from netlab.output.places import Place


def places(cluster: Cluster, namespaces: Iterable[str] | None = None) -> dict[str, Place]:
    """The owner of each namespace of a lab; ``namespaces``: of these alone, less those that the lab does not have."""
    wanted = None if namespaces is None else frozenset(namespaces)
    return {netns: place for netns, place in _all(cluster) if wanted is None or netns in wanted}


def _all(cluster: Cluster) -> Iterator[tuple[str, Place]]:
    under = cluster.underlay
    yield under.netns, Place(kind="underlay", name="underlay")
    for rack in under.racks:
        yield rack.netns, Place(kind="router", name=rack.name)
    for host in cluster.external:
        yield host.netns, Place(kind="external", name=host.name)
    for node in cluster.nodes:
        yield node.netns, Place(kind="node", name=node.name, rack=node.rack or None)
    for pod in cluster.pods:
        if not pod.host_network:  # else it has its node's
            yield pod.netns, Place(kind="pod", name=str(pod), node=pod.node)
