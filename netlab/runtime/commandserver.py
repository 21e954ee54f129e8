"""A process that stays behind a large lab and keeps it in memory.

A command on a lab of a thousand Pods and ten thousand policies would read megabytes of documents, and make a hundred
thousand objects of them, to change one label. So the process of an ``up``, ``apply``, ``delete`` or ``label`` leaves a
fork behind. It listens on ``warm.sock`` in the lab's run folder. For each command it forks again, with the words,
descriptors, folder and environment of the user's command.

A command in such a fork gets the results that it would compute itself. Each kept result is found by the texts and the
memory that it was made from (``runtime.state.resolved``), and the kernel is always observed. When a command has changed
the lab, its process takes the place of its parent.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import struct
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from threading import Event

SOCKET, LOG = "warm.sock", "warm.log"
COMM = "netlab-warm"
LARGE = 200  # Pods, policies and Services: from here on resolving takes longer than starting Python
IDLE = 900.0  # seconds
_PATIENCE = 2.0  # seconds until a command does without one that does not begin; it takes milliseconds
_CHECK = 5.0  # seconds between two looks whether its socket and netlab's files are still what they were
_RUN = Path("/run/netlab")  # as in rundir, whose imports a client is spared
_PACKAGE = Path(__file__).resolve().parents[1]
_SPACES = ("mnt", "net", "pid", "user")  # a command from elsewhere would see another host
_FORWARDED = {
    getattr(signal, name): letter
    for name, letter in (("SIGINT", b"I"), ("SIGTERM", b"T"), ("SIGHUP", b"H"))
    if hasattr(signal, name)  # Windows, where netlab only predicts, has no SIGHUP
}
_HERE, _STARTED, _COLD = b"?", b"+", b"-"

Run = Callable[[Sequence[str]], int]

_holds = ""  # the lab that this process has resolved and changed


def holds(lab: str, size: int) -> None:
    """This process has a lab of that many objects in memory, as it now runs."""
    global _holds
    _holds = lab if size >= LARGE else ""


# -- whoever types a command ------------------------------------------------------------------------------------------


def ask(words: Sequence[str]) -> int | None:
    """Run a command line in a command server.  Returns its exit status, or None if there is no server.

    Interrupts are passed on.  As long as nothing has begun, None says that the caller must do the work itself.
    """
    sock = _connect(words)
    if sock is None:
        return None
    heard: list[int] = []

    def forward(number: int, _frame: object) -> None:
        heard.append(number)
        with contextlib.suppress(OSError):
            sock.send(_FORWARDED[signal.Signals(number)])

    before = {number: signal.signal(number, forward) for number in _FORWARDED}
    started, reply = False, b""
    with contextlib.suppress(OSError):
        # What is handed over is only closed by who has taken it: nothing is for one that does not listen.
        if _receives(sock, _HERE, heard) and not heard:
            _hand_over(sock, words)
            started = _receives(sock, _STARTED, heard)
            reply = sock.recv(4) if started else b""
    for number, handler in before.items():
        signal.signal(number, handler)
    if len(reply) == 4:
        return int(struct.unpack("=i", reply)[0])
    if not started and not heard:
        return None
    if heard:  # end as one ends who was not asked what to do about it
        signal.signal(heard[-1], signal.SIG_DFL)
        os.kill(os.getpid(), heard[-1])
    sys.stderr.write("netlab: the command ended before it was done\n")
    return 4


def _hand_over(sock: socket.socket, words: Sequence[str]) -> None:
    """The words, and all that makes a command mean the same.  A stream keeps no borders, so the length comes first."""
    request = json.dumps(
        {"argv": list(words), "cwd": os.getcwd(), "env": dict(os.environ), "umask": _umask(), **_world()}
    ).encode()
    socket.send_fds(sock, [struct.pack("=I", len(request))], [0, 1, 2])
    sock.sendall(request)


def _receives(sock: socket.socket, word: bytes, heard: list[int]) -> bool:
    """Whether that comes from over there: not if that process was stopped or hangs, nor if its caller is interrupted.

    Both sides must agree on whether a command begins.  A socket that was shut down for reading refuses what comes later,
    so who has not said it by then never does.
    """
    until = time.monotonic() + _PATIENCE
    while not heard and time.monotonic() < until:
        if select.select([sock], [], [], 0.05)[0]:
            return sock.recv(1) == word
    sock.shutdown(socket.SHUT_RD)
    return sock.recv(1) == word


def _connect(words: Sequence[str]) -> socket.socket | None:
    """To the process of the lab that the words name, else to the only one: any of them runs any command right."""
    try:
        labs = [lab for lab in os.listdir(_RUN) if os.path.exists(f"{_RUN}/{lab}/{SOCKET}")]
    except OSError:
        return None
    arguments = {*words, *(word.partition("=")[2] for word in words), os.environ.get("NETLAB_LAB", "")}
    named = [lab for lab in labs if lab in arguments]
    meant = named or ([labs[0]] if len(labs) == 1 else [])
    for lab in meant:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            directory = os.open(_RUN / lab, os.O_PATH | os.O_DIRECTORY)
            try:
                sock.settimeout(_PATIENCE)  # where many wait already, connecting would wait too
                sock.connect(f"/proc/self/fd/{directory}/{SOCKET}")
                sock.settimeout(None)
            finally:
                os.close(directory)
        except OSError:
            sock.close()
            continue
        return sock
    return None


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _world() -> dict[str, Any]:
    """The properties that client and server must share, so that a command has the same effect."""
    spaces = [os.stat(f"/proc/self/ns/{name}").st_ino for name in _SPACES]
    return {"python": sys.executable, "package": str(_PACKAGE), "spaces": spaces}


# -- the process that stays -------------------------------------------------------------------------------------------


def stay(run: Run) -> None:
    """Leave a fork of this process behind if it holds a large lab; the caller goes on, and should end soon."""
    import threading

    if not _holds or threading.active_count() > 1:
        return
    signal_end, tell = os.pipe2(os.O_CLOEXEC)
    if os.fork():
        os.close(tell)
        os.read(signal_end, 1)  # the next command is to find it; it ends or it listens within milliseconds
        return
    try:
        os.close(signal_end)
        os.setsid()
        _let_go_of_terminal()
        _serve(_holds, run, lambda: os.close(tell))
    except BaseException:  # noqa: BLE001 - a process of nobody's: there is no one else to tell
        _record(_holds)
    finally:
        os._exit(0)


def _record(lab: str) -> None:
    """Write an error to the server's log file."""
    import traceback

    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW
    with contextlib.suppress(OSError), open(os.open(_RUN / lab / LOG, flags, 0o600), "a", encoding="utf-8") as log:
        traceback.print_exc(file=log)


