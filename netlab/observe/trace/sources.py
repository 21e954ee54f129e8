"""The sources of a trace. Each is opened on its own, and closed in any case.

The trace rules are a table ``nltrace-...`` in every namespace that has nftables. Where the kernel has ``flags owner``
(Linux 5.12), the table ends with its socket, even if this process is killed. Elsewhere it is deleted at the end, and
the next trace deletes the table of a killed trace.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path

from netlab.evidence.records import (
    BROADCAST,
    DROPS,
    FRAMES,
    IN,
    MULTICAST,
    OTHERHOST,
    OUT,
    RULES,
    Drop,
    Frame,
    RuleSeen,
    Source,
)
from netlab.kernel.capture.afpacket import PacketSocket, wait_for_stamps
from netlab.kernel.ebpf.drops import DropSource, Sought, Unavailable
from netlab.kernel.host import netns as ns
from netlab.kernel.host.threads import close_all
from netlab.kernel.nftables import drift as nft
from netlab.kernel.nftables import libnft
from netlab.kernel.nftables import trace as nftrace
from netlab.kernel.nftables.drift import TRACING
from netlab.kernel.nftables.trace import Event, RulesSocket, TraceSocket
from netlab.observe.trace.mark import Mark, program, rules

_DIRECTIONS = (IN, BROADCAST, MULTICAST, OTHERHOST, OUT)


class Frames:
    """AF_PACKET: what passes every interface."""

    def __init__(self, netns: Iterable[str], mark: Mark) -> None:
        wanted = list(netns)
        filtered = program(mark)
        self._why = ""

        def make(name: str) -> PacketSocket:
            try:
                return PacketSocket(filtered)
            except OSError as error:
                self._why = f"AF_PACKET in {name}: {error.strerror or error}"
                raise

        self.sockets = ns.each(wanted, make)
        self._blind = [name for name in wanted if name not in self.sockets]
        if self.sockets:
            wait_for_stamps()
        self._order = dict.fromkeys(self.sockets, 0)
        self._frames: list[Frame] = []

    def read(self, netns: str) -> None:
        """Take what has arrived in a namespace."""
        order = self._order[netns]
        for frame in self.sockets[netns].read():
            direction = _DIRECTIONS[frame.kind] if frame.kind < len(_DIRECTIONS) else str(frame.kind)
            where = (netns, frame.interface, direction)
            self._frames.append(Frame(frame.time, order, *where, frame.data, frame.length, frame.bare))
            order += 1
        self._order[netns] = order

    def frames(self) -> tuple[Frame, ...]:
        """All of them, in true order: by time, and those of one namespace as they arrived."""
        return tuple(sorted(self._frames, key=lambda frame: (frame.time, frame.order)))

    def count(self) -> int:
        """How many there are so far."""
        return len(self._frames)

    def source(self) -> Source:
        """What this source has to say of itself."""
        lost = sum(socket.lost() for socket in self.sockets.values())
        some = self._blind[0] + f" and {len(self._blind) - 1} more" * (len(self._blind) > 1) if self._blind else ""
        left = f"not in {some}" if some and self.sockets else ""
        why = "; ".join(part for part in (left, self._why) if part)
        return Source(FRAMES, bool(self.sockets), lost, why)

    def closers(self) -> list[Callable[[], object]]:
        return [socket.close for socket in self.sockets.values()]


class Rules:
    """nftables' trace events, where there are rules."""

    def __init__(self, netns: Iterable[str], mark: Mark) -> None:
        self._table = f"{TRACING}{os.getpid()}"
        self._contexts: dict[str, libnft.Context] = {}
        self._unowned: list[str] = []
        self._why = ""
        self._events: dict[str, list[Event]] = {}
        self.lost = 0
        self.sockets: dict[str, TraceSocket] = {}
        self._owner = True
        self._generations: dict[str, int] = {}
        self.tables: dict[str, list[nftrace.Table]] = {}  # by namespace, before ours
        try:
            self.sockets = {
                name: context for name, context in ns.each(netns, partial(self._arm, mark)).items() if context
            }
        except BaseException:
            close_all(self.closers())
            raise
        finally:
            libnft.keep_descriptors()

    def _arm(self, mark: Mark, name: str) -> TraceSocket | None:
        """In a namespace: nothing where no rules are."""
        asking = RulesSocket()
        try:
            tables = asking.tables()
        except OSError as error:
            self._why = f"nf_tables in {name}: {error.strerror or error}"
            return None
        finally:
            asking.close()
        self.tables[name] = tables
        remove_stale(tables)
        if all(table.name.startswith(TRACING) for table in tables):
            return None
        try:
            sock = TraceSocket()
        except OSError as error:
            self._why = f"trace events in {name}: {error.strerror or error}"
            return None
        self._generations[name] = nft.generation()
        try:
            self._load(name, mark)
        except libnft.NftFailed as error:
            self._why = f"nft in {name}: {str(error).splitlines()[0]}"
            sock.close()
            return None
        return sock

    def _load(self, name: str, mark: Mark) -> None:
        context = libnft.open_context() if self._owner else None
        if context is not None:
            try:
                context.run(rules(mark, self._table, owner=True))
            except libnft.NftFailed:  # an old kernel or nft: without an owner, and deleted at the end
                self._owner = False
                context.close()
            else:
                self._contexts[name] = context
                return
        self._unowned.append(name)
        libnft.run(rules(mark, self._table, owner=False))

    def read(self, netns: str) -> bool:
        """Take what has arrived from a namespace; whether a rule dropped a packet."""
        sock = self.sockets[netns]
        new = [event for event in sock.read() if not event.table.startswith(TRACING)]
        self._events.setdefault(netns, []).extend(new)
        self.lost, sock.lost = self.lost + sock.lost, 0
        return any(event.verdict == "drop" for event in new)

    def events(self) -> Mapping[str, list[Event]]:
        """By namespace, in the order of their coming."""
        return self._events

    def generations(self) -> dict[str, tuple[int, int]]:
        """After the tables are gone: by namespace, the rules' generation before and after, where only we changed any."""
        changes = 1 if self._owner else 2  # what goes with its owner is not counted
        after = ns.each(self._generations, lambda _: nft.generation())
        both = {name: (before, after[name]) for name, before in self._generations.items() if name in after}
        return {
            name: generations
            for name, generations in both.items()
            if generations[0] > 0 and generations[1] - generations[0] == changes
        }

    def source(self) -> Source:
        """What this source has to say of itself."""
        return Source(RULES, bool(self.sockets) or not self._why, self.lost, self._why)

    def closers(self) -> list[Callable[[], object]]:
        dropped: list[Callable[[], object]] = [socket.close for socket in self.sockets.values()]
        dropped += [context.close for context in self._contexts.values()]
        dropped += [partial(_delete, name, self._table) for name in self._unowned]
        self._contexts, self._unowned = {}, []
        return dropped


