"""Workloads: Deployments and what else makes Pods.  Their statuses are counted in ``workloadstatus``."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from netlab.cli.kinds.kind import AGE, NAME, NONE, Column, Item, Kind, pairs
from netlab.cli.kinds.metadata import filled, made, with_uids, written
from netlab.cli.kinds.request import Request
from netlab.cli.kinds.times import ago, duration, seconds
from netlab.cli.selectors import written as selector_text


def _listed(request: Request, name: str, group: str, *, quiet: bool = False) -> list[Item]:
    """The workloads of a kind, each with its status."""
    items = filled(written(request, name, group), request.running) + [body for _, body in made(request, name)]
    if not items:
        return []
    from netlab.cli.kinds.pod import pods
    from netlab.cli.kinds.workloadstatus import Statuses

    sets = _listed(request, "ReplicaSet", "apps", quiet=True) if name == "Deployment" else items
    statuses = Statuses(request.running, pods(request, quiet=quiet), sets)
    return [statuses.scaled(item) for item in items]


def _spec(item: Item) -> Any:
    return item.get("spec", {})


def _count(field: str) -> Callable[[Item], object]:
    return lambda item: item["status"].get(field, 0)


def _template(item: Item) -> Any:
    spec = _spec(item)["jobTemplate"]["spec"] if item["kind"] == "CronJob" else _spec(item)
    return spec.get("template", {}).get("spec", {})


def _containers(field: str) -> Callable[[Item], str]:
    return lambda item: ",".join(str(container.get(field, "")) for container in _template(item).get("containers", []))


def _selector(item: Item) -> str:
    selector = _spec(item).get("selector") or {}
    if item["kind"] == "ReplicationController":
        selector = {"matchLabels": selector}
    elif item["kind"] == "Job" and not selector:
        selector = {"matchLabels": {"batch.kubernetes.io/controller-uid": item["metadata"]["uid"]}}
    return selector_text(selector)


def _ready_of(item: Item) -> str:
    return f"{item['status'].get('readyReplicas', 0)}/{_spec(item).get('replicas', 1)}"


def _job_status(item: Item) -> str:
    from netlab.cli.kinds.workloadstatus import condition, finished

    return finished(item) or ("Suspended" if condition(item, "Suspended") else "Running")


def _completions(item: Item) -> str:
    completions, parallel = _spec(item).get("completions"), _spec(item).get("parallelism", 1)
    more = f" of {parallel}" if completions is None and parallel > 1 else ""
    return f"{item['status'].get('succeeded', 0)}/{1 if completions is None else completions}{more}"


def _job_duration(item: Item) -> str:
    start, end = item["status"].get("startTime"), item["status"].get("completionTime")
    return duration((seconds(end) if end else time.time()) - seconds(start)) if start else ""


def _last_schedule(item: Item) -> str:
    last = item["status"].get("lastScheduleTime")
    return ago(last) if last else NONE


def _workload(name: str, plural: str, short: tuple[str, ...], group: str, *columns: Column, wide: int = 3) -> Kind:
    """A kind of workload: its own columns stand between its name and its age, ``wide`` of the common ones after."""
    return Kind(
        name,
        plural,
        short,
        group,
        with_uids(lambda request: _listed(request, name, group)),
        columns=(NAME, *columns, AGE, *_WIDE[:wide]),
    )


_WIDE = (
    Column("CONTAINERS", _containers("name"), wide=True),
    Column("IMAGES", _containers("image"), wide=True),
    Column("SELECTOR", _selector, wide=True),
)
_REPLICAS = (
    Column("DESIRED", lambda item: _spec(item).get("replicas", 1)),
    Column("CURRENT", lambda item: item["status"]["replicas"]),
    Column("READY", _count("readyReplicas")),
)
DEPLOYMENT = _workload(
    *("Deployment", "deployments", ("deploy",), "apps"),
    Column("READY", _ready_of),
    Column("UP-TO-DATE", _count("updatedReplicas")),
    Column("AVAILABLE", _count("availableReplicas")),
)
STATEFUL_SET = _workload("StatefulSet", "statefulsets", ("sts",), "apps", Column("READY", _ready_of), wide=2)
DAEMON_SET = _workload(
    *("DaemonSet", "daemonsets", ("ds",), "apps"),
    Column("DESIRED", _count("desiredNumberScheduled")),
    Column("CURRENT", _count("currentNumberScheduled")),
    Column("READY", _count("numberReady")),
    Column("UP-TO-DATE", _count("updatedNumberScheduled")),
    Column("AVAILABLE", _count("numberAvailable")),
    Column("NODE SELECTOR", lambda item: pairs(dict(sorted((_template(item).get("nodeSelector") or {}).items())))),
)
REPLICA_SET = _workload("ReplicaSet", "replicasets", ("rs",), "apps", *_REPLICAS)
REPLICATION_CONTROLLER = _workload("ReplicationController", "replicationcontrollers", ("rc",), "", *_REPLICAS)
JOB = _workload(
    *("Job", "jobs", (), "batch"),
    Column("STATUS", _job_status),
    Column("COMPLETIONS", _completions),
    Column("DURATION", _job_duration),
)
CRON_JOB = _workload(
    *("CronJob", "cronjobs", ("cj",), "batch"),
    Column("SCHEDULE", lambda item: _spec(item).get("schedule", "")),
    Column("TIMEZONE", lambda item: _spec(item).get("timeZone") or NONE),
    Column("SUSPEND", lambda item: bool(_spec(item).get("suspend"))),
    Column("ACTIVE", lambda item: len(item["status"].get("active", ()))),
    Column("LAST SCHEDULE", _last_schedule),
)
