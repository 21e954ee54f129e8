"""The cluster's objects as the API server would return them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from netlab.cli import podstatus
from netlab.cli.podstatus import stamp

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
    return f"{hours}h" if hours < 48 else f"{hours // 24}d"


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
