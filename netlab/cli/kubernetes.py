"""The cluster's objects as the API server would return them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from netlab.cli import podstatus
from netlab.cli.podstatus import stamp
from netlab.names import short_hash

if TYPE_CHECKING:
    from netlab.model import Cluster, Node, Pod


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
    metadata: dict[str, Any] = {"name": one.name, "namespace": one.namespace, "labels": dict(one.labels)}
    metadata |= {"annotations": annotations, "creationTimestamp": stamp(since)}
    metadata |= {"deletionTimestamp": stamp(one.leaving)} if one.leaving else {}
    if one.owner:
        kind, _, owner = one.owner.partition("/")
        metadata["ownerReferences"] = [{"kind": kind, "name": owner, "controller": True}]
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec, "status": status}


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
        "spec": {"podCIDR": cidrs[0], "podCIDRs": cidrs},
        "status": {
            "addresses": [*addresses, {"type": "Hostname", "address": one.name}],
            "conditions": [{"type": "Ready", "status": "True"}],
        },
    }


def events(one: Pod, since: float, record: podstatus.Record | None) -> list[dict[str, Any]]:
    """What happened to a Pod, the oldest first: that it was put on its node, then what its agent tells."""
    told = [
        {
            "type": "Normal",
            "reason": "Scheduled",
            "message": f"Successfully assigned {one} to {one.node}",
            "count": 1,
            "first": since,
            "last": since,
        },
        *sorted((record or {}).get("events", ()), key=lambda each: each["last"]),
    ]
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
            "source": {"component": "netlab-agent" if place else "netlab", "host": one.node},
        }
        for place, each in enumerate(told)
    ]
