"""What a data plane is."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from netlab.model import Cluster, Node, Pod
from netlab.objects import Obj
from netlab.plan.dataplanes.far import Far


class Dataplane(Protocol):
    """Three pure functions from the cluster to objects.  The plane's traits are its row in ``netlab.planes``."""

    def node(self, here: Node, cluster: Cluster) -> Iterable[Obj]:
        """What a node has before any Pod is there."""

    def attach(self, pod: Pod, here: Node, cluster: Cluster) -> Iterable[Obj]:
        """What makes a Pod reachable from its own node."""

    def reach(self, here: Node, there: Far, cluster: Cluster) -> Iterable[Obj]:
        """What a node needs to reach the Pods of another."""
