"""The links of a lab as a drawer asks for them: host ends of Pods, masters of ports, addresses, tunnels by namespace.

No data plane is named: devices are those of the document.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import field

from netlab.output.graph import Graph, Node, Pod, Tunnel
from netlab.picture.scene import Interface
from netlab.values import dataclass

# The name by which people know a tunnel's kind, and the label of its chip where it has no VNI.
_KINDS = {"vxlan": "VXLAN", "geneve": "Geneve", "ipip": "IPIP", "wireguard": "WireGuard"}


@dataclass(slots=True)
class Wiring:
    """``peer`` is the other end of each veth, ``master`` the bridge of each port."""

    peer: dict[Interface, Interface] = field(default_factory=dict)
    master: dict[Interface, str] = field(default_factory=dict)
    addresses: dict[Interface, tuple[str, ...]] = field(default_factory=dict)
    tunnels: dict[str, list[Tunnel]] = field(default_factory=lambda: defaultdict(list))
    bridges: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    @classmethod
    def of(cls, graph: Graph) -> Wiring:
        """The links of a lab's document."""
        wiring = cls()
        for device in graph.devices:
            wiring.addresses[device.netns, device.dev] = device.addresses
            if device.peer:
                wiring.peer[device.netns, device.dev] = (device.peer.netns, device.peer.dev)
            if device.master:
                wiring.master[device.netns, device.dev] = device.master
        for tunnel in graph.tunnels:
            wiring.tunnels[tunnel.netns].append(tunnel)
        for bridge in graph.bridges:
            wiring.bridges[bridge.netns].append(bridge.dev)
        return wiring

    def host_end(self, pod: Pod) -> Interface:
        """The node's end of a Pod's veth pair; of a Pod on its node's network, names that no interface has."""
        return ("", "") if pod.host_network else self.peer.get((pod.netns, "eth0"), ("", ""))

    def bridge(self, node: Node) -> str:
        """The bridge of a node's Pods; empty where a route leads to each Pod."""
        return next(iter(self.bridges[node.netns]), "")

    def is_port(self, tunnel: Tunnel) -> bool:
        """Whether a tunnel's device is a port of a bridge."""
        return (tunnel.netns, tunnel.dev) in self.master


def chip_text(tunnel: Tunnel) -> str:
    """The text beside a tunnel's name."""
    return f"VNI {tunnel.vni}" if tunnel.kind in ("vxlan", "geneve") else _KINDS.get(tunnel.kind, tunnel.kind)


def tunnel_text(tunnel: Tunnel) -> str:
    """A tunnel in words."""
    name = _KINDS.get(tunnel.kind, tunnel.kind) + (f" {tunnel.vni}" if tunnel.kind in ("vxlan", "geneve") else "")
    return f"{name}, UDP {tunnel.port}" if tunnel.port else f"{name}, IP in IP"


def ip(address: str) -> str:
    """An address without its prefix's length."""
    return address.partition("/")[0]
