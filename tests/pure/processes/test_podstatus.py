"""READY, STATUS and RESTARTS: what kubectl prints for what the agent says."""

from __future__ import annotations

from typing import Any

import pytest

from netlab.cli.kinds.podstatus import printed, status
from netlab.model import Container, Pod, Port

RUNNING = {"running": {"startedAt": 1000.0}}
DONE = {"terminated": {"exitCode": 0, "reason": "Completed", "startedAt": 1000.0, "finishedAt": 1001.0}}
FAILED = {"terminated": {"exitCode": 3, "reason": "Error", "startedAt": 1000.0, "finishedAt": 1001.0}}


def waiting(reason: str) -> dict[str, Any]:
    return {"waiting": {"reason": reason}}


def shown(
    *main: Any, inits: tuple[Any, ...] = (), sidecars: tuple[Any, ...] = (), restart: str = "Always", alive: bool = True
) -> tuple[str, str, int, str]:
    """Each of them is a state, or a pair of a state and a count of restarts."""
    made: list[tuple[str, str, Any]] = [(f"i{n}", "init", each) for n, each in enumerate(inits)]
    made += [(f"s{n}", "sidecar", each) for n, each in enumerate(sidecars)]
    made += [(f"m{n}", "main", each) for n, each in enumerate(main)]
    records, specs = [], {"containers": [], "initContainers": []}
    for name, role, each in made:
        state, restarts = each if isinstance(each, tuple) else (each, 0)
        records.append({"name": name, "state": state, "last": FAILED if restarts else {}, "restarts": restarts})
        spec = {"name": name, **({"restartPolicy": "Always"} if role == "sidecar" else {})}
        specs["containers" if role == "main" else "initContainers"].append(spec)
    spec = {**specs, "restartPolicy": restart}
    run = tuple(Container(name, runs=True) for name, role, _ in made if role != "init")
    pod = Pod("default", "p", "n", "l-p", (), 1, "", run, spec=spec, inits=tuple(
        Container(name, runs=True) for name, role, _ in made if role == "init"))  # fmt: skip
    return printed({"spec": spec, "status": status(pod, {"containers": records} if alive else None, 0.0)})


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (shown(RUNNING), ("1/1", "Running", 0)),
        (shown(RUNNING, (RUNNING, 2)), ("2/2", "Running", 2)),
        (shown(waiting("ContainerCreating")), ("0/1", "ContainerCreating", 0)),
        (shown((waiting("CrashLoopBackOff"), 4), RUNNING), ("1/2", "CrashLoopBackOff", 4)),
        (shown(waiting("CreateContainerError")), ("0/1", "CreateContainerError", 0)),
        (shown(DONE, restart="Never"), ("0/1", "Completed", 0)),
        (shown(FAILED, restart="Never"), ("0/1", "Error", 0)),
        (shown(RUNNING, DONE, restart="Never"), ("1/2", "NotReady", 0)),
        (shown(waiting("PodInitializing"), inits=(RUNNING, waiting("PodInitializing"))), ("0/1", "Init:0/2", 0)),
        (shown(waiting("PodInitializing"), inits=(DONE, RUNNING)), ("0/1", "Init:1/2", 0)),
        (shown(waiting("PodInitializing"), inits=(DONE, DONE)), ("0/1", "PodInitializing", 0)),
        (shown(waiting("PodInitializing"), inits=(FAILED,), restart="Never"), ("0/1", "Init:Error", 0)),
        (
            shown(waiting("PodInitializing"), inits=((waiting("CrashLoopBackOff"), 2),)),
            ("0/1", "Init:CrashLoopBackOff", 2),
        ),
        (shown(RUNNING, sidecars=(RUNNING,)), ("2/2", "Running", 0)),
        (shown(waiting("PodInitializing"), sidecars=(waiting("PodInitializing"),)), ("0/2", "Init:0/1", 0)),
        (shown(DONE, sidecars=(FAILED,), restart="Never"), ("0/2", "Completed", 0)),
        (shown(RUNNING, alive=False), ("0/1", "Unknown", 0)),
    ],
)
def test_what_kubectl_prints(found: tuple[str, str, int, str], expected: tuple[str, str, int]) -> None:
    assert found[:3] == expected


def test_when_the_last_restart_was() -> None:
    assert shown((RUNNING, 1))[3] == "1970-01-01T00:16:41Z"


def test_a_responder_is_ready_and_the_second_on_a_port_is_not() -> None:
    ports = [{"containerPort": 80}]
    spec = {"containers": [{"name": "a", "ports": ports}, {"name": "b", "ports": ports}]}
    both = (Container("a"), Container("b"))
    pod = Pod("default", "p", "n", "l-p", (), 1, "", both, (Port(80, container="a"),), spec=spec)
    found = status(pod, {}, 0.0)
    assert printed({"spec": spec, "status": found})[:2] == ("1/2", "CrashLoopBackOff")


@pytest.mark.parametrize(
    ("states", "restart", "phase"),
    [
        ((RUNNING,), "Always", "Running"),
        ((DONE,), "Always", "Running"),
        ((DONE,), "Never", "Succeeded"),
        ((DONE, FAILED), "Never", "Failed"),
        ((FAILED,), "OnFailure", "Running"),
        ((RUNNING, waiting("ContainerCreating")), "Always", "Pending"),
    ],
)
def test_phase(states: tuple[Any, ...], restart: str, phase: str) -> None:
    spec = {"containers": [{"name": f"m{n}"} for n in range(len(states))], "restartPolicy": restart}
    run = tuple(Container(f"m{n}", runs=True) for n in range(len(states)))
    records = [{"name": f"m{n}", "state": state, "last": {}, "restarts": 0} for n, state in enumerate(states)]
    pod = Pod("default", "p", "n", "l-p", (), 1, "", run, spec=spec)
    assert status(pod, {"containers": records}, 0.0)["phase"] == phase
