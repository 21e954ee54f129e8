"""``wireguard``: what flanneld makes with the backend wireguard: cni0, flannel-wg, a peer for each other node.

A device a family (flannel-wg on UDP 51820, flannel-wg-v6 on 51821), with the Pod CIDR's network address as a host
address, and one route to the Pods' whole network.  Which peer gets a packet is decided by the peers' allowed addresses,
a second routing table.  The MTU is the underlay's less 80 for both families (pkg/backend/wireguard).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from netlab.model import Cluster, Node, Pod
from netlab.objects import Addr, Obj, Route, Sysctl
from netlab.objects.tunnels import WgPeer, WireGuard
from netlab.plan.dataplanes import cni_bridge, flannel_vxlan, tunnels
from netlab.plan.dataplanes.base import Dataplane
from netlab.plan.dataplanes.far import Far
from netlab.plan.why import node_why, pair_why

_DEVICE = {4: "flannel-wg", 6: "flannel-wg-v6"}


def _port(version: int, cluster: Cluster) -> int:
    return cluster.plane.udp_port + (version == 6)


class WireGuardPlane:
    """flannel with its backend wireguard."""

    def node(self, here: Node, cluster: Cluster) -> Iterator[Obj]:
        """cni0, a device a family with its route, flannel's rules."""
        why = node_why(here)
        yield from cni_bridge.bridge(here, cluster)
        for number, (own, network) in enumerate(zip(here.pod_cidrs, cluster.pod_cidrs, strict=True)):
            version, dev = own.version, _DEVICE[own.version]
            mtu = cluster.mtu - cluster.plane.overhead[version]
            # The kernel gives such a device no link-local address, whatever the family.
            common = (here.netns, dev, "", mtu, tunnels.INDEX + number, "none", cluster.offload)
            yield WireGuard(*common, port=_port(version, cluster), why=why)
            # The driver itself sets this when the device goes up.
            yield Sysctl(here.netns, f"net.ipv4.conf.{dev}.send_redirects", "0", dev, why=why)
            yield Addr(here.netns, dev, f"{own.network_address}/{own.max_prefixlen}", why=why)
            if len(cluster.nodes) > 1:
                yield Route(here.netns, str(network), dev=dev, scope="link", why=why)
        yield from flannel_vxlan.rules(here, cluster)

    def attach(self, pod: Pod, here: Node, cluster: Cluster) -> Iterable[Obj]:
        """As every backend of flannel."""
        return flannel_vxlan.PLANE.attach(pod, here, cluster)

    def reach(self, here: Node, there: Far, cluster: Cluster) -> Iterator[Obj]:
        """The peer, by which its Pods' addresses are reached."""
        why = pair_why(here, there.node)
        for version, cidr, address in zip(there.versions, there.cidrs, there.addresses, strict=True):
            outer = f"[{address}]" if version == 6 else address
            endpoint = f"{outer}:{_port(version, cluster)}"
            yield WgPeer(here.netns, _DEVICE[version], there.node.netns, endpoint, (cidr,), why=why)


PLANE: Dataplane = WireGuardPlane()
