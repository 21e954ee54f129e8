"""``bridge``: cni0 and nothing else.  Pods of one node reach each other; no node knows the way to another's Pods."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from netlab.model import Cluster, Node, Pod
from netlab.objects import Obj
from netlab.plan.dataplanes import cni_bridge


class BridgeOnly:
    """The CNI plugin ``bridge`` by itself."""

    name = "bridge"
    summary = "Pods of a node share the bridge cni0; nothing leads to other nodes' Pods"
    bridged = True
    needs: tuple[str, ...] = ("veth", "bridge")

    def overhead(self, cluster: Cluster) -> int:
        """No encapsulation."""
        return 0

    def node(self, here: Node, cluster: Cluster) -> Iterator[Obj]:
        """cni0, and masquerading where there is an outside."""
        yield from cni_bridge.bridge(here, cluster, cluster.mtu)
        yield from cni_bridge.masquerading(here, cluster)

    def attach(self, pod: Pod, here: Node, cluster: Cluster) -> Iterable[Obj]:
        """A veth pair to cni0."""
        return cni_bridge.attach(pod, here, cluster, cluster.mtu)

    def reach(self, here: Node, there: Node, cluster: Cluster) -> Iterable[Obj]:
        """Nothing."""
        return ()
