"""The cluster's objects as the API server would return them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from netlab.cli.kinds import podstatus
from netlab.cli.kinds.podstatus import stamp
from netlab.model import identity
from netlab.names import short_hash

if TYPE_CHECKING:
    from netlab.model import Cluster, Node, Pod
    from netlab.model.cluster import Idle, Made


def age(since: float, now: float) -> str:
    """kubectl's short duration: 5s, 12m, 3h20m, 2d."""
    seconds = max(0, int(now - since))
    if seconds < 120:
        return f"{seconds}s"
    minutes = seconds // 60
    if minutes < 10:
        return f"{minutes}m{seconds % 60}s" if seconds % 60 else f"{minutes}m"
    if minutes < 180:
        return f"{minutes}m"
    hours = minutes // 60
    if hours < 8:
        return f"{hours}h{minutes % 60}m" if minutes % 60 else f"{hours}h"
    if hours < 48:
        return f"{hours}h"
    return f"{hours // 24}d{hours % 24}h" if hours < 192 and hours % 24 else f"{hours // 24}d"


def pod(one: Pod, cluster: Cluster, since: float, record: podstatus.Record | None) -> dict[str, Any]:
    """A Pod; ``record`` is what the agent knows of it, empty where nothing of it really runs, None without an agent."""
    node = cluster.node(one.node)
    spec = {**one.spec, "nodeName": one.node}
    status = {
        **podstatus.status(one, record, since),
        "podIP": str(one.addresses[0].ip),
        "podIPs": [{"ip": str(address.ip)} for address in one.addresses],
        "hostIP": str(node.addresses[0].ip),
        "hostIPs": [{"ip": str(address.ip)} for address in node.addresses],
        "startTime": stamp(since),
    }
    annotations = {**one.annotations, "netlab/netns": one.netns}
    metadata = _pod_metadata(one, cluster, annotations, since)
    metadata |= {"deletionTimestamp": stamp(one.leaving)} if one.leaving else {}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec, "status": status}


def idle(one: Idle, cluster: Cluster, since: float) -> dict[str, Any]:
    """A Pod that has no network: what its document states of it, or why no node has it."""
    conditions = [{"type": "PodScheduled", "status": "True"}]
    if one.reason == "Unschedulable":
        conditions = [{"type": "PodScheduled", "status": "False", "reason": one.reason, "message": one.message}]
    elif one.reason or one.message:
        conditions[0] |= {"reason": one.reason, "message": one.message}
    status: dict[str, Any] = {"conditions": conditions, "containerStatuses": [], **one.status, "phase": one.phase}
    if one.phase != "Pending" and one.reason:
        status |= {"reason": one.reason, "message": one.message}
    node = {"nodeName": one.node} if one.node else {}
    metadata = _pod_metadata(one, cluster, dict(one.annotations), since)
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {**one.spec, **node}, "status": status}


_GROUPS = {"Job": "batch/v1", "CronJob": "batch/v1", "ReplicationController": "v1", "Node": "v1"}


def _owner(kind: str, name: str, cluster: Cluster, namespace: str) -> list[dict[str, Any]]:
    uid = identity.uid(cluster.lab, kind, namespace, name)
    version = _GROUPS.get(kind, "apps/v1")
    return [{"apiVersion": version, "kind": kind, "name": name, "uid": uid, "controller": True,
             "blockOwnerDeletion": True}]  # fmt: skip


def _pod_metadata(one: Pod | Idle, cluster: Cluster, annotations: dict[str, str], since: float) -> dict[str, Any]:
    metadata: dict[str, Any] = {"name": one.name, "namespace": one.namespace, "labels": dict(one.labels)}
    metadata |= {"uid": cluster.uid(one)}
    metadata |= {"annotations": annotations, "creationTimestamp": stamp(since)}
    if one.controller:
        kind, _, owner = one.controller.partition("/")
        metadata["ownerReferences"] = _owner(kind, owner, cluster, one.namespace)
    return metadata


def made(one: Made, cluster: Cluster, since: float) -> dict[str, Any]:
    """A ReplicaSet of a Deployment, a Job of a CronJob."""
    metadata: dict[str, Any] = {"name": one.name, "namespace": one.namespace, "labels": dict(one.labels)}
    metadata |= {"annotations": dict(one.annotations), "creationTimestamp": stamp(since)}
    metadata |= {"ownerReferences": _owner(*one.owner, cluster, one.namespace)}
    return {"apiVersion": one.api_version, "kind": one.kind, "metadata": metadata, "spec": dict(one.spec)}


def node(one: Node, since: float) -> dict[str, Any]:
    """A node: ready."""
    cidrs = [str(cidr) for cidr in one.pod_cidrs]
    addresses = [{"type": "InternalIP", "address": str(address.ip)} for address in one.addresses]
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": one.name,
            "labels": dict(one.labels),
            "annotations": {"netlab/netns": one.netns},
            "creationTimestamp": stamp(since),
        },
        "spec": {"podCIDR": cidrs[0], "podCIDRs": cidrs, **_scheduling(one)},
        "status": {
            "addresses": [*addresses, {"type": "Hostname", "address": one.name}],
            "conditions": [{"type": "Ready", "status": "True"}],
        },
    }


def _scheduling(one: Node) -> dict[str, Any]:
    taints = [{"key": each.key, "value": each.value, "effect": each.effect} for each in one.taints]
    return ({"taints": taints} if taints else {}) | ({"unschedulable": True} if one.unschedulable else {})


def events(one: Pod | Idle, since: float, record: podstatus.Record | None) -> list[dict[str, Any]]:
    """What happened to a Pod, the oldest first: where it was put, then what its agent tells."""
    told = [*_placing(one, since), *sorted((record or {}).get("events", ()), key=lambda each: each["last"])]
    return [
        {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {
                "name": f"{one.name}.{short_hash(each['reason'] + each['message'], 16)}",
                "namespace": one.namespace,
                "creationTimestamp": stamp(each["first"]),
            },
            "involvedObject": {"kind": "Pod", "namespace": one.namespace, "name": one.name},
            "type": each["type"],
            "reason": each["reason"],
            "message": each["message"],
            "count": each["count"],
            "firstTimestamp": stamp(each["first"]),
            "lastTimestamp": stamp(each["last"]),
            "source": {"component": each.get("from", "netlab-agent"), "host": one.node},
        }
        for each in told
    ]


def _placing(one: Pod | Idle, since: float) -> list[dict[str, Any]]:
    """What the scheduler did; nothing of a Pod whose document states that it has ended."""
    from netlab.model.cluster import Idle

    at: dict[str, Any] = {"count": 1, "first": since, "last": since, "from": "netlab"}
    if not isinstance(one, Idle):
        says = f"Successfully assigned {one} to {one.node}"
        return [{"type": "Normal", "reason": "Scheduled", "message": says, **at}]
    if one.reason != "Unschedulable":
        return []
    return [{"type": "Warning", "reason": "FailedScheduling", "message": one.message, **at}]
