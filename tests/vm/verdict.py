"""What makes the lane fail, and its exit status: pure, over what the machines handed back."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from tests.vm.kernels import Kernel
from tests.vm.report import Case

_OUT_OF_TIME = (124, 137)  # timeout(1)


class Job(NamedTuple):
    """The tests of one machine."""

    kernel: Kernel
    label: str
    tests: list[str]
    accel: str


class Done(NamedTuple):
    """How a job ended: pytest's exit status (None: no status), why the machine was given up, JUnit's text."""

    job: Job
    status: int | None
    release: str
    junit: str
    trouble: str
    seconds: float


def ended(job: Job, status: int, release: str, junit: str, seconds: float) -> Done:
    """A job whose pytest has ended; ended by the clock, it counts as given up."""
    late = f"not all of its tests were done after {seconds:.0f} s" if status in _OUT_OF_TIME else ""
    return Done(job, None if late else status, release, junit, late, seconds)


def wrong_skips(ran: Sequence[Case], allowed: Sequence[str]) -> list[str]:
    """The skips that these kernels do not excuse: a test of a feature that is there, or one with an unknown reason."""
    return [
        f"{case.kernel}: skipped: {case.group}::{case.name}: {case.why}"
        for case in ran
        if case.result == "skipped" and (case.needs or not any(re.search(reason, case.why) for reason in allowed))
    ]


def untried(ran: Sequence[Case], kernels: Iterable[str], features: Iterable[str]) -> list[str]:
    """The features of a kernel that no test of the run has tried."""
    tried = {(case.kernel, feature) for case in ran if case.result != "skipped" for feature in case.needs}
    return [f"{one}: no test of {name} has run" for one in kernels for name in features if (one, name) not in tried]


def faults(done: Sequence[Done], ran: Sequence[Case], allowed: Sequence[str], features: Sequence[str]) -> list[str]:
    """What is wrong with netlab or its tests; ``features``: what each kernel must have tried."""
    whole = {one.release for one in done} - {one.release for one in done if one.trouble}
    return [
        *(f"{one.job.label}: pytest ended with {one.status}" for one in done if one.status not in (None, 0, 5)),
        *(f"{case.kernel}: failed: {case.group}::{case.name}: {case.why}" for case in ran if case.result == "failed"),
        *wrong_skips(ran, allowed),
        *untried(ran, sorted(whole), features),
        *([] if ran or not whole else ["no test has run"]),
    ]


def troubles(done: Sequence[Done]) -> list[str]:
    """The machines that were given up."""
    return [f"{one.job.label}: given up: {one.trouble}" for one in done if one.trouble]


def flaky(ran: Sequence[Case]) -> list[str]:
    """The tests that failed, and passed when they were run once more: no faults, but never untold."""
    return [f"{case.kernel}: flaky: {case.group}::{case.name}: {case.flaky}" for case in ran if case.flaky]


def exit_status(faults: Sequence[str], troubles: Sequence[str], *, if_possible: bool) -> int:
    """A fault is a failure in any case; a machine that was given up is a failure unless the host excuses it."""
    return 1 if faults else 4 if troubles and not if_possible else 0
