"""One socket that asks one flow once: what the three protocols have in common."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING, Protocol

from netlab.objects import Why
from netlab.observe.answers import Reply, Target
from netlab.observe.errors import IP_RECVERR, IPV6_RECVERR, outcome_of
from netlab.oracle.flow import Flow, Outcome, Verdict

if TYPE_CHECKING:
    from netlab.observe.groups import Group


class Round(Protocol):
    """The run that an attempt belongs to: it waits for sockets and takes verdicts."""

    def watch(self, attempt: Attempt, mask: int) -> None: ...
    def watch_errors(self, attempt: Attempt, sock: socket.SocketType) -> None: ...
    def unwatch(self, sock: socket.SocketType) -> None: ...
    def rewatch(self, attempt: Attempt, mask: int) -> None: ...
    def again(self, attempt: Attempt) -> None: ...
    def sctp_is_answered(self, attempt: Attempt) -> bool: ...
    def settle(self, attempt: Attempt, verdict: Verdict) -> None: ...


class Attempt:
    """The life of one socket; subclasses send the request and read the events.

    ``number`` counts from 1. ``heard``: the other side has answered, and only its name is missing.
    """

    __slots__ = ("deadline", "done", "fd", "flow", "group", "heard", "number", "run", "sock", "target", "young")

    def __init__(self, run: Round, flow: Flow, target: Target, number: int, group: Group | None) -> None:
        self.run, self.flow, self.target, self.number, self.group = run, flow, target, number, group
        self.done = self.heard = False
        self.young = True
        self.fd = -1
        self.deadline = 0.0
        self.sock: socket.SocketType

    def start(self) -> None:
        """Open the socket (the thread is in the source's namespace) and ask.  OSError: this host could not."""
        raise NotImplementedError

    def ready(self, mask: int) -> None:
        """News from epoll."""
        raise NotImplementedError

    def silent(self) -> bool:
        """Handle the deadline.  True: the attempt continues, or ended with a reply; False: there was no reply."""
        return False

    def repeats(self) -> int:
        """The number of retransmissions of the kernel without a reply."""
        return 0

    def failed(self, code: int) -> None:
        """The kernel named an error."""
        outcome = outcome_of(code, self.flow.protocol)
        because = (Why(os.strerror(code)),) if outcome in (Outcome.ERROR, Outcome.UNREACHABLE) else ()
        self.run.settle(self, Verdict(self.flow, outcome, None, None, because))

    def opened(self, reply: Reply) -> None:
        self.run.settle(self, Verdict(self.flow, Outcome.OPEN, reply.server, reply.client))

    def close(self) -> None:
        self.sock.close()


def want_errors(sock: socket.SocketType, *, v6: bool) -> None:
    """Make the kernel keep ICMP errors, also those that it treats as temporary (net and host unreachable)."""
    if v6:
        sock.setsockopt(socket.IPPROTO_IPV6, IPV6_RECVERR, 1)
    else:
        sock.setsockopt(socket.IPPROTO_IP, IP_RECVERR, 1)
