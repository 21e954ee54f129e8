"""A Pod's status, from what the agent says of its containers, and the words that kubectl prints for it.

A container that the responder serves is running and ready from the start; the second of two on one port is in
CrashLoopBackOff, as it would be.  Init containers of a Pod in which nothing runs are not run, and not listed.
Without the agent nothing is known, and nothing serves: the phase is Unknown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from netlab.cli.kinds.times import stamp
from netlab.memo import Latest

if TYPE_CHECKING:
    from netlab.model import Container, Pod


Status = dict[str, Any]
Record = Mapping[str, Any]  # a Pod as the agent shows it; empty where it has none


def status(pod: Pod, record: Record | None, since: float) -> Status:
    """phase, conditions, containerStatuses, initContainerStatuses.  ``record`` is None where the agent is dead."""
    records = {shown["name"]: shown for shown in record["containers"]} if record else {}
    mains = {spec["name"] for spec in _listed(pod, "containers")}
    made = [
        _container(pod, container, records.get(container.name), since, alive=record is not None)
        for container in pod.containers
    ]
    main = [container for container in made if container["name"] in mains]
    inits = [container for container in made if container["name"] not in mains]
    if any(container.runs for container in pod.containers):
        inits += [
            _container(pod, container, records.get(container.name), since, alive=record is not None)
            for container in pod.inits
        ]
    order = [spec["name"] for spec in _listed(pod, "initContainers")]
    inits.sort(key=lambda container: order.index(container["name"]))
    restart = str(pod.spec.get("restartPolicy", "Always"))
    sidecars = {container["name"] for container in inits} & {container.name for container in pod.containers}
    phase = _phase(main, inits, sidecars, restart) if record is not None else "Unknown"
    initialized = all(_done(container, container["name"] in sidecars) for container in inits)
    ready = phase == "Running" and all(
        container["ready"] for container in (*main, *(i for i in inits if i["name"] in sidecars))
    )
    gates = [str(gate["conditionType"]) for gate in _listed(pod, "readinessGates")]
    # Nobody sets the conditions of gates, so such a Pod is never ready.
    conditions = {
        "Initialized": initialized,
        "Ready": ready and not gates,
        "ContainersReady": ready,
        "PodScheduled": True,
    }
    return {
        "phase": phase,
        "conditions": [{"type": kind, "status": str(value)} for kind, value in conditions.items()],
        "containerStatuses": main,
        **({"initContainerStatuses": inits} if inits else {}),
    }


def _listed(pod: Pod, where: str) -> Sequence[Mapping[str, Any]]:
    listed = pod.spec.get(where, [])
    assert isinstance(listed, list)
    return listed


def _container(
    pod: Pod, container: Container, record: Mapping[str, Any] | None, since: float, *, alive: bool
) -> Status:
    base = {
        "name": container.name,
        "image": container.image,
        "ready": False,
        "restartCount": 0,
        "started": False,
        "state": {},
    }
    if not alive:
        return base
    if container.runs or container.missing or container in pod.inits:
        if record is None:
            return base | {"state": {"waiting": {"reason": "ContainerCreating"}}}
        state, last = _state(record["state"]), _state(record["last"])
        running = "running" in state
        still = bool(pod.leaving) and pod.ready  # the agent takes what it ends for not ready
        done = container in pod.inits and state.get("terminated", {}).get("exitCode") == 0
        more = {"lastState": last} if last else {}
        return base | {
            "ready": done if container in pod.inits else bool(record.get("ready", running)) or (running and still),
            "restartCount": record["restarts"],
            "started": bool(record.get("started", running)),
            "state": state,
            **more,
        }
    if _clashes(pod, container):
        message = "another container of the Pod has its port"
        return base | {"state": {"waiting": {"reason": "CrashLoopBackOff", "message": message}}}
    return base | {"ready": True, "started": True, "state": {"running": {"startedAt": stamp(since)}}}


def _clashes(pod: Pod, container: Container) -> bool:
    """Whether another container answers on a port that this one declares."""
    if len(pod.containers) == 1:
        return False
    containers = {(port.port, port.protocol): port.container for port in pod.ports}
    spec = next((each for where in ("containers", "initContainers") for each in _listed(pod, where)
                 if each["name"] == container.name), {})  # fmt: skip
    wanted = [(port["containerPort"], port.get("protocol", "TCP")) for port in spec.get("ports", [])]
    return any(containers.get(each, container.name) != container.name for each in wanted)


def _state(state: Mapping[str, Any]) -> Status:
    """A container state with the API's times."""
    return {
        kind: {key: stamp(value) if key.endswith("At") else value for key, value in details.items()}
        for kind, details in state.items()
    }


