"""The way into a user's world: ask its holder, make one where there is none, enter, go on in a child."""

from __future__ import annotations

import errno
import os
import signal
import socket
import struct
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from netlab.errors import HostCannot, StateError
from netlab.libc import die_with_parent
from netlab.runtime.agent import linux, seccomp
from netlab.runtime.host.programs import is_single_user
from netlab.runtime.rootless import holder, subids, world
from netlab.runtime.rootless.causes import Cause, Refusal
from netlab.runtime.rootless.facts import explained
from netlab.runtime.rootless.passing import stand_for

#: Verbs that make a lab, and verbs that have nothing to do with labs; each other verb enters a world that is there.
MAKES = frozenset(("up", "test"))
STAYS_OUTSIDE = frozenset(("doctor", "labs", "schema", "completion", "new", "help"))
_WITHOUT = frozenset(("-h", "--help", "--predict"))
_KINDS = linux.CLONE_NEWUSER | linux.CLONE_NEWNS | linux.CLONE_NEWNET | linux.CLONE_NEWPID
_PATIENCE = 10.0  # seconds for a holder to greet
_HOLDER = str(Path(holder.__file__))

#: The names in /run/netlab outside, as they were when this process entered a world: labs of root's.
outside: tuple[str, ...] = ()


def makes(words: Sequence[str]) -> bool:
    """Whether a command line needs a world, and not only enters one that is there."""
    return bool(words) and words[0] in MAKES and not _WITHOUT & set(words)


def enter(words: Sequence[str]) -> None:
    """Go on as root of the user's world, in a child; return where there is none and the command needs none.

    Before any thread starts: the kernel lets a process with several threads enter no user namespace.  Raises HostCannot
    where this host forbids the world.
    """
    if words and words[0] in STAYS_OUTSIDE:
        return
    connection = _connected(make=makes(words))
    if connection is None:
        return
    with connection:
        _step_in(_received(connection))


def _step_in(pidfd: int) -> None:
    global outside
    outside = _labs_outside()
    try:
        folder = os.getcwd()
    except FileNotFoundError:
        folder = ""
    linux.setns(pidfd, _KINDS)
    os.close(pidfd)
    if folder:
        try:
            os.chdir(folder)  # entering a mount namespace led to its root
        except OSError as error:
            raise StateError(
                f"{folder} is not there in the namespaces of your labs: {error.strerror}",
                hint="what the host mounts later may be missing; `netlab down --all` from another folder, then up again",
            ) from error
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # a caller may have ignored it, and a child's status with it
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    child = os.fork()
    if child:
        stand_for(child)
    die_with_parent(signal.SIGKILL)
    if os.getppid():  # 0 is a parent outside the PID namespace; it ended meanwhile
        os._exit(128 + signal.SIGKILL)
    if is_single_user():  # tcpdump and others that are root shed their groups, and end where the kernel refuses that
        seccomp.answer("setgroups", 0)
    signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _labs_outside() -> tuple[str, ...]:
    try:
        return tuple(sorted(name for name in os.listdir("/run/netlab") if not name.startswith(".")))
    except OSError:
        return ()


# -- the holder -------------------------------------------------------------------------------------------------------


def _address(uid: int) -> str:
    """The holder's abstract address: one a user and mount namespace, since another one has other files."""
    return f"\0netlab-rootless-{uid}-{os.stat('/proc/self/ns/mnt').st_ino}"


def _open() -> socket.socket:
    return socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)


def holder_pid(uid: int) -> int | None:
    """The number of a user's holder, as this process sees it; None where there is none.  For root as well."""
    with _open() as sock:
        try:
            sock.connect(_address(uid))
        except OSError:
            return None
        pid, owner, _gid = _credentials(sock)
        return pid if owner == uid and pid else None


