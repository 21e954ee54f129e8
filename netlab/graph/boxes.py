"""A topology as nested boxes and wires, from which formats with a layout of their own are written."""

from __future__ import annotations

from collections.abc import Iterable

from netlab.output.graph import Graph
from netlab.tuples import NamedTuple


class Device(NamedTuple):
    """A device in a box; ``key`` is a word of letters, digits and underlines, unique in the topology."""

    key: str
    label: str


class Box(NamedTuple):
    """A namespace with its devices; the boxes of Pods are inside the box of their node."""

    key: str
    label: str
    devices: tuple[Device, ...]
    inside: tuple[Box, ...] = ()


class Edge(NamedTuple):
    """A wire; ``is_tunnel``: packets of the tunnel go over other wires."""

    left: str
    right: str
    is_tunnel: bool
    label: str = ""


def boxes(graph: Graph) -> list[Box]:
    """The boxes of a lab: nodes with their Pods, hosts outside, racks and the underlay."""
    made = []
    for node in graph.nodes:
        pods = [pod for pod in graph.pods if pod.node == node.name and not pod.host_network]
        inside = tuple(_box(graph, pod.netns, f"Pod {pod.namespace}/{pod.name}") for pod in pods)
        made.append(_box(graph, node.netns, f"node {node.name}", inside))
    made += [_box(graph, host.netns, f"host outside {host.name}") for host in graph.externals]
    made += [_box(graph, rack.netns, f"rack {rack.name}") for rack in graph.racks]
    made.append(_box(graph, graph.underlay.netns, "underlay"))
    return made


def edges(graph: Graph) -> Iterable[Edge]:
    """The wires, the ports of bridges, and the tunnels."""
    for wire in graph.wires:
        left, right = (key(end.netns, end.dev) for end in wire.ends)
        yield Edge(left, right, False, "down" if wire.state == "down" else "")
    for bridge in graph.bridges:
        for dev in bridge.ports:
            yield Edge(key(bridge.netns, dev), key(bridge.netns, bridge.dev), False)
    devices = {(tunnel.netns, tunnel.kind): tunnel.dev for tunnel in graph.tunnels}
    seen = set()
    for tunnel in graph.tunnels:
        for remote in tunnel.remotes:
            other = devices.get((remote.netns or "", tunnel.kind), "")
            ends = frozenset((key(tunnel.netns, tunnel.dev), key(remote.netns or "", other)))
            if other and len(ends) == 2 and ends not in seen:
                seen.add(ends)
                left, right = sorted(ends)
                yield Edge(left, right, True, f"{tunnel.kind} {tunnel.vni}" if tunnel.vni else tunnel.kind)


def key(netns: str, dev: str = "") -> str:
    """A word for a namespace or a device in it: two hexadecimal digits for each character that is neither letter nor digit."""
    return "_".join(
        "".join(char if char.isascii() and char.isalnum() else f"_{ord(char):02x}" for char in part)
        for part in (netns, dev)
        if part
    )


def _box(graph: Graph, netns: str, label: str, inside: tuple[Box, ...] = ()) -> Box:
    devices = tuple(
        Device(key(device.netns, device.dev), " ".join((device.dev, *device.addresses)))
        for device in graph.devices
        if device.netns == netns
    )
    return Box(key(netns), label, devices, inside)
