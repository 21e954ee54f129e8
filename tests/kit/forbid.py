"""``forbid.py SETTING COMMAND...``: the command in a user namespace with all users, in which a user makes no namespaces.

SETTING is a sysctl of user namespaces (``user.max_user_namespaces=0``), which the kernel counts in each of them alone, or
``seccomp``: a filter as that of a container engine.
"""

from __future__ import annotations

import errno
import os
import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from netlab.libc import die_with_parent
from netlab.runtime.agent import linux
from netlab.runtime.agent.seccomp import answer

CANNOT = 77  # exit status: this host gives root no such namespaces


def main(setting: str, *command: str) -> None:
    """Become the command, as the first process of a PID namespace."""
    (read, unshared), (mapped, write) = os.pipe(), os.pipe()
    child = os.fork()
    if child:
        os.close(unshared)
        os.read(read, 1)
        for name in ("uid_map", "gid_map"):
            Path(f"/proc/{child}/{name}").write_text("0 0 65536\n")
        os.write(write, b".")
        _leave_as(child)
    linux.unshare(linux.CLONE_NEWUSER)
    os.write(unshared, b".")
    os.read(mapped, 1)
    linux.unshare(linux.CLONE_NEWNS | linux.CLONE_NEWPID | linux.CLONE_NEWNET)
    child = os.fork()
    if child:
        _leave_as(child)
    die_with_parent(signal.SIGKILL)
    linux.mount("none", "/", flags=linux.MS_REC | linux.MS_PRIVATE)
    linux.mount("proc", "/proc", "proc")
    if setting == "seccomp":
        linux.prctl(linux.PR_SET_NO_NEW_PRIVS, 1)
        answer("unshare", errno.EPERM)
    else:
        name, _, value = setting.partition("=")
        Path("/proc/sys", *name.split(".")).write_text(value)
    os.execvp(command[0], command)


def _leave_as(child: int) -> None:
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))


try:
    main(*sys.argv[1:])
except OSError as error:
    sys.stderr.write(f"{error}\n")
    sys.exit(CANNOT)
