"""Entering a Pod: what a process does between fork and exec to become one of the Pod's.

The order matters.  Everything is imported and read before the namespaces change, since Python's files are not looked
for inside the view.  Until exec the process is not dumpable, so nothing in the Pod can reach the host through its
/proc entry (its root and its program are still the host's); then the capabilities go; then exec.
"""

from __future__ import annotations

import errno
import os
import signal
import stat
from collections.abc import Mapping, Sequence

from netlab.runtime.agent import linux, seccomp

_ALL_BUT_PID = linux.CLONE_NEWNS | linux.CLONE_NEWUTS | linux.CLONE_NEWIPC | linux.CLONE_NEWNET
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
APPLETS = "/run/busybox"  # in a Pod: the view makes a link to busybox for each of its applets
WRAPPERS = "/run/netlab-bin"  # in a user namespace of a single user: programs that need another option there
NOT_EXECUTABLE, NOT_FOUND = 126, 127  # the shell's own


class Entry:
    """Makes children that live in a sandbox; the calling process stays where it is, threads and all."""

    def __init__(self, pidfd: int) -> None:
        self.pidfd = pidfd

    def fork(self) -> int:
        """As os.fork; the child is in the Pod's PID namespace and must call ``arrive`` next.  OSError if refused.

        A PID namespace is entered by one's later children only, and a caller in a user namespace could not point its
        children back.  So a helper points its own there, forks, and ends; the caller, as subreaper, inherits the child.
        """
        read, write = os.pipe2(os.O_CLOEXEC)
        linux.prctl(linux.PR_SET_CHILD_SUBREAPER, 1)
        helper = os.fork()
        if helper == 0:
            self._help(write)
            os.close(read)
            os.close(write)
            return 0
        os.close(write)
        try:
            output = os.read(read, 32)
            os.waitpid(helper, 0)
        finally:
            linux.prctl(linux.PR_SET_CHILD_SUBREAPER, 0)
            os.close(read)
        number = int(output or b"-5")
        if number < 0:
            raise OSError(-number, f"setns: {os.strerror(-number)}")
        return number

    def _help(self, report: int) -> None:
        """The helper; returns in the Pod's new process alone."""
        child = -1
        try:
            linux.prctl(linux.PR_SET_DUMPABLE, 0)  # and so for the child, from its birth
            linux.setns(self.pidfd, linux.CLONE_NEWPID)
            child = os.fork()
            if child != 0:
                os.write(report, b"%d" % child)
        except OSError as refusal:
            os.write(report, b"-%d" % (refusal.errno or errno.EPERM))
        finally:
            if child != 0:
                os._exit(0)

    def arrive(self, hostname: str) -> None:
        """In the child: the Pod's root, network, host name and IPC."""
        linux.setns(self.pidfd, _ALL_BUT_PID)
        os.chdir("/")
        if hostname:
            linux.sethostname(hostname)


def become(keep: Sequence[int] = ()) -> None:
    """In the child, last before exec: no descriptor but 0-2 and ``keep``, no privilege that a container lacks."""
    for fd in (0, 1, 2):
        try:
            # a directory of the host would be a way out of the view
            if stat.S_ISDIR(os.fstat(fd).st_mode):
                os.dup2(os.open("/dev/null", os.O_RDWR), fd)
        except OSError:  # closed
            os.dup2(os.open("/dev/null", os.O_RDWR), fd)
    low = 3
    for fd in sorted(keep):
        os.closerange(low, fd)
        low = fd + 1
    os.closerange(low, os.sysconf("SC_OPEN_MAX"))
    os.umask(0o022)
    try:
        os.setgroups([])
    except OSError:  # a user namespace whose setgroups is denied
        pass
    linux.limit_capabilities(linux.CAPABILITIES)
    for number in (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    for number in (signal.SIGCHLD, signal.SIGWINCH, signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    seccomp.refuse()


def execute(argv: Sequence[str], env: Mapping[str, str]) -> int:
    """Exec ``argv`` as a shell would find it, with the links to busybox's applets last on PATH.

    Returns only where that fails: 126 (it cannot be executed) or 127 (there is no such command), said on stderr.
    """
    name, status, message = argv[0], NOT_FOUND, "command not found"
    env = {**env, "PATH": _path(env.get("PATH", PATH))}
    paths = [name] if "/" in name else [f"{folder}/{name}" for folder in env["PATH"].split(":") if folder]
    for folder in paths:
        try:
            os.execve(folder, list(argv), env)
        except OSError as refusal:
            if refusal.errno in (errno.ENOENT, errno.ENOTDIR):
                message = "No such file or directory" if "/" in name else message
                continue
            status, message = NOT_EXECUTABLE, refusal.strerror or "cannot be executed"
            if os.path.isdir(folder) and "/" not in name:
                status, message = NOT_FOUND, "command not found"
    os.write(2, f"netlab: {name}: {message}\n".encode(errors="replace"))
    return status


def _path(path: str) -> str:
    """The PATH with wrappers first and the links to applets last, so that children find them too; without what is not
    there.
    """
    first = f"{WRAPPERS}:" if os.path.isdir(WRAPPERS) else ""
    there = any(os.path.exists(f"{folder}/busybox") for folder in path.split(":") if folder)
    return f"{first}{path}:{APPLETS}" if there else first + path
