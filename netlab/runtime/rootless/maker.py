"""Make a holder: a child leaves for a world of its own, and becomes the process that holds it."""

from __future__ import annotations

import errno
import fcntl
import os
import socket
from typing import NoReturn

from netlab.errors import HostLacks
from netlab.runtime.agent import linux
from netlab.runtime.rootless import holder, subids, world
from netlab.runtime.rootless.causes import Refusal
from netlab.runtime.rootless.facts import explained


def make(address: str) -> socket.socket | None:
    """Make a holder; a connection to it, or None where another command makes one.  Raises HostLacks."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
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
    if refusal.step == "fork":
        raise OSError(refusal.code, os.strerror(refusal.code))
    reason = explained(refusal)
    raise HostLacks(f"{reason.message}; labs without root need them", hint="\n".join(reason.remedy))


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
        linux.set_title([holder.COMM])  # no new program: Python's start would take a core from the first command
        holder.main()
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
    high = [fcntl.fcntl(fd, fcntl.F_DUPFD, holder.FIRST + 1) for fd in (listener, channel)]
    null = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(null, number)
    for fd, number in zip(high, (holder.LISTENER, holder.FIRST), strict=True):
        os.dup2(fd, number)
    os.closerange(holder.FIRST + 1, os.sysconf("SC_OPEN_MAX"))