def _delete(name: str, table: str) -> None:
    def there(_: str) -> None:
        with contextlib.suppress(libnft.NftFailed):
            libnft.run("".join(f"delete table {family} {table}; " for family in ("inet", "bridge")))

    ns.each([name], there)


def remove_stale(tables: Iterable[nftrace.Table]) -> None:
    """In a namespace: delete the tables of traces whose process is gone, where the kernel has not done it by itself."""
    for table in tables:
        process = table.name.removeprefix(TRACING)
        if (
            table.name.startswith(TRACING)
            and not table.owned
            and not (process.isdigit() and os.path.exists(f"/proc/{process}"))
        ):
            with contextlib.suppress(libnft.NftFailed):
                libnft.run(f"delete table {table.family} {table.name}")


class Drops:
    """The kernel's drop events; off where this process may not have them."""

    def __init__(self, netns: Iterable[str], mark: Mark, cache: Path | None = None) -> None:
        self._why = ""
        self.raw: DropSource | None = None
        self.dropped: list[Drop] = []
        inodes = {}
        for name in netns:
            with contextlib.suppress(OSError):
                inodes[os.stat(ns.RUN_NETNS / name).st_ino] = name
        try:
            ports = (mark.port,) if mark.protocol == "UDP" else ()
            self.raw = DropSource(inodes, Sought((mark.number, mark.after), ports), cache)
        except Unavailable as error:
            self._why = str(error)

    def read(self) -> list[Drop]:
        """Take what has come; returns it."""
        new = list(self.raw.read()) if self.raw else []
        self.dropped += new
        return new

    def drops(self) -> tuple[Drop, ...]:
        """All of them, by time."""
        return tuple(sorted(self.dropped, key=lambda drop: drop.time))

    def source(self) -> Source:
        """What this source has to say of itself."""
        return Source(DROPS, self.raw is not None, self.raw.lost() if self.raw else 0, self._why)

    def closers(self) -> list[Callable[[], object]]:
        return [self.raw.close] if self.raw else []


def seen(netns: str, order: int, event: Event, names: Mapping[int, str]) -> RuleSeen:
    """A trace event as the record of it."""
    return RuleSeen(
        order,
        netns,
        event.family,
        event.table,
        event.chain,
        event.handle,
        event.kind,
        event.verdict,
        event.target,
        event.link,
        event.network,
        event.transport,
        names.get(event.iif, ""),
        names.get(event.oif, ""),
        event.mark,
        event.state,
        event.status,
    )
