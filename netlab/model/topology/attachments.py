"""The Pods that the user's CNI plugins attach: what of them is the model's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from netlab.errors import Mark, Problem
from netlab.model import conflist
from netlab.model.cluster import Attachments, Network, Node, Pod
from netlab.model.topology.memory import Memory
from netlab.planes import REACHES


def of_plugins(
    named: object, text: Sequence[str], memory: Memory, mark: Mark | None
) -> tuple[Attachments | None, list[Problem]]:
    """The attachments where a Lab names plugins as its data plane, and what is wrong with their list.

    ``text``: the list's file and its text; empty where this command may not run the programs that a Lab names.
    """
    if not isinstance(named, Mapping):
        return None, []
    if not text:
        message = "netlab runs the programs that a Lab names in up, apply, delete and down alone, of a lab's own file"
        return None, [Problem(mark, "spec.dataplane.cni", message)]
    file, content = text
    try:
        plane = conflist.traits(conflist.read(file, content), named.get("reach", next(iter(REACHES))))
    except ValueError as error:
        return None, [Problem(mark, "spec.dataplane.cni", f"{file}: {error}")]
    return Attachments(file, content, plane, {}, memory.attached, mark), []


def with_pods(
    attachments: Attachments | None, pods: tuple[Pod, ...], nodes: Sequence[Node], networks: Sequence[Network], mtu: int
) -> tuple[Attachments | None, tuple[Pod, ...]]:
    """The attachments with the words of each node, and the Pods with the MAC addresses that plugins gave them."""
    if attachments is None:
        return None, pods
    words = {node.name: _words(node, networks, attachments, mtu) for node in nodes}
    there = attachments.pods
    pods = tuple(replace(pod, mac=there[str(pod)].mac) if str(pod) in there else pod for pod in pods)
    return replace(attachments, words=words), pods


def _words(node: Node, networks: Sequence[Network], attachments: Attachments, mtu: int) -> dict[str, str]:
    """What stands in a list for the words of a node (``conflist.EXAMPLE``)."""
    left = mtu - attachments.plane.overhead_of(each.version for each in node.addresses)
    words = {"node": node.name, "mtu": str(left), "nodeIP": str(node.addresses[0].ip)}
    for name, cidrs in (("podCIDR", node.pod_cidrs), ("clusterCIDR", networks)):
        words |= {name if each.version == 4 else f"{name}6": str(each) for each in cidrs}
    return words
