"""The interface of a data plane."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from netlab.model import Cluster, Node, Pod
from netlab.objects import Obj
from netlab.plan.dataplanes.far import Far


class Dataplane(Protocol):
    """Three pure functions from the cluster to objects.  The plane's traits are its row in ``netlab.planes``."""

    def node(self, here: Node, cluster: Cluster) -> Iterable[Obj]:
        """The objects of a node without Pods."""

    def attach(self, pod: Pod, here: Node, cluster: Cluster) -> Iterable[Obj]:
        """The objects that connect a Pod to its own node."""

    def reach(self, here: Node, there: Far, cluster: Cluster) -> Iterable[Obj]:
        """The objects with which a node reaches the Pods of another node."""
