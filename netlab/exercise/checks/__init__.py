"""The kinds of checks, one small file each.  A new kind is a class here, its name in KINDS and its fields in the schema.

``KEEPS``: once true, it stays so for the rest of its step (packets were seen, a question was answered); the others must
be true at one time.  ``SENDS``: it sends packets of its own, which a capture in the same step would see.
"""

from __future__ import annotations

from netlab.exercise.checks.ask import Ask
from netlab.exercise.checks.base import Check
from netlab.exercise.checks.capture import Capture
from netlab.exercise.checks.fdb import FdbEntry
from netlab.exercise.checks.matrix import Matrix
from netlab.exercise.checks.neigh import Neighbour
from netlab.exercise.checks.nft import Nft
from netlab.exercise.checks.probe import Probe
from netlab.exercise.checks.resolves import Resolves
from netlab.exercise.checks.route import RouteTo
from netlab.exercise.checks.sysctl import SysctlValue

KINDS: dict[str, type[Check]] = {
    "probe": Probe,
    "matrix": Matrix,
    "resolves": Resolves,
    "route": RouteTo,
    "neigh": Neighbour,
    "fdb": FdbEntry,
    "sysctl": SysctlValue,
    "nft": Nft,
    "capture": Capture,
    "ask": Ask,
}
