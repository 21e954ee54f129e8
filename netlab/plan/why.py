"""Reasons: what in the cluster asks for an object, in one short sentence."""

from __future__ import annotations

from netlab.model import Node, Pod
from netlab.objects import Why


def node_why(node: Node) -> Why:
    """The reason recorded on objects that exist for this node."""
    return Why(f"Node {node.name}", node.mark)


def pod_why(pod: Pod) -> Why:
    """The reason recorded on objects that exist for this Pod."""
    return Why(f"Pod {pod}" + (f" of {pod.owner}" if pod.owner else ""), pod.mark)


def pair_why(here: Node, there: Node) -> Why:
    """The reason recorded on objects that connect the Pods of two nodes."""
    return Why(f"Node {here.name} reaches the Pods of node {there.name}", there.mark or here.mark)
