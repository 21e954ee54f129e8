"""Nodes and namespaces: the kinds without a namespace."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from netlab.cli import out
from netlab.cli.kinds import lines, nodeready, podstatus
from netlab.cli.kinds.kind import AGE, NAME, NONE, Column, Item, Kind
from netlab.cli.kinds.metadata import with_uids
from netlab.cli.kinds.request import Request
from netlab.cli.kinds.times import spelled, stamp

if TYPE_CHECKING:
    from netlab.model import Node
    from netlab.model.topology.nodefaults import Fault

_ROLE = "node-role.kubernetes.io/"
_WIDTH = 20  # columns of a field's name, as kubectl has it for nodes


@with_uids
def nodes(request: Request) -> list[Item]:
    """All nodes, each with the condition that a kubelet would report."""
    running, faults = request.running, request.faults()
    items = [
        _node(node, running.born("Node", "", node.name), faults.get(node.name, ())) for node in running.cluster.nodes
    ]
    for item in items:
        if (name := item["metadata"]["name"]) in faults:
            item["status"]["conditions"][0]["lastTransitionTime"] = stamp(request.fault_since(name))
    return items


def _node(node: Node, since: float, faults: tuple[Fault, ...]) -> Item:
    cidrs = [str(cidr) for cidr in node.pod_cidrs]
    taints = [{"key": taint.key, "value": taint.value, "effect": taint.effect} for taint in node.taints]
    condition, taint = nodeready.condition(faults)
    taints += [{"key": taint, "effect": effect} for effect in ("NoSchedule", "NoExecute") if taint]
    spec = {"podCIDR": cidrs[0], "podCIDRs": cidrs} | ({"taints": taints} if taints else {})
    addresses = [{"type": "InternalIP", "address": str(address.ip)} for address in node.addresses]
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": node.name,
            "labels": dict(node.labels),
            "annotations": {"netlab/netns": node.netns},
            "creationTimestamp": stamp(since),
        },
        "spec": spec | ({"unschedulable": True} if node.unschedulable else {}),
        "status": {
            "addresses": [*addresses, {"type": "Hostname", "address": node.name}],
            "conditions": [condition],
        },
    }


def _roles(item: Item) -> str:
    return ",".join(key.removeprefix(_ROLE) for key in item["metadata"]["labels"] if key.startswith(_ROLE)) or NONE


def _describe(request: Request, items: Sequence[Item]) -> Iterable[Iterable[str]]:
    from netlab.cli.kinds.pod import pods

    by_name = {(pod["metadata"]["namespace"], pod["metadata"]["name"]): pod for pod in pods(request)}
    for item in items:
        name = item["metadata"]["name"]
        own = [pod for pod in request.running.cluster.pods if pod.node == name]
        link = [
            *lines.link_lines(request.running.cluster, f"Node/{name}", _WIDTH),
            *_agent(request.running.cluster.node(name), (request.records() or {}).get(("", name))),
        ]
        yield _description(item, [by_name[pod.namespace, pod.name] for pod in own], link)


def _agent(node: Node, record: Mapping[str, Any] | None) -> list[str]:
    """The line of the author's own daemon, as the lab's agent runs it."""
    if not node.agent:
        return []
    known = "not running"
    if record:
        container = record["containers"][0]
        state, fields = next(iter(container["state"].items()))
        known = f"{fields.get('reason') or state}, {out.count(container['restarts'], 'restart')}"
    return [lines.field("Agent", f"{shlex.join(node.agent)} ({known})", _WIDTH)]


def _description(item: Item, pods: Sequence[Item], link: Sequence[str]) -> list[str]:
    metadata, status, spec = item["metadata"], item["status"], item["spec"]
    running = [pod for pod in pods if pod["status"]["phase"] not in ("Succeeded", "Failed")]
    rows = [
        (pod["metadata"]["namespace"], pod["metadata"]["name"], pod["status"]["podIP"], podstatus.printed(pod)[1])
        for pod in running
    ]
    return [
        lines.field("Name", metadata["name"], _WIDTH),
        lines.field("Roles", _roles(item), _WIDTH),
        *lines.label_lines(metadata["labels"], _WIDTH),
        *lines.annotation_lines(metadata["annotations"], _WIDTH),
        lines.field("CreationTimestamp", spelled(metadata["creationTimestamp"]), _WIDTH),
        "Conditions:",
        f"  {'Type':<16}Status",
        *(f"  {condition['type']:<16}{condition['status']}" for condition in status["conditions"]),
        *(line for condition in status["conditions"] for line in _reason(condition)),
        "Addresses:",
        *(f"  {address['type'] + ':':<13}{address['address']}" for address in status["addresses"]),
        lines.field("PodCIDR", spec["podCIDR"], _WIDTH),
        lines.field("PodCIDRs", ",".join(spec["podCIDRs"]), _WIDTH),
        *link,
        f"Non-terminated Pods:  ({len(running)} in total)",
        *lines.table(("Namespace", "Name", "IP", "Status"), rows),
    ]


def _reason(condition: Item) -> list[str]:
    if "reason" not in condition:
        return []
    return [f"    Reason:   {condition['reason']}", f"    Message:  {condition['message']}"]


def _status(item: Item) -> str:
    ready = next(each["status"] for each in item["status"]["conditions"] if each["type"] == "Ready")
    word = "Ready" if ready == "True" else "NotReady"
    return f"{word},SchedulingDisabled" if item["spec"].get("unschedulable") else word


_NODE_COLUMNS = (
    NAME,
    Column("STATUS", _status),
    Column("ROLES", _roles),
    AGE,
    Column("VERSION", lambda _: "netlab"),
    Column("INTERNAL-IP", lambda item: item["status"]["addresses"][0]["address"], wide=True),
    Column("EXTERNAL-IP", lambda _: NONE, wide=True),
    Column("OS-IMAGE", lambda _: "netlab", wide=True),
    Column("KERNEL-VERSION", lambda _: os.uname().release, wide=True),
    Column("CONTAINER-RUNTIME", lambda _: "netlab", wide=True),
)
NODE = Kind("Node", "nodes", ("no",), "", nodes, _NODE_COLUMNS, _describe, namespaced=False)


@with_uids
def namespaces(request: Request) -> list[Item]:
    """All namespaces, also those that only Pods name."""
    running = request.running
    return [
        {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {
                "name": name,
                "labels": dict(labels),
                "creationTimestamp": stamp(running.born("Namespace", "", name)),
            },
            "status": {"phase": "Active"},
        }
        for name, labels in running.cluster.namespaces.items()
    ]


_NAMESPACE_COLUMNS = (NAME, Column("STATUS", lambda item: item["status"]["phase"]), AGE)
NAMESPACE = Kind("Namespace", "namespaces", ("ns",), "", namespaces, _NAMESPACE_COLUMNS, namespaced=False)