def _done(container: Status, sidecar: bool) -> bool:
    return bool(container["started"] if sidecar else container["state"].get("terminated", {}).get("exitCode") == 0)


def _phase(main: Sequence[Status], inits: Sequence[Status], sidecars: set[str], restart: str) -> str:
    """The kubelet's rules for status.phase."""
    for container in inits:
        end = container["state"].get("terminated")
        if container["name"] not in sidecars and end and end["exitCode"] != 0 and restart == "Never":
            return "Failed"
        if not _done(container, container["name"] in sidecars) and not (container["name"] in sidecars and end):
            return "Pending"
    running = sum("running" in container["state"] for container in main)
    waiting = sum("waiting" in container["state"] and "lastState" not in container for container in main)
    ends = [container["state"]["terminated"]["exitCode"] for container in main if "terminated" in container["state"]]
    if waiting:
        return "Pending"
    if running or restart == "Always" or len(ends) < len(main):
        return "Running"
    if not any(ends):
        return "Succeeded"
    return "Failed" if restart == "Never" else "Running"


# -- what kubectl prints ----------------------------------------------------------------------------------------------


def _printed(item: Mapping[str, Any]) -> tuple[str, str, int, str]:
    status = item["status"]
    main, inits = status["containerStatuses"], status.get("initContainerStatuses", [])
    listed = {spec["name"]: spec for spec in item["spec"].get("initContainers", [])}
    sidecars = [container for container in inits if listed.get(container["name"], {}).get("restartPolicy") == "Always"]
    total = len(item["spec"].get("containers", main)) + len(sidecars)
    ready = sum(container["ready"] for container in (*main, *sidecars))
    ends = {"Succeeded": "Completed", "Failed": "Error"}
    message = str(status.get("reason") or (status["phase"] if main else ends.get(status["phase"], status["phase"])))
    if any(each.get("reason") == "SchedulingGated" for each in status.get("conditions", ())):
        message = "SchedulingGated"
    initializing = False
    for index, container in enumerate(inits):
        if _done(container, container in sidecars) or (container in sidecars and "terminated" in container["state"]):
            continue
        end, wait = container["state"].get("terminated"), container["state"].get("waiting", {}).get("reason", "")
        if end:
            message = f"Init:{end.get('reason') or _end(end)}"
        elif wait and wait != "PodInitializing":
            message = f"Init:{wait}"
        elif container["state"]:
            message = f"Init:{index}/{len(inits)}"
        initializing = True
        break
    counted = [*inits] if initializing else [*main, *sidecars]
    if not initializing:
        has_running = False
        for container in reversed(main):
            end, wait = container["state"].get("terminated"), container["state"].get("waiting", {}).get("reason", "")
            if wait:
                message = wait
            elif end:
                message = end.get("reason") or _end(end)
            elif container["ready"] and "running" in container["state"]:
                has_running = True
        if message == "Completed" and has_running:
            conditions = {condition["type"]: condition["status"] for condition in status["conditions"]}
            message = "Running" if conditions.get("Ready") == "True" else "NotReady"
    if item.get("metadata", {}).get("deletionTimestamp") and status["phase"] not in ("Succeeded", "Failed"):
        message = "Terminating"
    lasts = [container.get("lastState", {}).get("terminated", {}).get("finishedAt", "") for container in counted]
    return f"{ready}/{total}", message, sum(container["restartCount"] for container in counted), max(lasts, default="")


#: (READY, STATUS, restarts, when the last one was: a stamp or "") of a Pod as the API would return it.
printed = Latest(_printed)  # three columns of a row ask for it


def _end(end: Mapping[str, Any]) -> str:
    return f"Signal:{end['signal']}" if end.get("signal") else f"ExitCode:{end['exitCode']}"
