"""Which part of the suite the guests run, and how long it takes: the tests for which the kernel matters.

A guest without KVM is 10 to 20 times slower than its host, so the part is chosen. A test that only says what one of
these also says is left out; so is what starts many processes of its own.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from enum import IntEnum
from pathlib import Path
from typing import NamedTuple

from tests.kernel_features import NEEDS

ROOT = Path(__file__).resolve().parents[2]

# Reasons of skips that these kernels excuse. No test that is marked `needs` is among them.
ALLOWED = (
    "this kernel has SCTP, which would answer for us",  # the raw responder's test; needs(sctp) tests the other one
)


class Level(IntEnum):
    """Which runs have a test: ``--part`` and all others; a plain run; ``--all`` alone."""

    PART = 0
    PLAIN = 1
    ALL = 2


class Marked(NamedTuple):
    """A file of tests, or one test: seconds of a processor in a guest without KVM, and the runs that have it."""

    path: str
    seconds: int
    level: Level = Level.PLAIN


FILES = (
    Marked("tests/kernel/services/test_sctp.py", 80, Level.PART),
    Marked("tests/kernel/test_links.py", 50),
    Marked("tests/kernel/test_tunnels.py", 180),
    Marked("tests/kernel/test_system_pods.py", 50),
    Marked("tests/kernel/rootless/test_rootless.py", 150),
    Marked("tests/kernel/cases/test_learned.py", 50),
    Marked("tests/kernel/trace/test_faults_planes.py", 40, Level.ALL),
    Marked("tests/kernel/trace/test_sources.py", 50, Level.ALL),
    Marked("tests/kernel/policies/test_enforcement.py", 80, Level.ALL),
    Marked("tests/kernel/test_planes.py", 125, Level.ALL),
    Marked("tests/kernel/test_packets.py", 130, Level.ALL),
    Marked("tests/kernel/test_dataplanes.py", 250, Level.ALL),
    Marked("tests/kernel/trace/test_faults.py", 230, Level.ALL),
    Marked("tests/kernel/services/test_services.py", 110, Level.ALL),
    Marked("tests/kernel/policies/test_tiers.py", 85, Level.ALL),
    Marked("tests/kernel/observe/test_probe.py", 120, Level.ALL),
    Marked("tests/kernel/cases/test_drift_by_hand.py", 60, Level.ALL),
    Marked("tests/kernel/test_capture.py", 145, Level.ALL),
    Marked("tests/parity/test_learned.py", 90, Level.ALL),
    Marked("tests/parity/test_deviations.py", 130, Level.ALL),
)
LAB = "tests/labs/test_labs.py::test_lab_is_as_its_page_says"
# Labs of what kernels differ in; what the others show (policies, hairpin, node ports ...) is the same on all of them.
PART_LABS = ("overlay", "services", "dual-stack")
PLAIN_LABS = ("calico", "geneve", "mtu", "weave")
_LAB = 10  # seconds
_NEEDING = 60  # of a file that is not listed above, and has a test of a feature that some kernels lack


def marked(level: Level = Level.PLAIN) -> list[Marked]:
    """What a run has: the files, each test of a feature that some kernels lack, and each lab of the checkout."""
    listed = {row.path for row in FILES}
    labs = sorted(path.parent.name for path in (ROOT / "labs").glob("*/lab.yaml"))
    rows = [
        *FILES,
        *(Marked(path, _NEEDING) for path, names in needing().items() if names and path not in listed),
        *(Marked(f"{LAB}[{lab}]", _LAB, _level(lab)) for lab in labs),
    ]
    return [row for row in rows if row.level <= level]


def _level(lab: str) -> Level:
    return Level.PART if lab in PART_LABS else Level.PLAIN if lab in PLAIN_LABS else Level.ALL


@functools.cache
def needing() -> dict[str, tuple[str, ...]]:
    """The files that have tests marked `needs`, with the features that each names."""
    files = sorted(path for folder in ("kernel", "parity") for path in (ROOT / "tests" / folder).glob("**/test_*.py"))
    texts = {str(path.relative_to(ROOT)): path.read_text() for path in files}
    return {
        path: tuple(name for name in NEEDS if f'"{name}"' in text)
        for path, text in texts.items()
        if re.search(r"\bneeds\(|\bkernel_features\b", text)
    }


def features(level: Level = Level.PLAIN) -> tuple[str, ...]:
    """What at least one test of a run needs."""
    paths = {row.path for row in marked(level)}
    return tuple(dict.fromkeys(name for path, names in needing().items() if path in paths for name in names))


def shares(rows: Sequence[Marked], count: int) -> list[list[str]]:
    """The tests shared out to ``count`` guests so that each has as much to do; a guest's files in one order."""
    given: list[tuple[int, list[str]]] = [(0, []) for _ in range(count)]
    for row in sorted(rows, key=lambda row: -row.seconds):
        least = min(range(count), key=lambda at: given[at][0])
        seconds, paths = given[least]
        given[least] = (seconds + row.seconds, [*paths, row.path])
    return [sorted(paths) for _, paths in given if paths]
