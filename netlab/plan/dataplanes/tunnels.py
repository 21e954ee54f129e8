"""VXLAN devices on eth0, as every overlay here makes one or two a node."""

from __future__ import annotations

from collections.abc import Iterator

from netlab.model import Cluster, Interface, Node
from netlab.objects import Addr, Obj, Vxlan
from netlab.plan.underlay import addrgen
from netlab.plan.why import node_why

INDEX = 4  # the device's interface index; a second one has the next


def device(
    here: Node, cluster: Cluster, name: str, mac: str, mtu: int, *, vni: int, outer: Interface | None = None,
    index: int = INDEX, learning: bool = False
) -> Vxlan:  # fmt: skip
    """The device; ``outer`` is the node's address on its outer packets (else its first)."""
    return Vxlan(
        here.netns,
        name,
        mac,
        mtu,
        index,
        addrgen(cluster),
        cluster.offload,
        vni=vni,
        local=str((outer or here.addresses[0]).ip),
        lower="eth0",
        port=cluster.plane.udp_port,
        learning=learning,
        why=node_why(here),
    )


def by_family(
    here: Node, cluster: Cluster, devices: dict[int, tuple[str, int]], macs: dict[int, str], *, vni: int
) -> Iterator[Obj]:
    """A device a family (name and index by IP version), with the first address of the node's Pod CIDR."""
    for address, cidr in zip(here.addresses, here.pod_cidrs, strict=True):
        name, index = devices[address.version]
        mtu = cluster.mtu - cluster.plane.overhead[address.version]
        mac = macs[address.version]
        yield device(here, cluster, name, mac, mtu, vni=vni, outer=address, index=index)
        yield Addr(here.netns, name, f"{cidr.network_address}/{cidr.max_prefixlen}", why=node_why(here))
