"""Drift in a picture: a dashed red line where a way differs, a frame where an interface does."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_address, ip_network

from netlab.output.changes import Drift
from netlab.output.graph import Graph, Node
from netlab.output.page import Mark
from netlab.picture.scene import Point, Scene

_VERBS = {"create": "is missing", "delete": "is not the lab's", "update": "differs"}
_NEAR = 31  # the same, where the nodes stand under each other
_BEYOND = 45  # from a node's edge to the line between two nodes


def marks(operations: Iterable[Drift], graph: Graph, scene: Scene) -> tuple[Mark, ...]:
    """The marks of the operations of ``netlab diff``: words, the command that mends, and the place in the picture."""
    nodes = {node.netns: node for node in graph.nodes}
    made = []
    for operation in operations:
        netns, dev = operation.netns, operation.dev or operation.name
        anchor = scene.anchors.get((netns, dev))
        at = anchor.near((anchor.left + anchor.right) / 2) if anchor else None
        far = _far(operation, graph) if netns in nodes else None
        made.append(
            Mark(
                kind=operation.kind,
                netns=netns,
                name=operation.name,
                verb=_VERBS[operation.verb],
                why=operation.why,
                mend=operation.mend,
                at=at,
                line=_line(scene, at, netns, far, dev) if at and far else (),
            )
        )
    return tuple(made)


def _line(scene: Scene, at: Point, netns: str, far: Node, dev: str) -> tuple[Point, ...]:
    anchor = scene.anchors.get((far.netns, dev)) or scene.anchors.get((far.netns, "eth0"))
    if anchor is None:
        return ()
    x, y = anchor.near(anchor.left)
    if scene.lane is not None:
        level, far_level = (
            each - scene.inward.get(place, -1) * _NEAR for each, place in ((at[1], netns), (y, far.netns))
        )
        return (at, (at[0], level), (scene.lane, level), (scene.lane, far_level), (x, far_level), (x, y))
    level = at[1] - scene.inward.get(netns, -1) * _BEYOND
    return (at, (at[0], level), (x, level), (x, y - scene.inward.get(far.netns, -1) * _BEYOND), (x, y))


def _far(operation: Drift, graph: Graph) -> Node | None:
    """The other node that a route, a neighbour or a forwarding entry leads to."""
    text = operation.dst or operation.address or ""
    try:
        network = ip_network(text)
    except ValueError:
        return None
    for node in graph.nodes:
        inside = any(
            network.version == cidr.version and network.overlaps(cidr) for cidr in map(ip_network, node.pod_cidrs)
        )
        is_node = network.num_addresses == 1 and network[0] in map(ip_address, node.addresses)
        if node.netns != operation.netns and (inside or is_node):
            return node
    return None
