"""``calico-vxlan``: Calico with VXLAN always: device vxlan.calico, VNI 4096, UDP 4789, programmed by Felix.

The tunnel's address is the first of the node's first block; its MAC is 66 and five bytes of the SHA-1 of the node's
name (Felix' calc/vxlan_resolver.go).  Felix' routes are ``proto 80``.  Each family has a device of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from netlab.digest import sha1
from netlab.model import Cluster, Node, Pod
from netlab.objects import Fdb, Neigh, Obj, Route
from netlab.plan.dataplanes import calico_wiring, tunnels
from netlab.plan.dataplanes.base import Dataplane
from netlab.plan.dataplanes.far import Far
from netlab.plan.why import pair_why

VNI = 4096
FELIX = 80  # DefaultRouteProto
_DEVICE = {4: ("vxlan.calico", 4), 6: ("vxlan-v6.calico", 5)}  # name, index


def vtep_mac(node: str, version: int = 4) -> str:
    """66 and the first five bytes of the SHA-1 of the node's name (IPv6: with ``-v6`` behind it)."""
    digest = sha1(node if version == 4 else f"{node}-v6")
    return (b"\x66" + digest[:5]).hex(":")


class CalicoVxlan:
    """Calico, VXLAN always."""

    def node(self, here: Node, cluster: Cluster) -> Iterator[Obj]:
        """The device of each family, the node's blocks as blackholes, masquerading."""
        macs = {version: vtep_mac(here.name, version) for version in _DEVICE}
        yield from tunnels.by_family(here, cluster, _DEVICE, macs, vni=VNI)
        yield from calico_wiring.aggregates(here, cluster, FELIX)
        yield from calico_wiring.nat_outgoing(here, cluster)

    def attach(self, pod: Pod, here: Node, cluster: Cluster) -> Iterable[Obj]:
        """A cali veth and a host route."""
        return calico_wiring.attach(pod, here, cluster)

    def reach(self, here: Node, there: Far, cluster: Cluster) -> Iterator[Obj]:
        """``10.244.2.0/26 via 10.244.2.0 dev vxlan.calico onlink``, the neighbour and the forwarding entry."""
        why = pair_why(here, there.node)
        for version, address, vtep in zip(there.versions, there.addresses, there.firsts, strict=True):
            device, _ = _DEVICE[version]
            mac = vtep_mac(there.node.name, version)
            yield Neigh(here.netns, device, vtep, mac, why=why)
            yield Fdb(here.netns, device, mac, address, why=why)
            for block, its in there.blocks:
                if its == version:
                    yield Route(here.netns, block, via=vtep, dev=device, proto=FELIX, onlink=True, why=why)


PLANE: Dataplane = CalicoVxlan()
