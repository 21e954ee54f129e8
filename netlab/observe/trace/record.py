"""Record one packet: open the sources, send it, wait for its fate, and look up what the events mean.

The trace ends as soon as the answer came, or the kernel dropped the packet (and an ICMP error or a reset had time to
travel), else after the time-out.
"""

from __future__ import annotations

import contextlib
import os
import select
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from netlab.diagnose.sightings.identity import ERROR, REPLY, Recogniser
from netlab.errors import HostCannot, KernelRefused, NeedsRoot, NetlabError, StateError
from netlab.evidence import records
from netlab.evidence.records import COUNTERS, Drop, ForeignRule, Recording, Source
from netlab.kernel.capture.afpacket import PacketSocket
from netlab.kernel.host import netns as ns
from netlab.kernel.host import snmp, threads
from netlab.kernel.host.limits import raise_open_files
from netlab.kernel.host.procfs import Sysctls
from netlab.kernel.host.threads import close_all
from netlab.kernel.nftables.trace import TraceSocket
from netlab.kernel.rtnetlink.learned import PathMtu, path_mtu
from netlab.observe.trace import sockets
from netlab.observe.trace.foreign import TablePlace, foreign_rules
from netlab.observe.trace.judged import judged
from netlab.observe.trace.links import mtus
from netlab.observe.trace.mark import TUNNELS, Mark, concerns
from netlab.observe.trace.probes import OPEN, TIMEOUT, Probe, probe
from netlab.observe.trace.sources import Drops, Frames, Rules
from netlab.runtime.state import lock
from netlab.runtime.state.rundir import RunDir
from netlab.values import dataclass
from netlab.wire import packets

Reader = Callable[[str], object]

PATIENCE = 0.9  # seconds without any news before the packet counts as lost; after one, TCP sends its SYN again
_QUIET = 0.006  # seconds without a frame after the end: what was under way has arrived
_QUIET_MAX = 0.1
# After a drop: an ICMP error or a reset leaves at once.  Where frames show that it is on its way, it is
# waited for; where no frames are seen, it has this long.
_AFTER_DROP, _RETURNING, _UNSEEN = 0.025, 0.1, 0.06
# A bridge floods what it does not know the place of, and every other Pod drops its copy: the packet itself may be well.
_AFTER_COPY = 0.4
_COPIES = ("OTHERHOST", "TAP_FILTER", "TAP_TXFILTER")
_STEP = 0.01
_LOOK = 0.1


@dataclass(frozen=True, slots=True)
class Request:
    """What to send: from a namespace to an address; ``answers``: the ports that a UDP answer may come from.

    ``packet``: a packet of scapy's to send as it is, instead of one of the kernel's.  ``name``: what a name server is
    asked for.
    """

    netns: str
    protocol: str
    address: str
    port: int = 0
    size: int = 0
    df: bool = False
    answers: tuple[int, ...] = ()
    packet: Any = None
    name: str = "netlab.invalid"


def record(lab: str, request: Request, netns: Sequence[str], **options: Any) -> Recording:
    """As ``recorded``; returns when nothing of the trace is left."""
    with recorded(lab, request, netns, **options) as recording:
        return recording


@contextlib.contextmanager
def recorded(
    lab: str,
    request: Request,
    netns: Sequence[str],
    *,
    tunnels: Iterable[int] = TUNNELS,
    patience: float = PATIENCE,
    without: Sequence[str] = (),
    counted: Iterable[str] | None = None,
    unlisted: Collection[tuple[str, str]] = (),
    lab_tables: Collection[TablePlace] | None = None,
    meanwhile: Callable[[Callable[[], bool]], object] | None = None,
) -> Iterator[Recording]:
    """Send the packet and record it in the namespaces.  ``without``: sources to leave off.  ``counted``: the namespaces
    whose counters are read, instead of all.  ``unlisted``: tables (family, name) that are too large for asking nft for
    the text of a rule, which lists all of the table.  ``lab_tables``: the lab's own tables; rules of other tables
    are recorded (None: they are not).

    The sources are closed beside the block, since the kernel takes its time (30 ms of RCU); after it nothing is left.
    ``meanwhile`` is called once, in a thread of its own, when nothing is left to do but wait for the packet's fate; its
    argument tells whether the reply came.

    Raises StateError where the client's namespace is gone, KernelRefused where no socket can be made in it.
    """
    trace = _Trace(lab, request, netns, tuple(tunnels), patience, without)
    trace.counted = list(netns if counted is None else counted)
    trace.unlisted = frozenset(unlisted)
    trace.lab_tables = lab_tables
    trace.meanwhile = meanwhile
    try:
        yield trace.run()
    finally:
        trace.close()


