"""A shell with a /run of its own, in which several users have labs and nobody else has any."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
Type = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """A folder that every user may read: pytest's own is root's alone."""
    with tempfile.TemporaryDirectory(prefix="netlab-users-") as folder:
        path = Path(folder)
        path.chmod(0o755)
        yield path


@pytest.fixture
def world(tmp_path: Path) -> Iterator[Type]:
    """``world("netlab ls", user=1002, check=0)``: a line of shell, in a folder of its own; all labs go at the end."""
    holder = subprocess.Popen(
        ["unshare", "--mount", "--propagation", "private", "sh", "-ec",
         "mount -t tmpfs tmpfs /run; mkdir -p /etc/netns; mount -t tmpfs tmpfs /etc/netns; mkdir -p /run/netns /run/lock; echo ready; exec cat"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert holder.stdout is not None and holder.stdin is not None
    if holder.stdout.readline() != "ready\n":
        pytest.skip("no mount namespace to be had here")
    stub = tmp_path / ".bin" / "netlab"
    stub.parent.mkdir()
    stub.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m netlab "$@"\n')
    stub.chmod(0o755)

    def run(line: str, *, user: int = 0, check: int | None = 0, **more: str) -> subprocess.CompletedProcess[str]:
        keep = {key: value for key, value in os.environ.items() if not key.startswith(("NETLAB_", "SUDO_"))}
        behind = {"SUDO_UID": str(user), "SUDO_GID": str(user)} if user else {}
        path = f"{stub.parent}:{keep.get('PATH', '')}:/usr/sbin:/sbin"
        done = subprocess.run(
            ["nsenter", f"--mount=/proc/{holder.pid}/ns/mnt", f"--wd={tmp_path}", "sh", "-c", line],
            capture_output=True, text=True, timeout=120, check=False, stdin=subprocess.DEVNULL,
            env={**keep, **behind, "PATH": path, "PYTHONPATH": str(ROOT), **more},
        )  # fmt: skip
        assert check is None or done.returncode == check, f"{line}\n{done.stdout}\n{done.stderr}"
        return done

    yield run
    run("netlab down --all", check=None)
    holder.communicate(timeout=120)
