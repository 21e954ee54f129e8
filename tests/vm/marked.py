"""Which part of the suite the guests run, and how long it takes: the tests for which the kernel matters.

A guest without KVM is 10 to 20 times slower than its host, so the part is chosen. A test that only says what one of
these also says is left out; so is what starts many processes of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]

# Reasons of skips that these kernels excuse. No test that is marked `needs` is among them.
ALLOWED = (
    "this kernel has SCTP, which would answer for us",  # the raw responder's test; needs(sctp) tests the other one
)


class Marked(NamedTuple):
    """A file of tests, or one test: seconds on a guest of one vCPU without KVM; whether `--part` has it."""

    path: str
    seconds: int
    part: bool = False


FILES = (
    Marked("tests/kernel/services/test_sctp.py", 60, part=True),
    Marked("tests/kernel/test_links.py", 120),
    Marked("tests/kernel/test_packets.py", 60),
    Marked("tests/kernel/test_dataplanes.py", 180),
    Marked("tests/kernel/trace/test_faults.py", 240),
    Marked("tests/kernel/trace/test_faults_planes.py", 40),
    Marked("tests/kernel/trace/test_sources.py", 50),
    Marked("tests/kernel/services/test_services.py", 100),
    Marked("tests/kernel/policies/test_enforcement.py", 60),
    Marked("tests/kernel/policies/test_tiers.py", 60),
    Marked("tests/kernel/observe/test_probe.py", 100),
    Marked("tests/parity/test_learned.py", 60),
    Marked("tests/kernel/cases/test_learned.py", 30),
    Marked("tests/kernel/cases/test_drift_by_hand.py", 50),
    Marked("tests/parity/test_deviations.py", 60),
    Marked("tests/kernel/test_capture.py", 100),
)
LAB = "tests/labs/test_labs.py::test_lab_is_as_its_page_says"
LAB_SECONDS = 20
PART_LABS = ("overlay", "services", "dual-stack")


def marked(*, part: bool = False) -> Iterator[Marked]:
    """What a run has: the files, and each lab of the checkout as a test."""
    yield from (one for one in FILES if one.part or not part)
    for lab in sorted(path.parent.name for path in (ROOT / "labs").glob("*/lab.yaml")):
        if not part or lab in PART_LABS:
            yield Marked(f"{LAB}[{lab}]", LAB_SECONDS, lab in PART_LABS)


def halves(rows: Iterator[Marked], count: int) -> list[list[str]]:
    """The tests shared out to ``count`` guests so that each has as much to do; a guest's files in one order."""
    shares: list[tuple[int, list[str]]] = [(0, []) for _ in range(count)]
    for row in sorted(rows, key=lambda row: -row.seconds):
        least = min(range(count), key=lambda at: shares[at][0])
        seconds, paths = shares[least]
        shares[least] = (seconds + row.seconds, [*paths, row.path])
    return [sorted(paths) for _, paths in shares if paths]
