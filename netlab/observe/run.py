"""One run of the prober: it starts attempts, waits for events and gives up late attempts.

Three bounds keep the requests from changing the replies. At most YOUNG_MAX attempts are younger than YOUTH, so that no
queue overflows. At most TARGET_MAX of these use the same port. All attempts together stay below the limit of open
files. An attempt that was silent for longer than YOUTH costs only its socket, so time-outs do not slow a run down.

An attempt is given up only after a poll that began later than its deadline and had no event for it. So a reply that has
arrived counts, however late this process gets the processor.
"""

from __future__ import annotations

import select
import socket
import time
from collections import deque
from collections.abc import Callable, Container, Iterable, Iterator
from typing import Protocol

from netlab.objects import Why
from netlab.observe.answers import Target
from netlab.observe.attempt import Attempt
from netlab.observe.errors import CROWDED
from netlab.observe.groups import Group, feed
from netlab.observe.neighbours import StaticNeighbours
from netlab.observe.sctp import RawSctpAttempt, kernel_speaks_sctp, somebody_answers
from netlab.observe.spaces import Spaces
from netlab.observe.tcp import SctpStreamAttempt, SizedAttempt, TcpAttempt
from netlab.observe.udp import UdpAttempt
from netlab.oracle.denials import SILENCED, Denial
from netlab.oracle.flow import Flow, Outcome, Verdict

YOUTH = 0.05  # seconds; a responder answers in less than 1 ms, a busy one in 20
YOUNG_MAX = 1000
TARGET_MAX = 64
BURST = 48  # attempts between two looks at the news
#: Seconds to wait for the line of somebody who has accepted; without it the flow is open all the same.  They count from
#: the last line of any responder: on a busy machine the responders answer late, one client after the other.
ANSWER_PATIENCE = 3.0
BATCH = 512  # verdicts handed over at a time: each hand-over wakes the other thread
BATCH_AGE = 0.1
WAIT_MAX = 0.1  # seconds until a wish to stop is seen

LOOK, LOOK_MAX = 0.003, 0.1  # seconds between two looks at the account; longer after each that tells nothing


class Account(Protocol):
    """The missing replies that are explained before their deadline."""

    def ends(self, flow: Flow) -> frozenset[Denial]:
        """The rules at one of which a flow ends; none where nothing denies it."""

    def ended(self, flow: Flow, outcome: Outcome, packets: int) -> None:
        """An attempt of so many packets is over, without a reply of the target."""

    def explained(self, silent: Iterable[tuple[Flow, int]]) -> frozenset[frozenset[Denial]]:
        """Of the attempts that wait now, and their packets, the sets of rules that account for all of theirs."""


Waiting = tuple[Flow, int, Group | None]


