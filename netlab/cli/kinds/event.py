"""Events of Pods: the scheduler's, and what the agent recorded."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from netlab.cli.kinds import systempod
from netlab.cli.kinds.kind import NAME, Column, Item, Kind
from netlab.cli.kinds.metadata import with_uids
from netlab.cli.kinds.podstatus import Record
from netlab.cli.kinds.request import Request
from netlab.cli.kinds.times import ago, stamp

if TYPE_CHECKING:
    from netlab.model import Pod
    from netlab.model.cluster import Idle


@with_uids
def events(request: Request) -> list[Item]:
    """The events of all Pods, the oldest first."""
    from netlab.model.anew import every

    running = request.running
    records = request.records(events=True) or {}
    items: list[Item] = []
    for pod in every(running.cluster):
        more = running.born("Pod", pod.namespace, pod.name), records.get((pod.namespace, pod.name))
        items += request.kept("events", pod, more, partial(pod_events, pod, *more))
    for pod, faults in systempod.with_faults(request):
        born = running.born("Pod", pod.namespace, pod.name)
        items += pod_events(pod, born, systempod.record(pod, faults, request.fault_since(pod.node)))
    return sorted(items, key=lambda item: str(item["lastTimestamp"]))


def pod_events(pod: Pod | Idle, since: float, record: Record | None) -> list[Item]:
    """The events of a Pod, the oldest first: its scheduling, then what the agent recorded."""
    from netlab.names import short_hash

    recorded = sorted((record or {}).get("events", ()), key=lambda event: event["last"])
    return [
        {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {
                "name": f"{pod.name}.{short_hash(event['reason'] + event['message'], 16)}",
                "namespace": pod.namespace,
                "creationTimestamp": stamp(event["first"]),
            },
            "involvedObject": {"kind": "Pod", "namespace": pod.namespace, "name": pod.name},
            **{key: event[key] for key in ("type", "reason", "message", "count")},
            "firstTimestamp": stamp(event["first"]),
            "lastTimestamp": stamp(event["last"]),
            "source": {"component": event.get("from", "netlab-agent"), "host": pod.node},
        }
        for event in (*_scheduling(pod, since), *recorded)
    ]


def _scheduling(pod: Pod | Idle, since: float) -> list[dict[str, Any]]:
    """The scheduler's event; none for a Pod whose document states that it has ended."""
    from netlab.model.cluster import Idle

    base: dict[str, Any] = {"count": 1, "first": since, "last": since, "from": "netlab"}
    if not isinstance(pod, Idle):
        message = f"Successfully assigned {pod} to {pod.node}"
        return [{"type": "Normal", "reason": "Scheduled", "message": message, **base}]
    if pod.reason != "Unschedulable":
        return []
    return [{"type": "Warning", "reason": "FailedScheduling", "message": pod.message, **base}]


def _object(item: Item) -> str:
    return f"{item['involvedObject']['kind'].lower()}/{item['involvedObject']['name']}"


_COLUMNS = (
    Column("LAST SEEN", lambda item: ago(item["lastTimestamp"])),
    Column("TYPE", lambda item: item["type"]),
    Column("REASON", lambda item: item["reason"]),
    Column("OBJECT", _object),
    Column("SOURCE", lambda item: ", ".join(filter(None, item["source"].values())), wide=True),
    Column("MESSAGE", lambda item: item["message"]),
    Column("FIRST SEEN", lambda item: ago(item["firstTimestamp"]), wide=True),
    Column("COUNT", lambda item: item["count"], wide=True),
    NAME._replace(wide=True),
)
EVENT = Kind("Event", "events", ("ev",), "", events, _COLUMNS)
