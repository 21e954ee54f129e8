"""The columns of ``get`` for Kubernetes' kinds: kubectl's own, those that only ``-o wide`` shows marked so."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from netlab.cli import kubernetes, podstatus, services

if TYPE_CHECKING:
    from netlab.model import Cluster

Item = dict[str, Any]
Columns = tuple[tuple[str, bool], ...]
Row = Callable[[Item, "Cluster", float], list[str]]


def _age(item: Item, now: float) -> str:
    return kubernetes.age(_seconds(item["metadata"]["creationTimestamp"]), now)


def _seconds(stamp: str) -> float:
    """The inverse of ``podstatus.stamp``."""
    import calendar

    return calendar.timegm(time.strptime(stamp, "%Y-%m-%dT%H:%M:%SZ"))


def _pod_row(item: Item, cluster: Cluster, now: float) -> list[str]:
    ready, status, restarts, last = podstatus.printed(item)
    ago = f" ({kubernetes.age(_seconds(last), now)} ago)" if restarts and last else ""
    return [
        item["metadata"]["name"],
        ready,
        status,
        f"{restarts}{ago}",
        _age(item, now),
        item["status"].get("podIP", "<none>"),
        item["spec"].get("nodeName", "<none>"),
        "<none>",
        f"0/{len(gates)}" if (gates := item["spec"].get("readinessGates")) else "<none>",
    ]


def _node_row(item: Item, cluster: Cluster, now: float) -> list[str]:
    import os

    kernel = os.uname().release
    roles = [key.rpartition("/")[2] for key in item["metadata"]["labels"] if key.startswith("node-role.kubernetes.io/")]
    address = item["status"]["addresses"][0]["address"]
    name = item["metadata"]["name"]
    return [
        name,
        "Ready,SchedulingDisabled" if item["spec"].get("unschedulable") else "Ready",
        ",".join(roles) or "<none>",
        _age(item, now),
        "netlab",
        address,
        "<none>",
        "netlab",
        kernel,
        "netlab",
    ]


def _service_row(item: Item, cluster: Cluster, now: float) -> list[str]:
    spec = item.get("spec", {})
    selector = ",".join(f"{key}={value}" for key, value in spec.get("selector", {}).items())
    return [
        item["metadata"]["name"],
        *services.service_cells(item),
        _age(item, now),
        selector or "<none>",
    ]


def _endpoints_row(item: Item, cluster: Cluster, now: float) -> list[str]:
    return [item["metadata"]["name"], services.endpoints_cell(item), _age(item, now)]


def _slice_row(item: Item, cluster: Cluster, now: float) -> list[str]:
    return [item["metadata"]["name"], *services.slice_cells(item), _age(item, now)]


def _policy_row(item: Item, cluster: Cluster, now: float) -> list[str]:
    selector = item.get("spec", {}).get("podSelector", {})
    labels = [f"{key}={value}" for key, value in selector.get("matchLabels", {}).items()]
    for one in selector.get("matchExpressions", []):
        values = f" ({','.join(one['values'])})" if one.get("values") else ""
        labels.append(f"{one['key']} {one['operator'].lower()}{values}")
    return [item["metadata"]["name"], ",".join(labels) or "<none>", _age(item, now), "yes"]


def _namespace_row(item: Item, cluster: Cluster, now: float) -> list[str]:
    return [item["metadata"]["name"], "Active", _age(item, now)]


def _event_row(item: Item, cluster: Cluster, now: float) -> list[str]:
    about = item["involvedObject"]
    return [
        kubernetes.age(_seconds(item["lastTimestamp"]), now),
        item["type"],
        item["reason"],
        f"{about['kind'].lower()}/{about['name']}",
        f"{item['source']['component']}, {item['source']['host']}",
        item["message"],
        kubernetes.age(_seconds(item["firstTimestamp"]), now),
        str(item["count"]),
        item["metadata"]["name"],
    ]


def _ready(item: Item, cluster: Cluster) -> list[bool]:
    """Of each Pod of a workload whether it is ready; those that no node has are not."""
    owner, namespace = f"{item['kind']}/{item['metadata']['name']}", item["metadata"].get("namespace")
    ready = [pod.ready and not pod.ended for pod in cluster.pods
             if pod.namespace == namespace and owner in (pod.owner, pod.controller)]  # fmt: skip
    waiting = [pod for pod in cluster.idle if pod.phase == "Pending"
               if pod.namespace == namespace and owner in (pod.owner, pod.controller)]  # fmt: skip
    return ready + [False] * len(waiting)


def _replicas_row(item: Item, cluster: Cluster, now: float) -> list[str]:
    """A ReplicaSet or ReplicationController."""
    spec, pods = item["spec"], _ready(item, cluster)
    containers = spec.get("template", {}).get("spec", {}).get("containers", [])
    selector = spec.get("selector", {})
    labels = selector.get("matchLabels", {}) if item["kind"] == "ReplicaSet" else selector
    return [
        item["metadata"]["name"],
        str(spec.get("replicas", 1)),
        str(len(pods)),
        str(sum(pods)),
        _age(item, now),
        ",".join(one["name"] for one in containers),
        ",".join(one.get("image", "") for one in containers),
        ",".join(f"{key}={value}" for key, value in labels.items()) or "<none>",
    ]


def _plain_row(item: Item, cluster: Cluster, now: float) -> list[str]:
    pods = _ready(item, cluster)
    return [item["metadata"]["name"], f"{sum(pods)}/{len(pods)}", _age(item, now)]


_PLAIN: tuple[Columns, Row] = ((("NAME", False), ("READY", False), ("AGE", False)), _plain_row)
_REPLICAS: tuple[Columns, Row] = (
    (
        ("NAME", False),
        ("DESIRED", False),
        ("CURRENT", False),
        ("READY", False),
        ("AGE", False),
        ("CONTAINERS", True),
        ("IMAGES", True),
        ("SELECTOR", True),
    ),
    _replicas_row,
)
_COLUMNS: dict[str, tuple[Columns, Row]] = {
    "ReplicaSet": _REPLICAS,
    "ReplicationController": _REPLICAS,
    "Pod": (
        (
            ("NAME", False),
            ("READY", False),
            ("STATUS", False),
            ("RESTARTS", False),
            ("AGE", False),
            ("IP", True),
            ("NODE", True),
            ("NOMINATED NODE", True),
            ("READINESS GATES", True),
        ),
        _pod_row,
    ),
    "Node": (
        (
            ("NAME", False),
            ("STATUS", False),
            ("ROLES", False),
            ("AGE", False),
            ("VERSION", False),
            ("INTERNAL-IP", True),
            ("EXTERNAL-IP", True),
            ("OS-IMAGE", True),
            ("KERNEL-VERSION", True),
            ("CONTAINER-RUNTIME", True),
        ),
        _node_row,
    ),
    "Service": (
        (
            ("NAME", False),
            ("TYPE", False),
            ("CLUSTER-IP", False),
            ("EXTERNAL-IP", False),
            ("PORT(S)", False),
            ("AGE", False),
            ("SELECTOR", True),
        ),
        _service_row,
    ),
    "Endpoints": ((("NAME", False), ("ENDPOINTS", False), ("AGE", False)), _endpoints_row),
    "EndpointSlice": (
        (("NAME", False), ("ADDRESSTYPE", False), ("PORTS", False), ("ENDPOINTS", False), ("AGE", False)),
        _slice_row,
    ),
    "NetworkPolicy": (
        (("NAME", False), ("POD-SELECTOR", False), ("AGE", False), ("ENFORCED", False)),
        _policy_row,
    ),
    "Event": (
        (
            ("LAST SEEN", False),
            ("TYPE", False),
            ("REASON", False),
            ("OBJECT", False),
            ("SOURCE", True),
            ("MESSAGE", False),
            ("FIRST SEEN", True),
            ("COUNT", True),
            ("NAME", True),
        ),
        _event_row,
    ),
    "Namespace": ((("NAME", False), ("STATUS", False), ("AGE", False)), _namespace_row),
}


def columns(kind: str) -> tuple[Columns, Row]:
    """The columns of a kind, and what makes a row of them."""
    return _COLUMNS.get(kind, _PLAIN)