def _let_go_of_terminal() -> None:
    null = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(null, number)
    os.close(null)
    os.chdir("/")


def _serve(lab: str, run: Run, ready: Callable[[], None] = lambda: None) -> bool:
    """Listen, and fork for each command, for as long as that makes sense; False where there is no place to listen.

    ``ready`` is called when the next command is sure to come here.
    """
    import gc

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    listener, inode = _listen(lab)
    if listener is None:
        return False
    _call_itself(COMM, f"netlab: {lab} in memory (warm)")
    ready()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel buries the children
    gc.freeze()  # so that children look for garbage among their own objects, and shared pages stay shared
    keeper, stamp, last = os.getpid(), _stamp(), time.monotonic()
    listener.settimeout(_CHECK)
    while True:
        try:
            conn, _ = listener.accept()
        except TimeoutError:
            if time.monotonic() - last > IDLE or _inode(lab) != inode or _stamp() != stamp:
                if _inode(lab) == inode:
                    with contextlib.suppress(OSError):
                        os.unlink(_RUN / lab / SOCKET)
                return True
            continue
        last = time.monotonic()
        if os.fork() == 0:
            listener.close()
            try:
                _answer(conn, lab, keeper, stamp, run)
            except BaseException:  # noqa: BLE001 - same
                _record(lab)
            finally:
                os._exit(4)
        conn.close()


def _listen(lab: str) -> tuple[socket.socket | None, int]:
    """A socket that stands where the former one stood, in one step; and what tells it from others."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    mask = os.umask(0o077)
    try:
        directory = os.open(_RUN / lab, os.O_PATH | os.O_DIRECTORY)
        temporary = f".{SOCKET}.{os.getpid()}"
        sock.bind(f"/proc/self/fd/{directory}/{temporary}")
        sock.listen(16)
        os.rename(temporary, SOCKET, src_dir_fd=directory, dst_dir_fd=directory)
        os.close(directory)
    except OSError:  # the lab came down meanwhile
        sock.close()
        return None, 0
    finally:
        os.umask(mask)
    return sock, _inode(lab)


def _inode(lab: str) -> int:
    try:
        return os.stat(_RUN / lab / SOCKET).st_ino
    except OSError:
        return 0


def _stamp() -> int:
    """Of netlab's files: the youngest time and how many there are; 2 ms."""
    youngest, count = 0, 0
    for folder, _, names in os.walk(_PACKAGE):
        for name in names:
            if name.endswith((".py", ".json")):
                with contextlib.suppress(OSError):
                    youngest, count = max(youngest, os.stat(f"{folder}/{name}").st_mtime_ns), count + 1
    return youngest + count


