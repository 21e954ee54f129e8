"""Predicates on data planes: where a fault makes sense."""

from __future__ import annotations

from netlab.planes import ETHERNET_IN_UDP, Encapsulation, Plane


def crossing(plane: Plane) -> bool:
    """Pods of different nodes reach each other."""
    return plane.crosses_nodes


def routed(plane: Plane) -> bool:
    """Nodes route between the Pods of different nodes."""
    return plane.crosses_nodes and not plane.flat


def routed_apart(plane: Plane) -> bool:
    """A node has a route for each other node's Pods."""
    return routed(plane) and not plane.whole_network


def dual(plane: Plane) -> bool:
    """Nodes route both families between them."""
    return routed(plane) and "IPv6" in plane.families


def direct(plane: Plane) -> bool:
    """The network between the nodes sees Pods' addresses."""
    return plane.crosses_nodes and not plane.encapsulates


def in_udp(plane: Plane) -> bool:
    """Packets between nodes travel in UDP."""
    return plane.udp_port != 0


def tunnelled(plane: Plane) -> bool:
    """Nodes route into a tunnel device."""
    return plane.encapsulates and not plane.flat


def framed(plane: Plane) -> bool:
    """Tunnels carry frames, with static neighbours."""
    return plane.encapsulation in ETHERNET_IN_UDP and not plane.flat


def ethernet_in_udp(plane: Plane) -> bool:
    """Tunnels carry frames."""
    return plane.encapsulation in ETHERNET_IN_UDP


def static_vxlan(plane: Plane) -> bool:
    """VXLAN with forwarding entries that a node is told."""
    return plane.encapsulation is Encapsulation.VXLAN and not plane.flat


def bridged(plane: Plane) -> bool:
    """The Pods of a node share a bridge."""
    return bool(plane.bridge)


def bridged_and_routed(plane: Plane) -> bool:
    """The bridge of a node's Pods is their gateway."""
    return bool(plane.bridge) and routed(plane)


def host_routes(plane: Plane) -> bool:
    """A node has a route for each of its Pods."""
    return not plane.bridge


def proxy_arp(plane: Plane) -> bool:
    """The Pods' gateway is an address that no interface has."""
    return not plane.bridge and not plane.veth_gateways


def ipip(plane: Plane) -> bool:
    """Packets between nodes are IP in IP."""
    return plane.encapsulation is Encapsulation.IPIP


def wireguard(plane: Plane) -> bool:
    """Packets between nodes are WireGuard's."""
    return plane.encapsulation is Encapsulation.WIREGUARD


def bridged_and_routed_apart(plane: Plane) -> bool:
    """The bridge of a node's Pods is their gateway, and a node has a route for each other node's Pods."""
    return bool(plane.bridge) and routed_apart(plane)