def _credentials(sock: socket.socket) -> tuple[int, int, int]:
    pid, uid, gid = struct.unpack("3i", sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    return pid, uid, gid


def _connected(*, make: bool) -> socket.socket | None:
    """A connection whose greeting is there to be read; None where there is no holder and ``make`` is not set."""
    uid = os.geteuid()
    deadline = time.monotonic() + _PATIENCE
    while True:
        sock = _open()
        try:
            sock.connect(_address(uid))
        except ConnectionRefusedError:  # nobody has the address, or who has it does not listen yet
            sock.close()
            if not make:
                return None
            made = _make(_address(uid))
            if made is not None:
                return made
            time.sleep(0.001)
        else:
            if _credentials(sock)[1] != uid:
                raise StateError(
                    f"user {_credentials(sock)[1]} has the address of your labs' holder", hint="ask that user"
                )
            sock.settimeout(max(0.1, deadline - time.monotonic()))
            try:
                if sock.recv(1, socket.MSG_PEEK):
                    return sock
            except TimeoutError:
                pid = _credentials(sock)[0]
                raise StateError(
                    f"the process that holds your labs, {pid}, does not answer",
                    hint=f"kill -9 {pid} ends it and the labs",
                ) from None
            except ConnectionResetError:
                pass
            sock.close()  # it ended just now: there may be another
        if time.monotonic() > deadline:
            raise StateError("the process that holds your labs ends again and again", hint="ps -C netlab-holder")


def _received(connection: socket.socket) -> int:
    greeting, fds, _flags, _address = socket.recv_fds(connection, 64, 1)
    if greeting == holder.GREETING and fds:
        return fds[0]
    for fd in fds:
        os.close(fd)
    pid = _credentials(connection)[0]
    raise StateError(
        f"your labs are held by process {pid} of another version of netlab",
        hint=f"take them down with that version, or: kill -9 {pid}",
    )


def _make(address: str) -> socket.socket | None:
    """Make a holder; a connection to it, or None where another command makes one.  Raises HostCannot."""
    with _open() as listener:
        try:
            listener.bind(address)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return None
            raise
        listener.listen(128)
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            child = os.fork()
            if child == 0:
                _become_holder(listener, theirs)
    refusal = _wait_for(ours, child)
    if refusal is None:
        return ours
    ours.close()
    reason = explained(refusal)
    raise HostCannot(f"{reason.says}; labs without root need them", hint="\n  ".join(reason.remedy))


def _wait_for(channel: socket.socket, child: int) -> Refusal | None:
    """Help the child until its world is there; what the host refused, else None."""
    try:
        while True:
            message = channel.recv(64, socket.MSG_PEEK)
            if message == holder.GREETING:
                return None
            channel.recv(64)
            if message == b"map":
                channel.send(b"mapped" if subids.map_users(child) else b"map yourself")
                continue
            step, _, code = message.decode().partition(" ")
            return Refusal(step or "fork", int(code or errno.ECHILD))
    finally:
        os.waitpid(child, 0)


def _become_holder(listener: socket.socket, channel: socket.socket) -> NoReturn:
    try:
        os.setsid()
        os.chdir("/")
        os.umask(0o022)
        world.separate(lambda: _is_mapped(channel))
        if os.fork():
            os._exit(0)
        world.furnish()
        _keep_only(listener.fileno(), channel.fileno())
        with socket.socket(fileno=os.dup(holder.FIRST)) as first:
            holder.greet(first)
        argv = [sys.executable, "-I", "-S", "-X", "utf8", _HOLDER]
        os.execve(sys.executable, argv, {"PATH": os.defpath, "LC_ALL": "C"})
    except world.Refused as refused:
        channel.send(f"{refused.refusal.step} {refused.refusal.code}".encode())
    except OSError as error:
        channel.send(f"fork {error.errno}".encode())
    finally:
        os._exit(1)


def _is_mapped(channel: socket.socket) -> bool:
    channel.send(b"map")
    return channel.recv(64) == b"mapped"


def _keep_only(listener: int, channel: int) -> None:
    """The descriptors that the holder finds: nothing of the caller's, whose terminal and pipes must be free to close."""
    high = [os.dup2(fd, 100 + number) for number, fd in enumerate((listener, channel))]
    null = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(null, number)
    for fd, number in zip(high, (holder.LISTENER, holder.FIRST), strict=True):
        os.dup2(fd, number)
    os.closerange(holder.FIRST + 1, os.sysconf("SC_OPEN_MAX"))


# -- may this host? ---------------------------------------------------------------------------------------------------


def forbidden() -> Cause | None:
    """Make a world in a child and drop it; the cause why this host forbids it, None where it does not."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours:
        with theirs:
            child = os.fork()
            if child == 0:
                _try(theirs)
        refusal = _wait_for(ours, child)
    return None if refusal is None else explained(refusal)


def _try(channel: socket.socket) -> NoReturn:
    try:
        world.separate(lambda: _is_mapped(channel))
        if os.fork():
            os._exit(0)
        world.furnish()
        channel.send(holder.GREETING)
    except world.Refused as refused:
        channel.send(f"{refused.refusal.step} {refused.refusal.code}".encode())
    except OSError as error:
        channel.send(f"fork {error.errno}".encode())
    finally:
        os._exit(0)