def _answer(conn: socket.socket, lab: str, keeper: int, stamp: int, run: Run) -> None:
    """In a child of ``keeper``, which stays behind ``lab``: run one command as if it had been started where it was typed."""
    import threading

    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    asked, fds = _receive(conn)
    if asked is None or {key: asked.get(key) for key in _world()} != _world() or _stamp() != stamp:
        with contextlib.suppress(OSError):
            conn.send(_COLD)
        if _stamp() != stamp:
            _relieve(keeper)
        return
    for number, fd in enumerate(fds):
        os.dup2(fd, number, inheritable=True)
        os.close(fd)
    os.chdir(asked["cwd"])
    os.umask(asked["umask"])
    os.environ.clear()
    os.environ.update(asked["env"])
    words = asked["argv"]
    sys.argv[1:] = words
    _call_itself("netlab", " ".join(("netlab", *words)))
    _open_streams()
    holds("", 0)
    _ask_the_host_again()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        conn.sendall(_STARTED)
    except OSError:  # it waited too long, and does it by itself
        return
    over = threading.Event()
    try:
        _obey(conn, over)
        status = run(words)
    except KeyboardInterrupt:  # before it had begun, or when it was as good as over
        status = 130
    over.set()
    _let_go_of_terminal()
    reply = struct.pack("=i", status)
    if not _holds:
        conn.sendall(reply)
        return

    def ready() -> None:
        """Report the end of the command once the next command will find this process, not the previous one."""
        if _holds == lab:  # any keeper runs any command, but only that of the same lab is replaced
            _relieve(keeper)
        with contextlib.suppress(OSError):
            conn.sendall(reply)
        conn.close()

    if not _serve(_holds, run, ready):
        conn.sendall(reply)


def _relieve(keeper: int) -> None:
    """End the process that this one was forked from, and wait for that."""
    with contextlib.suppress(OSError):
        pidfd = os.pidfd_open(keeper)
        if os.getppid() == keeper:  # else it ended before, and the number is somebody's
            signal.pidfd_send_signal(pidfd, signal.SIGTERM)
            select.select([pidfd], [], [], 1.0)
        os.close(pidfd)


def _receive(conn: socket.socket) -> tuple[dict[str, Any] | None, list[int]]:
    """The request and its three descriptors; None for another user or an invalid request."""
    conn.settimeout(_PATIENCE)
    try:
        conn.sendall(_HERE)
        _, uid, _ = struct.unpack("=iII", conn.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
        head, fds, _, _ = socket.recv_fds(conn, 4, 3)
        size, data = struct.unpack("=I", head)[0], b""
        # No more than this: what follows are signals.
        while len(data) < size and (more := conn.recv(size - len(data))):
            data += more
        asked = json.loads(data)
    except (OSError, ValueError, struct.error):
        return None, []
    conn.settimeout(None)
    return (asked if uid == os.geteuid() and len(fds) == 3 else None), fds


def _open_streams() -> None:
    sys.stdin = open(0, encoding="utf-8", errors="surrogateescape", closefd=False)
    sys.stdout = open(1, "w", encoding="utf-8", buffering=1 if os.isatty(1) else -1, closefd=False)
    sys.stderr = open(2, "w", encoding="utf-8", errors="backslashreplace", buffering=1, closefd=False)


def _ask_the_host_again() -> None:
    """Forget what was found out about the host: a program may have been installed since."""
    from netlab.runtime.host import programs

    programs.forget()


def _obey(conn: socket.socket, over: Event) -> None:
    """Do to this process what is done to the one that was typed: signals, and its end, until the event says it is over."""
    import threading

    main = threading.get_ident()
    signals = {data: number for number, data in _FORWARDED.items()}

    def watch() -> None:
        while True:
            try:
                data = conn.recv(1)
            except OSError:  # reset: it ended with something unread
                data = b""
            if over.is_set():
                return
            if not data:
                os.kill(os.getpid(), signal.SIGKILL)
            # To that thread: it may be waiting in a system call, which a signal to another does not end.
            signal.pthread_kill(main, signals.get(data, signal.SIGTERM))

    threading.Thread(target=watch, name="netlab-warm", daemon=True).start()


def _call_itself(comm: str, words: str) -> None:
    """Be seen under this name by ps: the memory of the command line is its process's own to write."""
    import ctypes

    with contextlib.suppress(OSError, ValueError, IndexError):
        Path("/proc/self/comm").write_text(comm, encoding="ascii")
        fields = Path("/proc/self/stat").read_bytes().rpartition(b")")[2].split()
        start, end = int(fields[45]), int(fields[46])  # arg_start and arg_end: fields 48 and 49 of proc(5)
        room = end - start
        ctypes.memmove(start, words.encode()[: room - 1].ljust(room, b"\0"), room)


def dismiss(lab: str) -> None:
    """End the processes that stay behind a lab; found by their names, with or without run state."""
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with contextlib.suppress(OSError):
                if Path(f"/proc/{entry}/comm").read_text(encoding="utf-8", errors="replace").strip() != COMM:
                    continue
                words = Path(f"/proc/{entry}/cmdline").read_bytes().partition(b"\0")[0].decode(errors="replace")
                if words.startswith(f"netlab: {lab} "):
                    os.kill(int(entry), signal.SIGKILL)
