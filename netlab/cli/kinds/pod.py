"""Pods as the API server would return them; the agent knows the state of their containers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from netlab.cli.kinds import podstatus, systempod
from netlab.cli.kinds.kind import AGE, NAME, NONE, Column, Item, Kind
from netlab.cli.kinds.metadata import owner_references
from netlab.cli.kinds.request import Request
from netlab.cli.kinds.times import ago, stamp

if TYPE_CHECKING:
    from netlab.model import Cluster, Pod
    from netlab.model.cluster import Idle


def pods(request: Request, *, quiet: bool = False) -> list[Item]:
    """All Pods, first those that have a network; a note where the agent does not run."""
    made: list[Item] = request.once("pods", lambda: _pods(request, quiet=quiet))
    return made


def _pods(request: Request, *, quiet: bool) -> list[Item]:
    running = request.running
    cluster, records = running.cluster, request.records(quiet=quiet)

    def born(pod: Pod | Idle) -> float:
        return running.born("Pod", pod.namespace, pod.name)

    def made(pod: Pod) -> Item:
        since, record = born(pod), None if records is None else records.get((pod.namespace, pod.name), {})
        more = since, record, cluster.node(pod.node).addresses, cluster.uid(pod)
        item: Item = request.kept("pod", pod, more, lambda: _pod(pod, cluster, since, record))
        return item

    return [
        *map(made, cluster.pods),
        *(_idle(pod, cluster, born(pod)) for pod in cluster.idle),
        *(
            _running(pod, cluster, born(pod), systempod.status(pod, faults, born(pod)))
            for pod, faults in systempod.with_faults(request)
        ),
    ]


def _pod(pod: Pod, cluster: Cluster, since: float, record: podstatus.Record | None) -> Item:
    """A Pod.  ``record`` is the agent's: empty where no process of the Pod runs, None without an agent."""
    return _running(pod, cluster, since, podstatus.status(pod, record, since))


def _running(pod: Pod, cluster: Cluster, since: float, state: Item) -> Item:
    node = cluster.node(pod.node)
    status = {
        **state,
        "podIP": str(pod.addresses[0].ip),
        "podIPs": [{"ip": str(address.ip)} for address in pod.addresses],
        "hostIP": str(node.addresses[0].ip),
        "hostIPs": [{"ip": str(address.ip)} for address in node.addresses],
        "startTime": stamp(since),
    }
    metadata = _metadata(pod, cluster, {**pod.annotations, "netlab/netns": pod.netns}, since)
    if pod.leaving:
        from netlab.plan.processes import grace

        metadata |= {"deletionTimestamp": stamp(pod.leaving), "deletionGracePeriodSeconds": grace(pod)}
    spec = {**pod.spec, "nodeName": pod.node}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec, "status": status}


def _idle(pod: Idle, cluster: Cluster, since: float) -> Item:
    """A Pod without a network: the status of its document, or the reason why no node has it."""
    conditions = [{"type": "PodScheduled", "status": "True"}]
    if pod.reason in ("Unschedulable", "SchedulingGated"):
        conditions = [{"type": "PodScheduled", "status": "False", "reason": pod.reason, "message": pod.message}]
    elif pod.reason or pod.message:
        conditions[0] |= {"reason": pod.reason, "message": pod.message}
    status: Item = {"conditions": conditions, "containerStatuses": [], **pod.status, "phase": pod.phase}
    if pod.phase != "Pending" and pod.reason:
        status |= {"reason": pod.reason, "message": pod.message}
    spec = {**pod.spec, **({"nodeName": pod.node} if pod.node else {})}
    metadata = _metadata(pod, cluster, dict(pod.annotations), since)
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec, "status": status}


def _metadata(pod: Pod | Idle, cluster: Cluster, annotations: dict[str, str], since: float) -> dict[str, Any]:
    metadata: dict[str, Any] = {"name": pod.name, "namespace": pod.namespace, "labels": dict(pod.labels)}
    metadata |= {"uid": cluster.uid(pod), "annotations": annotations, "creationTimestamp": stamp(since)}
    if pod.controller:
        kind, _, owner = pod.controller.partition("/")
        metadata["ownerReferences"] = owner_references(kind, owner, cluster, pod.namespace)
    return metadata


def _restarts(item: Item) -> str:
    _, _, restarts, last = podstatus.printed(item)
    return f"{restarts} ({ago(last)} ago)" if restarts and last else str(restarts)


def _gates(item: Item) -> str:
    gates = item["spec"].get("readinessGates")
    return f"0/{len(gates)}" if gates else NONE


def _describe(request: Request, items: Sequence[Item]) -> Iterable[Iterable[str]]:
    from netlab.cli.kinds.podlines import describe

    return describe(request, items)


_COLUMNS = (
    NAME,
    Column("READY", lambda item: podstatus.printed(item)[0]),
    Column("STATUS", lambda item: podstatus.printed(item)[1]),
    Column("RESTARTS", _restarts),
    AGE,
    Column("IP", lambda item: item["status"].get("podIP", NONE), wide=True),
    Column("NODE", lambda item: item["spec"].get("nodeName", NONE), wide=True),
    Column("NOMINATED NODE", lambda _: NONE, wide=True),
    Column("READINESS GATES", _gates, wide=True),
)
POD = Kind("Pod", "pods", ("po",), "", pods, _COLUMNS, _describe, deleted=(("STATUS", "Terminating"),))
