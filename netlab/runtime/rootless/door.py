"""The way into a user's world: ask its holder, have one made where there is none, enter, go on in a child."""

from __future__ import annotations

import os
import signal
import socket
import struct
import time
from collections.abc import Sequence

from netlab.errors import HostCannot, StateError
from netlab.libc import die_with_parent
from netlab.runtime.agent import linux, seccomp
from netlab.runtime.host.programs import is_single_user
from netlab.runtime.rootless import holder
from netlab.runtime.rootless.passing import stand_for

#: Verbs that make a lab, and verbs that have nothing to do with labs; each other verb enters a world that is there.
MAKES = frozenset(("up", "test", "learn", "class"))
STAYS_OUTSIDE = frozenset(("doctor", "labs", "page", "schema", "completion", "new", "help", "kubectl", "worker"))
_SERVES = frozenset(("kubeconfig", "serve"))  # their server's port is for programs outside
_WITHOUT = frozenset(("-h", "--help", "--predict", "--list", "--watch"))
_KINDS = linux.CLONE_NEWUSER | linux.CLONE_NEWNS | linux.CLONE_NEWNET | linux.CLONE_NEWPID
_PATIENCE = 30.0  # seconds for a holder to greet

#: The names in /run/netlab outside, as they were when this process entered a world: labs of root's.
outside: tuple[str, ...] = ()
#: A socket of the caller's own network namespace, for a server that the command starts.
listener: socket.socket | None = None
#: Another, for a page.
page_listener: socket.socket | None = None


def makes(words: Sequence[str]) -> bool:
    """Whether a command line needs a world, and not only enters one that is there."""
    return bool(words) and words[0] in MAKES and not _WITHOUT & set(words)


def _is_wall(words: Sequence[str]) -> bool:
    """Whether a command line shows a class: its page is for programs outside, and it runs students' commands."""
    return words[0] == "serve" and any(word.partition("=")[0] == "--class" for word in words)


def _is_elsewhere(words: Sequence[str]) -> bool:
    """Whether a command tests on other machines, which are reached by the caller's own network."""
    return words[0] == "test" and any(word.partition("=")[0] == "--machines" for word in words)


def enter(words: Sequence[str]) -> None:
    """Go on as root of the user's world, in a child; return where there is none and the command needs none.

    Before any thread starts: the kernel lets a process with several threads enter no user namespace.  Raises HostCannot
    where this host forbids the world.
    """
    if words and (words[0] in STAYS_OUTSIDE or _is_wall(words) or _is_elsewhere(words)):
        return
    connection = _connected(make=makes(words))
    if connection is None:
        return
    if words and words[0] in _SERVES:
        _listen(words)
    with connection:
        _step_in(_received(connection))


def _listen(words: Sequence[str]) -> None:
    global listener, page_listener
    listener = socket.create_server(("127.0.0.1", 0))
    if words[0] == "serve":
        page_listener = _page_listener(words)


def _page_listener(words: Sequence[str]) -> socket.socket | None:
    """The listener of a page at its --listen and --port; None where the verb's own parser has something to say about it."""
    port, address = _last(words, "--port") or "0", _last(words, "--listen") or "127.0.0.1"
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        return socket.create_server((address, int(port)), family=family, backlog=128)
    except (ValueError, OverflowError):
        return None
    except OSError as error:
        message = f"port {port} of {address} cannot be opened: {error.strerror}"
        raise HostCannot(message, hint="--port N takes another") from error


def _last(words: Sequence[str], option: str) -> str:
    """The value of an option that stands last; "" where there is none."""
    pairs = zip(words, (*words[1:], ""), strict=True)
    values = [value if word == option else word.removeprefix(f"{option}=")
              for word, value in pairs if word == option or word.startswith(f"{option}=")]  # fmt: skip
    return values[-1] if values else ""


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
    """The labs of root's and those that this user made by sudo: the group of a lab's folder is its owner's number."""
    try:
        with os.scandir("/run/netlab") as entries:
            return tuple(
                sorted(
                    entry.name for entry in entries if entry.name[0] != "." and entry.stat().st_gid in (0, os.geteuid())
                )
            )
    except OSError:
        return ()


# -- the holder -------------------------------------------------------------------------------------------------------


def _address(uid: int) -> str:
    """The holder's abstract address: one a user and mount namespace, since another one has other files."""
    return f"\0netlab-rootless-{uid}-{os.stat('/proc/self/ns/mnt').st_ino}"


def unix_socket() -> socket.socket:
    """A socket as holders listen on."""
    return socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)


def holder_pid(uid: int) -> int | None:
    """The number of a user's holder, as this process sees it; None where there is none.  For root as well."""
    with unix_socket() as sock:
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
        sock = unix_socket()
        try:
            sock.connect(_address(uid))
        except ConnectionRefusedError:  # nobody has the address, or who has it does not listen yet
            sock.close()
            if not make:
                return None
            from netlab.runtime.rootless.maker import make as make_holder

            made = make_holder(_address(uid))
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
