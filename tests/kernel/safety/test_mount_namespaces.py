"""Labs in mount namespaces of their own that share /etc: containers with a bound /etc, services with PrivateMounts."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
NETLAB = f"env PYTHONPATH={ROOT} {sys.executable} -m netlab"
WORLD = "mount --make-rprivate /; mount -t tmpfs t /run; mkdir /run/netns; ip link set lo up; "


def _world(script: str) -> subprocess.Popen[str]:
    argv = ["unshare", "-m", "-n", "bash", "-ec", WORLD + script]
    return subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT)


def test_down_leaves_the_files_of_labs_in_other_mount_namespaces(lab_name: str) -> None:
    running = _world(
        f"trap '{NETLAB} down {lab_name} >/dev/null' EXIT; {NETLAB} up overlay --name {lab_name} --no-wait >/dev/null; "
        f"echo up; read line; {NETLAB} diff {lab_name}"
    )
    assert running.stdout is not None
    assert running.stdout.readline() == "up\n"
    other = _world(f"{NETLAB} up overlay --name {lab_name}x --no-wait; {NETLAB} down {lab_name}x")
    said = other.communicate(timeout=120)[0]
    assert other.returncode == 0, said
    assert os.path.isdir("/etc/netns")
    said = running.communicate("look\n", timeout=120)[0]
    assert said == f"lab {lab_name}: no drift\n"
    assert running.returncode == 0
