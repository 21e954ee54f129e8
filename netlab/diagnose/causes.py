"""Which of the lab's deviations from its desired state caused the packet's loss.

``plan.desired`` is what the kernel should have, ``plan.drift`` compares it with the kernel.  A deviation is a cause
only if this packet needed the object: its route, neighbour, forwarding entry, port or link, or a sysctl of a namespace
on its path.  Other deviations are not reported.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from ipaddress import ip_address, ip_interface, ip_network
from typing import Any

from netlab.diagnose.finding import Finding
from netlab.diagnose.story import Story
from netlab.objects import (
    Addr,
    Fdb,
    Key,
    Link,
    Listener,
    Neigh,
    Netns,
    NftChain,
    NftSet,
    NftTable,
    Obj,
    Op,
    Port,
    Process,
    Route,
    Sysctl,
    Verb,
)
from netlab.objects.base import Floor
from netlab.objects.links import Device, Veth
from netlab.plan import render
from netlab.plan.drift import Drift

_MOST = 3  # reported causes; a broken lab may have hundreds
_SHORT = 2  # lines after the first: the object's reason and the repair command
_QUIET = ("icmp_ratelimit", "icmp_ratemask", "icmp.ratelimit", "accept_ra", "accept_dad")


def causes(story: Story, drift: Drift, lost_in: str) -> list[Finding]:
    """The deviations on this packet's path; those in ``lost_in``, where it was lost or diverged, come first."""
    return _Blame(story, lost_in).findings(drift)


