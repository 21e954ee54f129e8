"""Probes in a child: whatever a probe does, it is a row, in bounded time, and nothing of it is left."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from netlab.errors import HostCannot
from netlab.runtime.doctor.probes import Probe
from netlab.runtime.doctor.trial import Finding, tried


def nothing() -> None:
    """Enter no namespace."""


def probe(name: str, attempt: object) -> Probe:
    assert callable(attempt)
    return Probe("group", name, attempt)


def fails(error: BaseException) -> object:
    def attempt() -> str:
        raise error

    return attempt


def hang() -> str:
    while True:
        time.sleep(60)


def killed() -> str:
    os.kill(os.getpid(), signal.SIGKILL)
    return "never"


def test_each_failure_is_a_finding() -> None:
    probes = [
        probe("good", lambda: "detail"),
        probe("refused", fails(OSError(95, "Operation not supported"))),
        probe("lacking", fails(HostCannot("no such thing"))),
        probe("broken", fails(ValueError("a secret path"))),
        probe("gone", fails(SystemExit(3))),
        probe("after", lambda: ""),
    ]
    findings = tried(nothing, probes)
    assert findings["good"] == Finding(True, "detail")
    assert findings["refused"] == Finding(False, "Operation not supported", 95)
    assert findings["lacking"] == Finding(False, "no such thing")
    assert findings["broken"] == Finding(False, "ValueError")
    assert findings["gone"].works is None
    assert findings["after"] == Finding(True)
    assert list(findings) == [each.name for each in probes]


def test_probes_that_hang_are_given_up_each_by_itself() -> None:
    given_up = Finding(None, "no answer within 0.2 s")
    assert tried(nothing, [probe("a", hang), probe("b", hang)], bound=0.2) == dict.fromkeys("ab", given_up)


def test_a_probe_that_ends_its_process_costs_its_own_row_alone() -> None:
    dead = Finding(None, "the kernel ended the process that tried it")
    findings = tried(nothing, [probe("dies", killed), probe("good", lambda: "")])
    assert findings == {"dies": dead, "good": Finding(True)}


def test_where_the_namespaces_are_refused_every_probe_says_so() -> None:
    def enter() -> None:
        raise OSError(28, "user")

    assert tried(enter, [probe("a", hang), probe("b", hang)]) == dict.fromkeys("ab", Finding(False, "user", 28))


def test_a_program_that_a_probe_started_ends_with_it(tmp_path: Path) -> None:
    pid = tmp_path / "pid"

    def starts() -> str:
        pid.write_text(str(subprocess.Popen(["sleep", "600"]).pid))
        return killed()

    assert tried(nothing, [probe("starts", starts)])["starts"].works is None
    gone = Path(f"/proc/{pid.read_text()}/stat")
    for _ in range(1000):
        if not gone.exists() or gone.read_text().rpartition(")")[2].split()[0] == "Z":
            return
        time.sleep(0.01)
    pytest.fail("the program lives on")


def test_where_no_process_can_be_made_every_probe_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fork", fails(BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")))
    before = os.listdir("/proc/self/fd")
    full = Finding(None, "Resource temporarily unavailable")
    assert tried(nothing, [probe("a", hang), probe("b", hang)]) == dict.fromkeys("ab", full)
    assert os.listdir("/proc/self/fd") == before


def test_nothing_of_a_child_is_printed(capfd: pytest.CaptureFixture[str]) -> None:
    def speaks() -> str:
        os.write(1, b"out\n")
        os.write(2, b"err\n")
        return ""

    assert tried(nothing, [probe("speaks", speaks)])["speaks"].works
    assert capfd.readouterr() == ("", "")
