"""Jobs whose Pods end: what comes after a success, after a failure, and after too many of them."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from netlab.runtime import step
from tests.conftest import run_netlab
from tests.kernel.processes.conftest import Lab

pytestmark = pytest.mark.kernel


def job(name: str, line: str, restart: str = "Never", **spec: Any) -> str:
    pod = {"restartPolicy": restart, "containers": [{"name": "c", "image": "x", "command": ["sh", "-c", line]}]}
    body = {"template": {"spec": pod}, **spec}
    return json.dumps({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name}, "spec": body})


def status(lab: Lab, name: str) -> dict[str, Any]:
    found: dict[str, Any] = lab.netlab("get", "job", name, "-o", "json").json["status"]
    return found


def reasons(lab: Lab, name: str) -> dict[str, str]:
    return {each["type"]: each["reason"] for each in status(lab, name).get("conditions", ())}


def test_jobs_go_on_until_they_are_complete_or_have_failed(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    lab.up({"one": {"containers": [{"name": "c", "image": "x"}]}})
    two = job("two", "true", completions=2, parallelism=1)
    flaky = job("flaky", "exit 3", backoffLimit=1)
    never = job("never", "exit 3", "OnFailure", backoffLimit=1)
    lab.path.write_text(f"{lab.path.read_text()}\n---\n{two}\n---\n{flaky}\n---\n{never}")
    run_netlab("up", str(lab.path))
    lab.until(lambda: "Complete" in reasons(lab, "two"))
    assert status(lab, "two")["succeeded"] == 2

    # The first start after a failure comes at once: then the limit is reached, and the Pod goes.
    lab.until(lambda: reasons(lab, "never") == {"Failed": "BackoffLimitExceeded"})
    lab.until(lambda: not [name for name in lab.pods() if name.startswith("never-")])

    lab.until(lambda: status(lab, "flaky").get("failed"))
    now = time.time  # its back-off takes ten seconds
    monkeypatch.setattr(step.time, "time", lambda: now() + 60)
    step.step(lab.name)
    lab.until(lambda: reasons(lab, "flaky") == {"Failed": "BackoffLimitExceeded"})
    first, second = (name for name in lab.pods() if name.startswith("flaky-"))
    assert status(lab, "flaky")["failed"] == 2
    lab.until(lambda: lab.diff() == 0)

    # A failed Pod that is deleted stays away, and nothing comes in its place; another `up` changes nothing.
    lab.netlab("delete", "pod", first)
    lab.until(lambda: run_netlab("up", str(lab.path), "-o", "json").json["changed"] == 0)
    assert [name for name in lab.pods() if name.startswith("flaky-")] == [second]
