"""Labs for the tests of the core: made in this process, without the command line.

``kit`` has what most of them need: a spec as text, its desired state, ``up`` and ``down``, pings, shell lines.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from netlab.model import Cluster, build
from netlab.objects import File, Listener, State
from netlab.plan import check, desired
from netlab.runtime import lab as labs
from netlab.runtime.state.rundir import Applied
from netlab.spec import Text, load_texts
from tests import rootless


class Kit:
    """What the tests of the core share."""

    @staticmethod
    def sh(line: str, *, check: bool = True, timeout: float = 60) -> str:
        """A shell line's stdout; the test fails where the line does."""
        done = subprocess.run(
            ["sh", "-ec", line], capture_output=True, text=True, timeout=timeout, check=False, stdin=subprocess.DEVNULL
        )
        assert not check or done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
        return done.stdout

    @staticmethod
    def spec(
        lab: str,
        pods: Sequence[tuple[str, str]] = (("client", "node-1"), ("server", "node-2")),
        nodes: Sequence[str] = ("node-1", "node-2"),
        **more: Any,
    ) -> str:
        """A lab of some Pods, each (name, node); every Pod serves port 80.  ``more`` goes into the lab's spec."""
        document = {
            "apiVersion": "netlab/v1",
            "kind": "Lab",
            "metadata": {"name": lab},
            "spec": {"nodes": [{"name": name} for name in nodes], **more},
        }
        objects = [
            {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {"name": name, "labels": {"app": name[:60]}},
                "spec": {
                    "nodeName": node,
                    "containers": [{"name": "main", "image": "x", "ports": [{"containerPort": 80}]}],
                },
            }
            for name, node in pods
        ]
        return "\n---\n".join(json.dumps(one) for one in (document, *objects))

    @staticmethod
    def cluster(text: str) -> Cluster:
        return build(load_texts([Text("lab.yaml", text)]), check=check).cluster

    @classmethod
    def want(cls, text: str, *, files: bool = False) -> State:
        """The desired state, less what needs an agent."""
        left_out = (Listener,) if files else (Listener, File)
        return State(one for one in desired(cls.cluster(text)).values() if not isinstance(one, left_out))

    @staticmethod
    def draft(text: str, source: str = "/somewhere/lab.yaml", name: str = "") -> Applied:
        return Applied(source, name, (("lab.yaml", text),))

    @classmethod
    def up(cls, text: str, source: str = "/somewhere/lab.yaml", name: str = "") -> labs.Up:
        return labs.up(cls.draft(text, source, name))

    @staticmethod
    def down(name: str) -> labs.Down:
        return labs.down(name)

    @staticmethod
    def ping(netns: str, address: str, *options: str) -> bool:
        """One echo, answered within a second; ``-s BYTES -M do`` and the like go in ``options``."""
        line = ["ip", "netns", "exec", netns, "ping", "-n", "-q", "-c", "1", "-W", "1", *options, address]
        return subprocess.run(line, capture_output=True, check=False).returncode == 0

    @staticmethod
    def as_nobody(command: str) -> str:
        """Shell lines that run the command as the user nobody; for a mount namespace of their own.

        An interpreter or a checkout below a closed folder (root's home) is shown in an open one at the same place.
        """
        if not shutil.which("setpriv"):
            pytest.skip("setpriv is missing")
        return rootless.as_user(rootless.NOBODY, rootless.NOBODY, command)

    @staticmethod
    def remains(lab: str) -> list[str]:
        """What is left of a lab on this host: names, files, mounts, processes."""
        found = [f"/run/netns/{one}" for one in _list("/run/netns") if one.startswith(f"{lab}-")]
        found += [f"/etc/netns/{one}" for one in _list("/etc/netns") if one.startswith(f"{lab}-")]
        found += [f"/run/netlab/{one}" for one in _list("/run/netlab") if one == lab]
        found += [f"/run/netlab/.lock/{one}" for one in _list("/run/netlab/.lock") if one == lab]
        mounts = Path("/proc/self/mounts").read_text(errors="replace").splitlines()
        found += [line for line in mounts if f"/{lab}-" in line or line.endswith(f"/{lab}")]
        for _ in range(600):  # a process that was told to go needs a moment
            processes = [line for line in _agents() if f" {lab} " in f"{line} "]
            if not processes:
                break
            time.sleep(0.05)
        return found + processes


def _list(folder: str) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except OSError:
        return []


def _agents() -> list[str]:
    found = []
    for entry in _list("/proc"):
        if entry.isdigit():
            with contextlib.suppress(OSError):
                words = Path(f"/proc/{entry}/cmdline").read_bytes().decode(errors="replace").replace("\0", " ")
                comm = Path(f"/proc/{entry}/comm").read_text().strip()
                if "netlab" in comm or "netlab" in words:
                    found.append(f"process {entry} {words}")
    return found


@pytest.fixture(scope="session")
def kit() -> type[Kit]:
    return Kit


@pytest.fixture
def lab(lab_name: str) -> Iterator[str]:
    """A lab's name; the lab is taken down afterwards, if it is up."""
    yield lab_name
    labs.down(lab_name)