class _Trace:
    def __init__(
        self,
        lab: str,
        request: Request,
        netns: Sequence[str],
        tunnels: tuple[int, ...],
        patience: float,
        without: Sequence[str],
    ) -> None:
        self._lab, self._request, self._netns, self._patience = lab, request, list(netns), patience
        self._without = without
        self.counted = self._netns
        self.unlisted: frozenset[tuple[str, str]] = frozenset()
        self.lab_tables: Collection[TablePlace] | None = None
        self.meanwhile: Callable[[Callable[[], bool]], object] | None = None
        raise_open_files()
        self._probe = self._open()
        self._learned = ns.call(request.netns, lambda: path_mtu(request.address)) if request.df else PathMtu()
        self._mark = Mark(
            request.protocol,
            self._probe.number,
            self._probe.v6,
            self._probe.local_port,
            tuple(dict.fromkeys((request.port, *request.answers))) if request.protocol == "UDP" else (),
            tuple(dict.fromkeys((*tunnels, *TUNNELS))),
        )
        self._epoll = select.epoll()
        self._readers: dict[int, Callable[[], object]] = {}
        self._inode = os.stat(ns.RUN_NETNS / request.netns).st_ino
        self._look = 0.0
        self._sent = 0
        self._ends = 0.0  # when to stop, once something has happened; 0: nothing has
        self._frames: Frames | None = None
        self._rules: Rules | None = None
        self._drops: Drops | None = None
        self._closing: threading.Thread | None = None
        self._waited = False

    def _open(self) -> Probe:
        asked = self._request
        try:
            if asked.packet is not None:
                from netlab.observe.trace.crafted import CraftedProbe  # scapy, 0.5 s

                return ns.call(asked.netns, lambda: CraftedProbe(asked.packet))
            return ns.call(
                asked.netns,
                lambda: probe(asked.protocol, asked.address, asked.port, asked.size, df=asked.df, name=asked.name),
            )
        except FileNotFoundError:
            raise StateError(f"the namespace {asked.netns} is gone", hint="netlab diff shows what is missing") from None
        except PermissionError as error:
            raise NeedsRoot(f"this needs root: {error.strerror} in {asked.netns}") from None
        except OSError as error:
            raise KernelRefused(f"a {asked.protocol} socket in {asked.netns}", error.strerror or str(error)) from None

    def run(self) -> Recording:
        try:
            # nft first: its library can only use low descriptor numbers
            if records.RULES not in self._without:
                self._rules = Rules(self._netns, self._mark)
                self._watch(self._rules.sockets, self._judge)
            if records.FRAMES not in self._without:
                self._frames = Frames(self._netns, self._mark)
                self._watch(self._frames.sockets, self._frames.read)
            if records.DROPS not in self._without:
                self._drops = Drops(self._netns, self._mark, RunDir(self._lab).path / "btf.json")
                if self._drops.raw:
                    self._epoll.register(self._drops.raw.fileno(), select.EPOLLIN)
                    self._readers[self._drops.raw.fileno()] = self._dropped
            counting = records.COUNTERS not in self._without
            before = ns.each(self.counted, lambda _: snmp.read()) if counting else {}
            sent, ended = self._send()
            self._drain()
            return self._recording(sent, ended, before)
        except OSError as error:
            raise StateError(f"the trace failed: {error.strerror or error}") from error

    def _watch(self, sockets: Mapping[str, PacketSocket] | Mapping[str, TraceSocket], read: Reader) -> None:
        for name, sock in sockets.items():
            self._epoll.register(sock.fileno(), select.EPOLLIN)
            self._readers[sock.fileno()] = partial(read, name)

    def _send(self) -> tuple[int, int]:
        """Send the packet and wait for its fate; when it was sent, and when it ended (nanoseconds)."""
        packet = self._probe
        sent = self._sent = time.time_ns()
        begun = time.monotonic()
        packet.send()
        fd = packet.fileno()
        self._epoll.register(fd, packet.wants() | select.EPOLLET)
        self._readers[fd] = lambda: None
        end = begun + self._patience
        while True:
            now = time.monotonic()
            if 0 < self._ends <= now and self._returning():
                self._ends = now + _RETURNING
            until = min(end, self._ends or end)
            if packet.done or now >= until:
                break
            for number, mask in self._epoll.poll(min(_STEP, until - now)):
                if number == fd:
                    packet.ready(mask)
                else:
                    self._readers[number]()
            packet.poll()
            self._check(now)
            if self._ends or now > begun + _STEP:
                self._wait()
        ended = time.time_ns()
        self._quiet()
        self._look = 0
        self._check(now)
        return sent, ended

    def _wait(self) -> None:
        """From here on there is time for something else."""
        work, self.meanwhile = self.meanwhile, None
        if work is not None:
            with contextlib.suppress(HostCannot):
                threads.start(
                    partial(work, lambda: self._probe.done and self._probe.outcome == OPEN), "netlab-meanwhile"
                )

    def _returning(self) -> bool:
        """After a drop: whether a reply or an ICMP error was seen that was not dropped itself; asked once."""
        if self._waited or self._frames is None:
            return False
        self._waited = True
        recogniser = Recogniser(self._probed(self._sent, self._sent))
        back = (ERROR, REPLY)
        seen = [recogniser.role(packets.frame(frame.data)) in back for frame in self._frames.frames()]
        lost = self._drops.dropped if self._drops else ()
        return any(seen) and not any(
            recogniser.role(packets.network(drop.network, drop.link, drop.protocol)) in back for drop in lost
        )

    def _quiet(self) -> None:
        """Wait until nothing has arrived for a moment."""
        self._wait()
        last = time.monotonic()
        end = last + _QUIET_MAX
        while (now := time.monotonic()) < end and now - last < _QUIET:
            for number, _ in self._epoll.poll(_QUIET):
                if number != self._probe.fileno():
                    self._readers[number]()
                    last = time.monotonic()

    def _drain(self) -> None:
        for read in self._readers.values():
            read()

    def _dropped(self) -> None:
        assert self._drops is not None
        for dropped in self._drops.read():
            if self._probe.persists or not concerns(self._mark, dropped.network):
                continue
            elapsed = (dropped.time - self._sent) / 1e9  # what came by a slow way may be answered by one
            wait = max(_AFTER_COPY if self._copy(dropped) else self._after_drop(), 2 * elapsed)
            ends = time.monotonic() + wait
            self._ends = min(self._ends, ends) if self._ends else ends

    def _judge(self, netns: str) -> None:
        """Where the kernel tells no drops, a rule that dropped the packet says as much."""
        assert self._rules is not None
        if self._rules.read(netns) and not (self._drops and self._drops.raw) and not self._probe.persists:
            self._ends = self._ends or time.monotonic() + self._after_drop()

    def _after_drop(self) -> float:
        return _UNSEEN if self._frames is None else _AFTER_DROP

    def _copy(self, dropped: Drop) -> bool:
        return dropped.reason in _COPIES or not dropped.reason

    def _check(self, now: float) -> None:
        """Our sockets keep namespaces alive whose names are gone: nobody can want that."""
        if now < self._look:
            return
        self._look = now + _LOOK
        try:
            same = os.stat(ns.RUN_NETNS / self._request.netns).st_ino == self._inode
        except OSError:
            same = False
        if not same:
            raise StateError(f"lab {self._lab} went down while its packet was traced")

    def close(self) -> None:
        """Leave nothing behind."""
        if self._closing:
            self._closing.join()
        else:
            self._close()
        self._probe.close()

    def _close(self) -> None:
        self._epoll.close()
        sources = [source for source in (self._rules, self._frames, self._drops) if source is not None]
        close_all([closer for source in sources for closer in source.closers()])
        moved = self._rules.generations() if self._rules else {}
        if moved:
            with contextlib.suppress(NetlabError, OSError), lock.locked(self._lab, patience=0):
                RunDir(self._lab).excuse(moved)

    # -- what it means ------------------------------------------------------------------------------------------------

    def _recording(self, sent: int, ended: int, before: Mapping[str, snmp.Snapshot]) -> Recording:
        probe = self._probed(sent, ended)
        rules_seen, rules, chains = judged(self._rules.events() if self._rules else {}, self.unlisted)
        foreign, sources = self._foreign(probe.outcome), tuple(self._sources())
        with contextlib.suppress(HostCannot):
            self._closing = threads.start(self._close, "netlab-close")
        asked = self._asked_again(probe.outcome)
        after = ns.each([name for name in before if name in asked], lambda _: snmp.read())
        return Recording(
            self._lab,
            probe,
            sources,
            self._frames.frames() if self._frames else (),
            rules_seen,
            rules,
            chains,
            self._drops.drops() if self._drops else (),
            {name: moved for name in after if (moved := snmp.moved(before[name], after[name]))},
            ns.each(asked, lambda _: mtus()) if self._frames else {},
            foreign,
            sockets=self._listening(probe),
            port_range=ns.call(probe.netns, _port_range) if self._probe.portless and probe.outcome != OPEN else "",
        )

    def _probed(self, sent: int, ended: int) -> records.Probe:
        packet, asked = self._probe, self._request
        return records.Probe(
            asked.netns,
            asked.protocol,
            asked.address,
            asked.port,
            packet.local,
            packet.local_port,
            self._mark.number,
            packet.size,
            asked.df,
            packet.outcome if packet.done else TIMEOUT,
            packet.error,
            sent,
            ended,
            *self._learned,
            asked.packet is not None,
        )

    def _listening(self, probe: records.Probe) -> Mapping[str, tuple[records.Socket, ...]]:
        """The sockets where the packet was seen; of an answered TCP packet those that have not accepted it."""
        frames = self._frames.frames() if self._frames else ()
        if not frames or probe.protocol not in ("TCP", "UDP") or not self._netns:
            return {}
        if probe.outcome != OPEN:
            seen = {frame.netns for frame in frames}
            return sockets.sockets(seen, probe.protocol, {probe.port, *self._request.answers})
        if probe.protocol != "TCP" or self._request.packet is not None:
            return {}
        recogniser = Recogniser(probe)
        for frame in frames:
            packet = packets.read(frame.data, bare=frame.bare)
            if recogniser.role(packet) == REPLY:
                return sockets.unaccepted(frame.netns, packet.innermost.sport)
        return {}

    def _foreign(self, outcome: str) -> tuple[ForeignRule, ...]:
        """The rules of foreign tables, where the packet was seen; of a lost packet, which may have been encrypted, also
        on the rest of its path.
        """
        if self.lab_tables is None:
            return ()
        passed = {frame.netns for frame in self._frames.frames()} if self._frames else set(self._netns)
        passed |= {self._request.netns, *(self.counted if outcome != OPEN else ())}
        return foreign_rules(passed, self.lab_tables, self._rules.tables if self._rules else {})

    def _asked_again(self, outcome: str) -> Collection[str]:
        """The namespaces whose counters and MTUs matter; of a lost packet all, since it may have been lost unseen."""
        if self._frames is None or outcome != OPEN or self._frames.source().why:
            return self._netns
        return {frame.netns for frame in self._frames.frames()}

    def _sources(self) -> Iterable[Source]:
        for name, source in (
            (records.FRAMES, self._frames),
            (records.RULES, self._rules),
            (records.DROPS, self._drops),
        ):
            yield source.source() if source else Source(name, on=False, why="not asked for")
        off = COUNTERS in self._without
        yield Source(COUNTERS, on=not off, why="not asked for" if off else "")


def _port_range() -> str:
    """The ports that the kernel may choose for a socket of the current thread's namespace."""
    with contextlib.closing(Sysctls()) as reader:
        reader.enter()
        return " to ".join((reader.read("net.ipv4.ip_local_port_range") or "").split())
