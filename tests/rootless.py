"""``rootless.py all|part|PATHS [OPTIONS]``: pytest as root of a fresh world without root, as ``netlab up`` makes it.

Root becomes an unprivileged user first: the user behind sudo, else nobody.  An interpreter or a checkout below a closed
folder (root's home) is shown to that user in an open one, in a mount namespace of its own.  Where the host forbids such
a world, the reason is printed and the exit status is 0: that is the host's choice, and no fault of netlab's.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NoReturn

from netlab.runtime.agent import seccomp
from netlab.runtime.client.sandbox import WRAPPERS
from netlab.runtime.host.programs import is_single_user
from netlab.runtime.rootless import world
from netlab.runtime.rootless.facts import explained

ROOT = Path(__file__).resolve().parents[1]
NOBODY = 65534

# What runs there.  Left out: drop events (trace), which are for root of the machine; several users (users, safety), which
# a world without root does not map; the host's own namespace; and what measures or needs the whole machine.
ALL = (
    "tests/labs",
    "tests/docs/test_pages.py",
    "tests/kernel/agent",
    "tests/kernel/services",
    "tests/kernel/policies",
    "tests/kernel/observe",
    "tests/kernel/test_dataplanes.py",
    "tests/kernel/test_links.py",
    "tests/kernel/test_get.py",
    "tests/kernel/test_shell.py",
)
# An overlay, policies, Services with names; the shell.
PART = (
    *(f"tests/labs/test_labs.py::test_lab_is_as_its_page_says[{lab}]" for lab in ("overlay", "policy", "dns")),
    "tests/kernel/test_shell.py",
)


def opened() -> list[str]:
    """Shell lines, for a mount namespace of their own: what is needed, in open folders at the same places."""
    needed = [Path(sys.base_prefix).resolve(), Path(sys.prefix).resolve(), ROOT]
    closed = {
        next((each for each in reversed(path.parents) if not each.stat().st_mode & 0o001), None) for path in needed
    }
    shown = [path for path in needed if any(each and path.is_relative_to(each) for each in closed)]
    lines = ["mount -t tmpfs tmpfs /mnt"]
    lines += [f"mkdir /mnt/{at}; mount --bind {path} /mnt/{at}" for at, path in enumerate(shown)]
    lines += [f"mount -t tmpfs -o mode=755 tmpfs {each}" for each in closed if each]
    lines += [f"mkdir -p {path}; mount --bind /mnt/{at} {path}" for at, path in enumerate(shown)]
    return lines if shown else []


def as_user(uid: int, gid: int, command: str) -> str:
    """Shell lines that run the command as an unprivileged user; for a mount namespace of their own."""
    drop = f"setpriv --reuid={uid} --regid={gid} --clear-groups --inh-caps=-all"
    return "\n".join([*opened(), f"exec {drop} {command}"])


def become_a_user(argv: list[str]) -> NoReturn:
    """Start this script again as a user who is not root."""
    uid = int(os.environ.get("SUDO_UID") or NOBODY)
    gid = int(os.environ.get("SUDO_GID") or NOBODY)
    script = as_user(uid, gid, '"$@"')
    env = {name: value for name, value in os.environ.items() if not name.startswith("SUDO_")}
    line = [
        "unshare",
        "--mount",
        "--propagation",
        "private",
        "sh",
        "-ec",
        script,
        "sh",
        sys.executable,
        __file__,
        *argv,
    ]
    os.execvpe(line[0], line, env)


def command(files: str, options: list[str]) -> list[str]:
    """pytest for these files.  The checkout may be another user's, so nothing is written there."""
    paths = {"all": ALL, "part": PART}.get(files) or files.split()
    return [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *paths, *options]


def run(argv: list[str]) -> int:
    """Make the world and run the command in it; its exit status."""
    with tempfile.TemporaryDirectory(prefix="netlab-rootless-") as folder:
        ours, theirs = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(ours)
            _inside(argv, folder, theirs)
        os.close(theirs)
        with os.fdopen(ours) as refused:
            reason = refused.read()
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if reason:
        sys.stderr.write(f"not run: {reason}\n")
        return 0
    return status


def _inside(argv: list[str], folder: str, channel: int) -> NoReturn:
    try:
        world.separate(lambda: False)
        first = os.fork()
        if first:
            os.close(channel)
            os._exit(os.waitstatus_to_exitcode(os.waitpid(first, 0)[1]) & 0xFF)
        world.furnish()
    except world.Refused as refused:
        os.write(channel, explained(refused.refusal).says.encode())
        os._exit(0)
    os.close(channel)
    if is_single_user():  # as a command's entry does
        seccomp.answer("setgroups", 0)
    path = f"{WRAPPERS}:{os.environ.get('PATH', '')}"
    env = {**os.environ, "TMPDIR": folder, "HOME": folder, "PYTHONDONTWRITEBYTECODE": "1", "PATH": path}
    command = subprocess.Popen(argv, env=env)
    while True:  # as the first process it has all orphans for children
        pid, status = os.wait()
        if pid == command.pid:
            os._exit(os.waitstatus_to_exitcode(status) & 0xFF)


if __name__ == "__main__":
    if os.geteuid() == 0 and Path("/proc/self/uid_map").read_text().split()[2] == "4294967295":
        become_a_user(sys.argv[1:])
    sys.exit(run(command(sys.argv[1], sys.argv[2:])))
