"""A Pod's status, from what the agent says of its containers, and the words that kubectl prints for it.

A container that the responder serves is running and ready from the start; the second of two on one port is in
CrashLoopBackOff, as it would be.  Init containers of a Pod in which nothing runs are not run, and not listed.
Without the agent nothing is known, and nothing serves: the phase is Unknown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from netlab.cli.kinds.times import stamp

if TYPE_CHECKING:
    from netlab.model import Container, Pod


Status = dict[str, Any]
Record = Mapping[str, Any]  # a Pod as the agent shows it; empty where it has none


def status(pod: Pod, record: Record | None, since: float) -> Status:
    """phase, conditions, containerStatuses, initContainerStatuses.  ``record`` is None where the agent is dead."""
    known = {one["name"]: one for one in record["containers"]} if record else {}
    mains = {one["name"] for one in _listed(pod, "containers")}
    made = [_container(pod, one, known.get(one.name), since, alive=record is not None) for one in pod.containers]
    main = [one for one in made if one["name"] in mains]
    inits = [one for one in made if one["name"] not in mains]
    if any(one.runs for one in pod.containers):
        inits += [_container(pod, one, known.get(one.name), since, alive=record is not None) for one in pod.inits]
    order = [one["name"] for one in _listed(pod, "initContainers")]
    inits.sort(key=lambda one: order.index(one["name"]))
    restart = str(pod.spec.get("restartPolicy", "Always"))
    sidecars = {one["name"] for one in inits} & {one.name for one in pod.containers}
    phase = _phase(main, inits, sidecars, restart) if record is not None else "Unknown"
    initialized = all(_done(one, one["name"] in sidecars) for one in inits)
    ready = phase == "Running" and all(one["ready"] for one in (*main, *(i for i in inits if i["name"] in sidecars)))
    gates = [str(one["conditionType"]) for one in _listed(pod, "readinessGates")]
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


def _container(pod: Pod, one: Container, known: Mapping[str, Any] | None, since: float, *, alive: bool) -> Status:
    base = {"name": one.name, "image": one.image, "ready": False, "restartCount": 0, "started": False, "state": {}}
    if not alive:
        return base
    if one.runs or one.missing or one in pod.inits:
        if known is None:
            return base | {"state": {"waiting": {"reason": "ContainerCreating"}}}
        state, last = _state(known["state"]), _state(known["last"])
        running = "running" in state
        still = bool(pod.leaving) and pod.ready  # the agent takes what it ends for not ready
        done = one in pod.inits and state.get("terminated", {}).get("exitCode") == 0
        more = {"lastState": last} if last else {}
        return base | {
            "ready": done if one in pod.inits else bool(known.get("ready", running)) or (running and still),
            "restartCount": known["restarts"],
            "started": bool(known.get("started", running)),
            "state": state,
            **more,
        }
    if _clashes(pod, one):
        said = "another container of the Pod has its port"
        return base | {"state": {"waiting": {"reason": "CrashLoopBackOff", "message": said}}}
    return base | {"ready": True, "started": True, "state": {"running": {"startedAt": stamp(since)}}}


def _clashes(pod: Pod, one: Container) -> bool:
    """Whether another container answers on a port that this one declares."""
    who = {(port.port, port.protocol): port.container for port in pod.ports}
    spec = next((each for where in ("containers", "initContainers") for each in _listed(pod, where)
                 if each["name"] == one.name), {})  # fmt: skip
    wanted = [(port["containerPort"], port.get("protocol", "TCP")) for port in spec.get("ports", [])]
    return any(who.get(each, one.name) != one.name for each in wanted)


def _state(state: Mapping[str, Any]) -> Status:
    """A container state with the API's times."""
    return {
        kind: {key: stamp(value) if key.endswith("At") else value for key, value in what.items()}
        for kind, what in state.items()
    }


def _done(one: Status, sidecar: bool) -> bool:
    return bool(one["started"] if sidecar else one["state"].get("terminated", {}).get("exitCode") == 0)


def _phase(main: Sequence[Status], inits: Sequence[Status], sidecars: set[str], restart: str) -> str:
    """The kubelet's rules for status.phase."""
    for one in inits:
        end = one["state"].get("terminated")
        if one["name"] not in sidecars and end and end["exitCode"] != 0 and restart == "Never":
            return "Failed"
        if not _done(one, one["name"] in sidecars) and not (one["name"] in sidecars and end):
            return "Pending"
    running = sum("running" in one["state"] for one in main)
    waiting = sum("waiting" in one["state"] and "lastState" not in one for one in main)
    ends = [one["state"]["terminated"]["exitCode"] for one in main if "terminated" in one["state"]]
    if waiting:
        return "Pending"
    if running or restart == "Always" or len(ends) < len(main):
        return "Running"
    if not any(ends):
        return "Succeeded"
    return "Failed" if restart == "Never" else "Running"


# -- what kubectl prints ----------------------------------------------------------------------------------------------


def printed(item: Mapping[str, Any]) -> tuple[str, str, int, str]:
    """(READY, STATUS, restarts, when the last one was: a stamp or "") of a Pod as the API would return it."""
    found = item["status"]
    main, inits = found["containerStatuses"], found.get("initContainerStatuses", [])
    listed = {one["name"]: one for one in item["spec"].get("initContainers", [])}
    sidecars = [one for one in inits if listed.get(one["name"], {}).get("restartPolicy") == "Always"]
    total = len(item["spec"].get("containers", main)) + len(sidecars)
    ready = sum(one["ready"] for one in (*main, *sidecars))
    ends = {"Succeeded": "Completed", "Failed": "Error"}
    says = str(found.get("reason") or (found["phase"] if main else ends.get(found["phase"], found["phase"])))
    initializing = False
    for place, one in enumerate(inits):
        if _done(one, one in sidecars) or (one in sidecars and "terminated" in one["state"]):
            continue
        end, wait = one["state"].get("terminated"), one["state"].get("waiting", {}).get("reason", "")
        if end:
            says = f"Init:{end.get('reason') or _end(end)}"
        elif wait and wait != "PodInitializing":
            says = f"Init:{wait}"
        elif one["state"]:
            says = f"Init:{place}/{len(inits)}"
        initializing = True
        break
    counted = [*inits] if initializing else [*main, *sidecars]
    if not initializing:
        has_running = False
        for one in reversed(main):
            end, wait = one["state"].get("terminated"), one["state"].get("waiting", {}).get("reason", "")
            if wait:
                says = wait
            elif end:
                says = end.get("reason") or _end(end)
            elif one["ready"] and "running" in one["state"]:
                has_running = True
        if says == "Completed" and has_running:
            conditions = {one["type"]: one["status"] for one in found["conditions"]}
            says = "Running" if conditions.get("Ready") == "True" else "NotReady"
    if item.get("metadata", {}).get("deletionTimestamp") and found["phase"] not in ("Succeeded", "Failed"):
        says = "Terminating"
    lasts = [one.get("lastState", {}).get("terminated", {}).get("finishedAt", "") for one in counted]
    return f"{ready}/{total}", says, sum(one["restartCount"] for one in counted), max(lasts, default="")


def _end(end: Mapping[str, Any]) -> str:
    return f"Signal:{end['signal']}" if end.get("signal") else f"ExitCode:{end['exitCode']}"
