"""Features of the kernel that some have and others lack: tests that need them say so by the marker ``needs``.

A line is run by a shell in a network namespace of its own; its exit status is the answer.  A test whose feature is
missing is a skip with that reason.  ``invoke vm-test`` boots kernels that have all of them and fails where it is skipped.
"""

from __future__ import annotations

import functools
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest

from netlab.planes import ROWS
from netlab.runtime.state.sudo import maps_all_users

_SCTP = f"{sys.executable} -I -c 'import socket; socket.socket(socket.AF_INET, socket.SOCK_STREAM, 132)'"

NEEDS = {
    "sctp": _SCTP,
    "geneve": "ip link add g type geneve id 1 remote 192.0.2.1",
    "ipip": "ip link add i type ipip local 192.0.2.1",
    "wireguard": "ip link add w type wireguard",
    "netem": "ip link add v type veth peer name w && tc qdisc add dev v root netem delay 1ms",
}

#: For tests that write to folders of the host in a Pod.
owners = pytest.mark.skipif(
    not maps_all_users(), reason="without root the owner of the host's folders has no number: a Pod may only read them"
)


@functools.cache
def lacks(name: str) -> str:
    """Why tests that need this feature cannot run here; empty where they can."""
    if not shutil.which("unshare"):
        return f"{name} cannot be tried: unshare (of util-linux) is not here"
    tried = subprocess.run(
        ["unshare", "-n", "sh", "-c", NEEDS[name]],
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    last = tried.stderr.strip().rpartition("\n")[2]
    return f"this kernel has no {name} ({last})" if tried.returncode else ""


def planes(*families: str, among: Iterable[str] = ROWS) -> list[Any]:
    """The data planes that carry these families, as parameters that say what their planes need of the kernel."""
    return [with_needs(name, name) for name in among if set(families) <= set(ROWS[name].families)]


def needed(plane: str) -> list[str]:
    """The features that a data plane needs and some kernels lack."""
    return [feature for feature in ROWS[plane].needs if feature in NEEDS]


def with_needs(plane: str, *values: object) -> Any:
    """A parameter of a test for a data plane."""
    features = needed(plane)
    return pytest.param(*values, marks=[pytest.mark.needs(*features)] if features else [])


def needed_by_lab(folder: Path) -> list[str]:
    """The features that a lab folder needs, by its data plane; none where the folder is no lab."""
    file = folder / "lab.yaml"
    plane = re.search(r"^  dataplane: (\S+)", file.read_text(), re.MULTILINE) if file.is_file() else None
    return needed(plane[1]) if plane else []


def families_of(plane: str) -> Sequence[str]:
    """All families that a plane carries."""
    return ROWS[plane].families
