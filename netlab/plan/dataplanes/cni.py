"""``cni``: the user's CNI plugins attach the Pods (``runtime.cni``); netlab has the ways between the nodes, if any.

``reach: host-gw`` is host-gw's route for each other node, ``vxlan`` the device and entries of vxlan, ``none`` nothing.
Masquerading is netlab's own, where the lab has an outside; a plugin's ``ipMasq`` comes before it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from netlab.model import Cluster, Node, Pod
from netlab.objects import Obj
from netlab.plan.dataplanes import cni_bridge, vxlan
from netlab.plan.dataplanes.base import Dataplane
from netlab.plan.dataplanes.far import Far


class Cni:
    """Plugins of the user's, and rows of netlab's planes between the nodes."""

    def node(self, here: Node, cluster: Cluster) -> Iterator[Obj]:
        """What leads to other nodes, and masquerading: no bridge, which is a plugin's."""
        if cluster.plane.encapsulates:
            yield from vxlan.tunnel(here, cluster)
        yield from cni_bridge.masquerading(here, cluster)

    def attach(self, pod: Pod, here: Node, cluster: Cluster) -> Iterable[Obj]:
        """Nothing: a plugin does it."""
        return ()

    def reach(self, here: Node, there: Far, cluster: Cluster) -> Iterable[Obj]:
        """The rows of the Lab's ``reach``."""
        if cluster.plane.encapsulates:
            return vxlan.PLANE.reach(here, there, cluster)
        return cni_bridge.routes_by_address(here, there) if cluster.plane.crosses_nodes else ()


PLANE: Dataplane = Cni()
