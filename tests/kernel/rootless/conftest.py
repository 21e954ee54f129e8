"""Commands of plain users, in a mount and PID namespace that ends with the test: no holder and no lab outlives it."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[3]
#: The host may have labs of other tests, and a plain user sees root's.  A mount on /run/netlab itself would go with that
#: folder: the last `down` on the host removes it, and with it what is mounted there in any namespace.
_NO_OTHER_LABS = "mount -t tmpfs -o mode=755 tmpfs /run"
#: As where root has labs: a folder that the user may not write.
_ROOTS_FILES = "[ ! -d /etc/netns ] || mount -t tmpfs -o mode=755 netlab /etc/netns"
Plain = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def home() -> Iterator[Path]:
    """A folder that every user may write: pytest's own is root's alone."""
    with tempfile.TemporaryDirectory(prefix="netlab-rootless-") as folder:
        path = Path(folder)
        path.chmod(0o1777)
        stub = path / "bin" / "netlab"
        stub.parent.mkdir()
        stub.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m netlab "$@"\n')
        for each in (stub.parent, stub):
            each.chmod(0o755)
        yield path


@pytest.fixture
def plain(kit: Any, home: Path) -> Plain:
    """``plain(script)``: a shell script of the user nobody; ``before`` is one of user 1234's, which ends before."""

    def run(script: str, *, before: str = "", forbid: str = "") -> subprocess.CompletedProcess[str]:
        for name, text in (("script", script), ("before", before)):
            (home / name).write_text(f"cd {home}\n{text}")
        *mounts, drop = kit.as_nobody(f"sh {home}/script").splitlines()
        mounts += [_NO_OTHER_LABS, _ROOTS_FILES]
        other = drop.removeprefix("exec ").replace("=65534", "=1234").replace("/script", "/before")
        words = ["sh", "-ec", "\n".join([*mounts, *([other] if before else ()), drop])]
        if forbid:
            words = [sys.executable, str(ROOT / "tests" / "kit" / "forbid.py"), forbid, *words]
        else:
            words = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", *words]
        keep = {name: value for name, value in os.environ.items() if not name.startswith(("NETLAB_", "SUDO_", "XDG_"))}
        env = {
            **keep,
            "PATH": f"{home}/bin:{keep.get('PATH', '')}:/usr/sbin:/sbin",
            "PYTHONPATH": str(ROOT),
            "HOME": str(home),
        }
        done = subprocess.run(
            words, capture_output=True, text=True, timeout=900, check=False, stdin=subprocess.DEVNULL, env=env
        )
        if forbid and done.returncode == 77:
            pytest.skip(f"no user namespace to forbid others in: {done.stderr}")
        return done

    return run
