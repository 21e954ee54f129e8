"""Labs of root's and labs without root: each user sees the own ones of both worlds, and nobody else's."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from tests import rootless

pytestmark = pytest.mark.kernel
ROOT = Path(__file__).resolve().parents[3]
ANN, BOB, EVE = 1001, 1002, 1003
LAB = """apiVersion: netlab/v1
kind: Lab
metadata: {name: mine}
---
apiVersion: v1
kind: Pod
metadata: {name: web}
spec: {containers: [{name: c, image: x, ports: [{containerPort: 80}]}]}
"""


class Done(NamedTuple):
    """What a command printed, on both streams, and its exit status."""

    text: str
    status: int

    @property
    def worlds(self) -> dict[str, str]:
        """The labs of ``ls -o json``, each with its world."""
        return {row["lab"]: row["world"] for row in json.loads(self.text)}


def play(folder: Path, *steps: tuple[str, int, str]) -> list[Done]:
    """Commands of several users, in order, in namespaces that end with the last: (``sudo`` or ``plain``, user, words)."""
    lines = rootless.opened()
    lines += [
        "mount -t tmpfs tmpfs /run",
        "mkdir -p /run/netns /run/lock /etc/netns",
        "mount -t tmpfs tmpfs /etc/netns",
    ]
    netlab = f"{sys.executable} -m netlab"
    for number, (how, user, words) in enumerate(steps):
        before = (
            f"SUDO_UID={user} SUDO_GID={user} exec"
            if how == "sudo"
            else f"exec setpriv --reuid={user} --regid={user} --clear-groups"
        )
        lines.append(f"( cd {folder}; {before} {netlab} {words} ) >{folder}/{number} 2>&1 && s=0 || s=$?; echo $s")
    keep = {key: value for key, value in os.environ.items() if not key.startswith(("NETLAB_", "SUDO_"))}
    done = subprocess.run(
        ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-ec", "\n".join(lines)],
        capture_output=True, text=True, timeout=300, check=False, stdin=subprocess.DEVNULL,
        env={**keep, "PATH": f"{keep.get('PATH', '')}:/usr/sbin:/sbin", "PYTHONPATH": str(ROOT), "HOME": "/"},
    )  # fmt: skip
    statuses = list(map(int, done.stdout.split()))
    assert len(statuses) == len(steps), done.stderr
    return [Done((folder / str(number)).read_text(), status) for number, status in enumerate(statuses)]


def test_two_users_with_labs_in_both_worlds(tmp_path: Path) -> None:
    (tmp_path / "lab.yaml").write_text(LAB)
    made = play(
        tmp_path,
        ("plain", BOB, "up lab.yaml --name bobs"),
        ("sudo", ANN, "up lab.yaml --name by-sudo"),
        ("plain", ANN, "get pods"),
        ("plain", EVE, "get pods"),
        ("plain", ANN, "up lab.yaml --name mine"),
        ("plain", ANN, "ls -o json"),
        ("plain", ANN, "ls"),
        ("plain", ANN, "get pods --lab by-sudo"),
        ("plain", ANN, "get pods --lab bobs"),
        ("plain", BOB, "ls -o json"),
        ("sudo", ANN, "ls -o json"),
        ("sudo", ANN, "exec --lab mine web -- hostname"),
        ("plain", ANN, "down by-sudo"),
        ("sudo", ANN, "down --all"),
        ("sudo", ANN, "reach"),
        ("plain", ANN, "shell -- sh -c 'ip -n mine-web -br addr show dev eth0; netlab ls -o json'"),
        ("plain", ANN, "down --all"),
        ("plain", BOB, "ls -o json"),
    )
    done = iter(made)
    if made[0].status == 3:
        pytest.skip(f"labs without root are not to be had here: {made[0].text}")
    assert next(done).status == next(done).status == 0, made
    before, stranger = next(done), next(done)
    assert before.status == 3 and "sudo netlab get pods" in before.text, "no world of her own yet, but a lab by sudo"
    assert stranger.status == 2 and "no lab is running" in stranger.text
    assert next(done).status == 0
    assert next(done).worlds == {"mine": "rootless", "by-sudo": "root"}
    table = next(done).text
    assert re.search(r"^mine +2 +1 .* rootless$", table, re.M) and re.search(r"^by-sudo +\? .* root$", table, re.M)
    assert "for by-sudo type: sudo netlab ..." in table
    mine, bobs = next(done), next(done)
    assert mine == ("netlab: lab by-sudo runs as root: this needs root\n  sudo netlab get pods --lab by-sudo\n", 3)
    assert bobs.status == 2 and 'no lab called "bobs" is running; running: mine' in bobs.text
    assert next(done).worlds == {"bobs": "rootless"}
    assert next(done).worlds == {"by-sudo": "root", "mine": "rootless"}
    there = next(done)
    assert there.status == 2 and "lab mine runs without root" in there.text
    assert there.text.endswith("  netlab exec --lab mine web -- hostname\n")
    assert "still running as root: sudo netlab down by-sudo" in next(done).text
    assert "still running without root: netlab down mine" in next(done).text
    assert "\n  netlab reach\n" in next(done).text
    inside = next(done)
    assert inside.status == 0 and "10.244.1.2/24" in inside.text and '"lab": "mine"' in inside.text
    assert next(done).status == 0
    assert next(done).worlds == {"bobs": "rootless"}