class Run:
    """The state of one run, in the worker's thread.  ``emit`` takes verdicts in the order of their coming.

    ``late``: the seconds by which links of the lab delay a reply.
    """

    def __init__(
        self,
        flows: Iterable[Flow],
        emit: Callable[[list[Verdict]], None],
        *,
        timeout: tuple[float, float],
        neighbours: StaticNeighbours | None,
        files: int,
        once: Container[Flow] = (),
        book: Account | None = None,
        late: float = 0.0,
    ) -> None:
        self.stopped = False
        self._once, self._book = once, book
        self._look, self._pause = 0.0, LOOK
        self._feed: Iterator[tuple[Flow, Group | None]] | None = feed(flows, neighbours)
        self._neighbours = neighbours
        self._emit = emit
        self._patience = (0.0, timeout[0] + late, timeout[1] + late, ANSWER_PATIENCE + late)
        self._room = files
        self._targets: dict[tuple[str, int, str], Target] = {}
        self._open: dict[int, Attempt] = {}
        self._young: deque[tuple[float, Attempt]] = deque()
        self._again: deque[Waiting] = deque()
        # one queue a patience: in each, deadlines come in the order in which they were set
        self._deadlines: list[deque[tuple[float, Attempt]]] = [deque() for _ in self._patience]
        self._spaces = Spaces()
        self._epoll = select.epoll()
        self._batch: list[Verdict] = []
        self._handed = self._now = self._answered = time.monotonic()
        self._answering: dict[tuple[str, bool], bool] = {}
        self._kinds: dict[str, type[Attempt]] = {"TCP": TcpAttempt, "UDP": UdpAttempt}

    def loop(self) -> None:
        """Until every flow has its verdict, or ``stopped``."""
        try:
            while not self.stopped:
                self._now = time.monotonic()
                more = self._launch()
                if not self._open and not more:
                    break
                before = time.monotonic()
                wait = 0.0 if more else self._wait(before)
                table = self._open
                for fd, mask in self._epoll.poll(wait, 20_000):
                    attempt = table.get(fd)
                    if attempt is not None:
                        attempt.ready(mask)
                self._expire(before)
                self._explain(before)
                if len(self._batch) >= BATCH or before - self._handed > BATCH_AGE:
                    self._hand_over(before)
        finally:
            for attempt in list(self._open.values()):
                attempt.close()
            self._open.clear()
            self._epoll.close()
            self._spaces.close()
            if self._neighbours:
                self._neighbours.release_all()
        self._hand_over(time.monotonic())

    # -- what attempts call ------------------------------------------------------------------------------------------

    def watch(self, attempt: Attempt, mask: int) -> None:
        fd = attempt.fd = attempt.sock.fileno()
        self._open[fd] = attempt
        self._epoll.register(fd, mask)

    def watch_errors(self, attempt: Attempt, sock: socket.SocketType) -> None:
        """Errors of a second socket of an attempt, which calls ``unwatch`` before it closes that socket."""
        self._open[sock.fileno()] = attempt
        self._epoll.register(sock.fileno(), 0)

    def unwatch(self, sock: socket.SocketType) -> None:
        if self._open.pop(sock.fileno(), None) is not None:
            self._epoll.unregister(sock.fileno())

    def rewatch(self, attempt: Attempt, mask: int) -> None:
        self._epoll.modify(attempt.fd, mask)

    def again(self, attempt: Attempt) -> None:
        """A new deadline, from now on: for the answer of somebody who is there, else that of the attempt's number."""
        kind = 3 if attempt.heard else attempt.number
        attempt.deadline = self._now + self._patience[kind]
        self._deadlines[kind].append((attempt.deadline, attempt))

    def sctp_is_answered(self, attempt: Attempt) -> bool:
        """Whether a responder answers SCTP in the source's namespace, looked up once a run."""
        key = attempt.flow.src.netns, attempt.target.v6
        if key not in self._answering:
            try:
                self._spaces.enter(key[0])
                self._answering[key] = somebody_answers(v6=key[1])
            except OSError:  # a namespace that is gone needs no answer
                self._answering[key] = True
        return self._answering[key]

    def settle(self, attempt: Attempt, verdict: Verdict) -> None:
        """The end of an attempt.  An error of this host is asked a second time: most are of the moment."""
        if self._book and verdict.outcome in SILENCED:
            self._book.ended(verdict.flow, verdict.outcome, 1 + attempt.repeats())
        self._drop(attempt)
        if verdict.server is not None:
            self._answered = self._now
        if verdict.outcome is Outcome.ERROR and attempt.number == 1:
            self._again.append((attempt.flow, 2, attempt.group))
        else:
            self._finish(verdict, attempt.group)

    # -- the turns of the loop ---------------------------------------------------------------------------------------

    def _launch(self) -> bool:
        """Start up to BURST attempts; whether more could be started at once."""
        young, now = self._young, self._now
        old = now - YOUTH
        while young and (young[0][1].done or young[0][0] < old):
            attempt = young.popleft()[1]
            if attempt.young:
                attempt.young = False
                attempt.target.flying -= 1
        for _ in range(BURST):
            if len(young) >= YOUNG_MAX or len(self._open) >= self._room:
                return False
            waiting = self._next()
            if waiting is None:
                return False
            flow, number, group = waiting
            key = flow[2:5]
            target = self._targets.get(key)
            if target is None:
                target = self._targets[key] = Target(flow.address, flow.port)
            if target.flying >= TARGET_MAX:
                self._again.appendleft(waiting)
                return False
            if not self._start(flow, number, group, target):
                return False
        return True

    def _next(self) -> Waiting | None:
        if self._again:
            return self._again.popleft()
        if self._feed is not None:
            item = next(self._feed, None)
            if item is not None:
                return item[0], 2 if item[0] in self._once else 1, item[1]
            self._feed = None
        return None

    def _start(self, flow: Flow, number: int, group: Group | None, target: Target) -> bool:
        try:
            self._spaces.enter(flow.src.netns)
        except OSError as error:
            because = Why(f"cannot enter the network namespace {flow.src.netns!r}: {error.strerror}")
            self._finish(Verdict(flow, Outcome.ERROR, None, None, (because,)), group)
            return True
        kind = self._kinds.get(flow.protocol) or self._sctp()
        if flow.size and kind is TcpAttempt:
            kind = SizedAttempt
        attempt = kind(self, flow, target, number, group)
        target.flying += 1
        try:
            attempt.start()
        except OSError as error:
            code = error.errno or 0
            if code in CROWDED and self._open:
                self._drop(attempt)
                self._again.appendleft((flow, number, group))
                self._room = max(16, len(self._open) * 3 // 4)
                return False
            attempt.failed(code)
            return True
        if not attempt.done:
            self._young.append((self._now, attempt))
            self.again(attempt)
        return True

    def _sctp(self) -> type[Attempt]:
        kind = SctpStreamAttempt if kernel_speaks_sctp() else RawSctpAttempt
        self._kinds["SCTP"] = kind
        return kind

    def _wait(self, now: float) -> float:
        """Seconds until something is due."""
        due = now + WAIT_MAX
        for queue in self._deadlines:
            while queue and (queue[0][1].done or queue[0][1].deadline != queue[0][0]):
                queue.popleft()
            if queue:
                due = min(due, queue[0][0])
        if self._book and self._open:
            due = min(due, max(now, self._look))
        if self._young and (self._again or self._feed):
            due = min(due, self._young[0][0] + YOUTH)
        return max(0.0, due - now)

    def _expire(self, before: float) -> None:
        """Give up what was due before the poll that has just been answered."""
        for queue in self._deadlines:
            while queue and queue[0][0] <= before:
                deadline, attempt = queue.popleft()
                if attempt.done or attempt.deadline != deadline:
                    continue
                if attempt.heard and (later := self._answered + self._patience[-1]) > deadline:
                    attempt.deadline = later
                    queue.append((later, attempt))
                    continue
                if attempt.silent():
                    continue
                self._give_up(attempt)

    def _give_up(self, attempt: Attempt) -> None:
        """Handle an attempt without a reply: repeat it, or take that as the verdict."""
        if self._book:
            self._book.ended(attempt.flow, Outcome.TIMEOUT, 1 + attempt.repeats())
        self._drop(attempt)
        if attempt.number == 1:
            self._again.append((attempt.flow, 2, attempt.group))
        else:
            self._finish(Verdict(attempt.flow, Outcome.TIMEOUT), attempt.group)

    def _explain(self, now: float) -> None:
        """End the wait where rules have counted every attempt that is silent still: each of two attempts on its own."""
        if self._book is None or now < self._look or self._again or (self._feed and len(self._open) < self._room):
            return
        silent = [attempt for attempt in self._open.values() if not attempt.heard and self._book.ends(attempt.flow)]
        if silent:
            done = self._book.explained([(attempt.flow, 1 + attempt.repeats()) for attempt in silent])
            for attempt in silent:
                if self._book.ends(attempt.flow) in done:
                    self._give_up(attempt)
            self._pause = LOOK if done else min(LOOK_MAX, self._pause * 1.5)
        after = time.monotonic()
        self._look = after + max(self._pause, 2 * (after - now))

    def _drop(self, attempt: Attempt) -> None:
        attempt.done = True
        if attempt.young:
            attempt.young = False
            attempt.target.flying -= 1
        if attempt.fd >= 0:
            del self._open[attempt.fd]
        if hasattr(attempt, "sock"):
            attempt.close()

    def _finish(self, verdict: Verdict, group: Group | None) -> None:
        self._batch.append(verdict)
        if group is not None:
            group.left -= 1
            if not group.left and self._neighbours:
                self._neighbours.release(group.entries)

    def _hand_over(self, now: float) -> None:
        self._handed = now
        if self._batch:
            self._emit(self._batch)
            self._batch = []