class _Blame:
    def __init__(self, story: Story, lost_in: str) -> None:
        self._story, self._lost_in = story, lost_in
        paths = [story.round_trip.request]
        if story.arrived and story.round_trip.reply is not None:
            paths.append(story.round_trip.reply)
        self._hops = {hop.at for path in paths for hop in path.hops}
        for left, seen in ((story.request_left, story.request), (story.reply_left, story.reply)):
            if left is not None and left.went is not None:  # else the extra sightings are a bridge's copies
                self._hops |= {event.at for event in seen}
        self._namespaces = {netns for netns, _ in self._hops} | {story.recording.probe.netns}
        self._order = {
            netns: number for number, netns in enumerate(dict.fromkeys(netns for netns, _ in self._passed()))
        }

    def _passed(self) -> Iterable[tuple[str, str]]:
        yield from (hop.at for path in self._story.round_trip.paths for hop in path.hops)
        yield from (event.at for event in self._story.request)

    def findings(self, drift: Drift) -> list[Finding]:
        rated = []
        for number, op in enumerate(drift.operations):
            weight = self._weight(op)
            if weight:
                near = 0 if self._at(op.obj, self._lost_in) else 1
                rated.append(((near, weight, self._order.get(op.obj.netns, 99), number), op))
        rated.sort(key=lambda row: row[0])
        findings = [self._finding(op) for op in self._without_doubles([op for _, op in rated])][:_MOST]
        # Only the first finding names the command that shows all deviations.
        return [*findings[:1], *(replace(finding, look=()) for finding in findings[1:])]

    def _without_doubles(self, ops: list[Op]) -> Iterable[Op]:
        """Merge a delete and a create into an update; omit objects on a removed link."""
        seen: set[Key] = set()
        removed = {op.obj.key: op.obj for op in ops if op.verb is Verb.DELETE}
        made = {op.obj.key: op.obj for op in ops if op.verb is Verb.CREATE}
        gone = {interface for change in ops for interface in _lost(change)}
        tables = {(change.obj.netns, change.obj.place) for change in ops if isinstance(change.obj, NftTable)}
        for op in ops:
            hangs = op.obj.floor is not Floor.LINK and (op.obj.netns, getattr(op.obj, "dev", "")) in gone
            inside = isinstance(op.obj, (NftChain, NftSet)) and (op.obj.netns, op.obj.place) in tables
            if op.obj.key not in seen and not hangs and not inside:
                key = op.obj.key
                seen.add(key)
                yield Op(Verb.UPDATE, made[key], removed[key]) if key in removed and key in made else op

    @staticmethod
    def _at(obj: Obj, netns: str) -> bool:
        if isinstance(obj, Veth):
            return netns in (obj.end.netns, obj.peer.netns)
        return obj.netns == netns

    def _finding(self, op: Op) -> Finding:
        (kind, _, first), *rest = (line.partition(": ") for line in render.drifted(op).splitlines())
        mend = [text.strip() for word, _, text in rest if word.strip() == "mend by"]
        lab = self._story.recording.lab
        wanted = f", wanted by {op.obj.why.says}" if op.verb is not Verb.DELETE and op.obj.why.says else ""
        interface = op.obj.name if op.obj.floor is Floor.LINK else str(getattr(op.obj, "dev", ""))
        return Finding(
            "drift",
            f"{kind}, and this packet needed it: {first}{wanted}"
            if op.verb is not Verb.DELETE
            else f"{kind}, and on the path of this packet: {first}",
            self._where(op.obj),
            interface,
            (f"netlab diff {lab}",),
            mark=op.obj.why.mark if op.verb is not Verb.DELETE else None,
            root=True,
            mend=(mend[0] if len(mend) == 1 and len(rest) <= _SHORT else f"netlab up {lab}",),
        )

    def _where(self, obj: Obj) -> str:
        """The namespace of the finding; of a veth, the end where the packet was lost."""
        if isinstance(obj, Veth) and obj.peer.netns == self._lost_in:
            return self._lost_in
        return obj.netns

    # -- what the packet needed ---------------------------------------------------------------------------------------

    def _weight(self, op: Op) -> int:
        """1: this packet needed the object; 2: it may have; 0: it did not."""
        obj = op.obj
        for kind, judge in _JUDGES:
            if isinstance(obj, kind):
                return int(judge(self, op, obj))
        return 0

    def _link(self, op: Op, obj: Obj) -> int:
        if isinstance(obj, Veth):
            ends = ((obj.end.netns, obj.end.name), (obj.peer.netns, obj.peer.name))
            return 1 if any(end in self._hops for end in ends) else 0
        return 1 if (obj.netns, obj.name) in self._hops else 0

    def _port(self, op: Op, obj: Port) -> int:
        return 1 if (obj.netns, obj.dev) in self._hops else 0

    def _route(self, op: Op, obj: Route) -> int:
        if obj.netns not in self._namespaces:
            return 0
        network = ip_network(obj.dst)
        for address in self._story.addresses:
            ip = ip_address(address)
            if ip.version != network.version or ip not in network:
                continue
            best = self._story.topology.route(obj.netns, address)
            length = ip_network(best.dst).prefixlen if best else -1
            if (
                op.verb is Verb.DELETE
                and network.prefixlen >= length
                and not self._story.topology.local(obj.netns, address)
            ):
                return 1
            if op.verb is not Verb.DELETE and best is not None and network.prefixlen == length:
                return 1
        return 0

    def _addr(self, op: Op, obj: Addr) -> int:
        address = str(ip_interface(obj.address).ip)
        if address in self._story.addresses or address in self._vias():
            return 1
        if obj.netns not in self._namespaces:
            return 0
        covers = any(
            ip_address(needed).version == ip_interface(obj.address).version
            and ip_address(needed) in ip_interface(obj.address).network
            for needed in self._story.addresses
        )
        return 2 if covers and (obj.netns, obj.dev) in self._hops else 0

    def _vias(self) -> set[str]:
        """The next hops of every address in every namespace of the path."""
        vias = set()
        for netns in self._namespaces:
            for address in self._story.addresses:
                hop = self._story.topology.route(netns, address)
                if hop is not None:
                    vias.add(hop.via)
        return vias

    def _neigh(self, op: Op, obj: Neigh) -> int:
        near = obj.netns in self._namespaces and obj.address in self._vias()
        return 1 if near and (obj.netns, obj.dev) in self._hops else 0

    def _fdb(self, op: Op, obj: Fdb) -> int:
        if (obj.netns, obj.dev) not in self._hops:
            return 0
        topology, wanted = self._story.topology, set()
        for address in self._story.addresses:
            hop = topology.route(obj.netns, address)
            if hop is not None:
                wanted.add(topology.neighbour(obj.netns, hop.dev, hop.via))
        seen = {event.packet.link.target for event in (*self._story.request, *self._story.reply) if event.packet.link}
        return 1 if obj.mac in wanted | seen or obj.mac == "00:00:00:00:00:00" else 0

    def _sysctl(self, op: Op, obj: Sysctl) -> int:
        if obj.netns not in self._namespaces or any(word in obj.path for word in _QUIET):
            return 0
        if obj.link and (obj.netns, obj.link) not in self._hops:
            return 0
        six = "ipv6" in obj.path or "ip6tables" in obj.path
        wanted = any((":" in address) == six for address in self._story.addresses)
        return 1 if wanted else 0

    def _nft(self, op: Op, obj: Obj) -> int:
        return 2 if obj.netns in self._namespaces else 0

    def _netns(self, op: Op, obj: Netns) -> int:
        return 1 if obj.netns in self._namespaces else 0

    def _listener(self, op: Op, obj: Listener) -> int:
        target = self._story.round_trip.request
        ports = {event.packet.innermost.dport for event in self._story.request} | {self._story.recording.probe.port}
        return 1 if obj.netns == target.netns and obj.port in ports and self._story.arrived_at_target else 0

    def _process(self, op: Op, obj: Process) -> int:
        return 2 if obj.netns == self._story.round_trip.request.netns and self._story.arrived_at_target else 0

    def _foreign(self, op: Op, obj: Link) -> int:
        return 1 if (obj.netns, obj.dev) in self._hops else 0


def _lost(op: Op) -> list[tuple[str, str]]:
    """The interfaces that are gone or down: the kernel removes their routes and neighbours as well."""
    obj = op.obj
    if obj.floor is not Floor.LINK:
        return []
    if op.verb is not Verb.UPDATE:
        return [(obj.netns, obj.name), *([(obj.peer.netns, obj.peer.name)] if isinstance(obj, Veth) else [])]
    if isinstance(op.have, Veth):
        return [(end.netns, end.name) for end in (op.have.end, op.have.peer) if not end.up]
    down = isinstance(op.have, Device) and not op.have.up
    return [(obj.netns, obj.name)] if down else []


_JUDGES: tuple[tuple[Any, Callable[[_Blame, Op, Any], int]], ...] = (
    ((Veth, Device), _Blame._link),
    (Port, _Blame._port),
    (Route, _Blame._route),
    (Addr, _Blame._addr),
    (Neigh, _Blame._neigh),
    (Fdb, _Blame._fdb),
    (Sysctl, _Blame._sysctl),
    ((NftTable, NftChain, NftSet), _Blame._nft),
    (Netns, _Blame._netns),
    (Listener, _Blame._listener),
    (Process, _Blame._process),
    (Link, _Blame._foreign),
)
