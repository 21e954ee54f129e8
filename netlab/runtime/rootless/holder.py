"""The process that holds a user's world: PID 1 of its PID namespace.

It has its listening socket as descriptor 3 and the connection of the command that made it as 4.  It ends with the last
connection where no lab is left.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import struct

#: The greeting names the kind of world: a command of another netlab must know that it fits.
GREETING = b"netlab world 1"
COMM = "netlab-holder"
LISTENER, FIRST = 3, 4
_LABS, _NAMES = "/run/netlab", "/run/netns"
_LOOK = 60_000  # milliseconds between two looks for labs where nobody is connected


def greet(connection: socket.socket) -> None:
    """Give a command the descriptor of this process, by which it enters."""
    pidfd = os.pidfd_open(os.getpid())
    try:
        socket.send_fds(connection, [GREETING], [pidfd])
    finally:
        os.close(pidfd)


def main() -> None:
    """Hold the world until nobody needs it."""
    with open("/proc/self/comm", "w", encoding="ascii") as comm:
        comm.write(COMM)
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    signal.signal(signal.SIGCHLD, _reap)
    _reap()
    listener = socket.socket(fileno=LISTENER)
    listener.listen(128)  # again: from now on those who connect see this process's number
    listener.setblocking(False)
    commands = {FIRST: socket.socket(fileno=FIRST)}
    poll = select.poll()
    poll.register(LISTENER, select.POLLIN)
    poll.register(FIRST, select.POLLIN)
    while commands or _accept(listener, commands, poll) or _has_labs():
        for fd, _event in poll.poll(None if commands else _LOOK):
            if fd == LISTENER:
                _accept(listener, commands, poll)
            elif fd in commands:  # nobody sends anything: it is the end
                poll.unregister(fd)
                commands.pop(fd).close()
    os._exit(0)


def _accept(listener: socket.socket, commands: dict[int, socket.socket], poll: select.poll) -> bool:
    """Greet a command that waits; whether there was such a command."""
    try:
        connection, _ = listener.accept()
    except OSError:
        return False
    _pid, uid, _gid = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    if uid != os.getuid():
        connection.close()
        return True
    try:
        greet(connection)
    except OSError:
        connection.close()
        return True
    commands[connection.fileno()] = connection
    poll.register(connection.fileno(), select.POLLIN)
    return True


def _has_labs() -> bool:
    """Whether a lab is left, also an empty or a broken one, or a namespace that the user named."""
    for folder in (_LABS, _NAMES):
        try:
            names = os.listdir(folder)
        except OSError:
            continue
        if any(not name.startswith(".") for name in names):
            return True
    return False


def _reap(*_: object) -> None:
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass
