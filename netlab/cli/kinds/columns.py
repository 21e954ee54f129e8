"""The columns of ``get`` for Kubernetes' kinds: kubectl's own, those that only ``-o wide`` shows marked so."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from netlab.cli import selectors
from netlab.cli.kinds import pod as kubernetes
from netlab.cli.kinds import podstatus
from netlab.cli.kinds import service as services
from netlab.cli.kinds import workload as workloads

if TYPE_CHECKING:
    from netlab.model import Cluster

Item = dict[str, Any]
Columns = tuple[tuple[str, bool], ...]
Row = Callable[[Item, "Cluster", float], list[str]]


def _age(item: Item, now: float) -> str:
    return kubernetes.age(podstatus.seconds(item["metadata"]["creationTimestamp"]), now)


def _pod_row(item: Item, cluster: Cluster, now: float) -> list[str]:
    ready, status, restarts, last = podstatus.printed(item)
    ago = f" ({kubernetes.age(podstatus.seconds(last), now)} ago)" if restarts and last else ""
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
    selector = selectors.written(item.get("spec", {}).get("podSelector", {}))
    return [item["metadata"]["name"], selector, _age(item, now), "yes"]


def _namespace_row(item: Item, cluster: Cluster, now: float) -> list[str]:
    return [item["metadata"]["name"], "Active", _age(item, now)]


def _event_row(item: Item, cluster: Cluster, now: float) -> list[str]:
    about = item["involvedObject"]
    return [
        kubernetes.age(podstatus.seconds(item["lastTimestamp"]), now),
        item["type"],
        item["reason"],
        f"{about['kind'].lower()}/{about['name']}",
        ", ".join(filter(None, (item["source"]["component"], item["source"]["host"]))),
        item["message"],
        kubernetes.age(podstatus.seconds(item["firstTimestamp"]), now),
        str(item["count"]),
        item["metadata"]["name"],
    ]


def _workload_row(item: Item, cluster: Cluster, now: float) -> list[str]:
    return [item["metadata"]["name"], *workloads.cells(item, now), _age(item, now), *workloads.wide(item)]


def _workload(*heads: str, wide: Sequence[str] = ("CONTAINERS", "IMAGES", "SELECTOR")) -> tuple[Columns, Row]:
    """The columns of a workload: its own stand between its name and its age."""
    shown = ("NAME", *heads, "AGE")
    return (*((name, False) for name in shown), *((name, True) for name in wide)), _workload_row


_REPLICAS = _workload("DESIRED", "CURRENT", "READY")
_COLUMNS: dict[str, tuple[Columns, Row]] = {
    "Deployment": _workload("READY", "UP-TO-DATE", "AVAILABLE"),
    "StatefulSet": _workload("READY", wide=("CONTAINERS", "IMAGES")),
    "DaemonSet": _workload("DESIRED", "CURRENT", "READY", "UP-TO-DATE", "AVAILABLE", "NODE SELECTOR"),
    "Job": _workload("STATUS", "COMPLETIONS", "DURATION"),
    "CronJob": _workload("SCHEDULE", "TIMEZONE", "SUSPEND", "ACTIVE", "LAST SCHEDULE"),
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
    return _COLUMNS[kind]
