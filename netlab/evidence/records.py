"""What was recorded of one traced packet and of its answer: values, and the same as JSON.

Times are nanoseconds of CLOCK_REALTIME.  ``netns`` is always the name in /run/netns, ``interface`` the link's name there.
Bytes are hexadecimal in JSON.  A source that was not on has no records, and ``Source.why`` says why.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, TypeVar

IN, BROADCAST, MULTICAST, OTHERHOST, OUT = "in", "broadcast", "multicast", "other", "out"  # sll_pkttype 0 to 4
FRAMES, RULES, DROPS, COUNTERS = "frames", "rules", "drops", "counters"

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Source:
    """One source of evidence: ``lost`` records did not fit its buffer; ``why`` it is off, where it is."""

    name: str
    on: bool
    lost: int = 0
    why: str = ""


@dataclass(frozen=True, slots=True)
class Probe:
    """The packet that was sent, and what its socket said.

    ``protocol`` is TCP, UDP or ICMP; ``address`` and ``port`` what was asked for (before any translation), ``local`` and
    ``local_port`` where it came from.  ``marker`` is what tells the packet from all others: the initial sequence number
    (TCP), or the first four bytes of the payload (UDP, ICMP).  ``size``: bytes of payload; ``df``: Don't Fragment.
    ``outcome`` is open, refused, unreachable or timeout; ``error`` the errno's name, "" where there was none.
    ``sent`` and ``ended``: when the socket was told to send, and when it or the tracer had enough.
    ``learned``: the path MTU that its sender had learned before (0: none), for ``expires`` seconds more.
    """

    netns: str
    protocol: str
    address: str
    port: int
    local: str
    local_port: int
    marker: int
    size: int = 0
    df: bool = False
    outcome: str = "timeout"
    error: str = ""
    sent: int = 0
    ended: int = 0
    learned: int = 0
    expires: int = 0


@dataclass(frozen=True, slots=True)
class Frame:
    """A packet seen at an interface by an AF_PACKET socket.

    ``order``: arrival on the socket of its namespace, from 0 (times of one skb can be equal; this is right then).
    ``direction``: IN, BROADCAST, MULTICAST, OTHERHOST (a bridge port's frames for somebody else) or OUT.
    ``data`` from the link-layer header on, perhaps cut; ``length`` on the wire.
    """

    time: int
    order: int
    netns: str
    interface: str
    direction: str
    data: bytes
    length: int


@dataclass(frozen=True, slots=True)
class RuleSeen:
    """An nftables trace event: a rule, or a base chain's policy, judged a packet.

    ``order``: arrival on the socket of its namespace.  ``kind``: rule, policy or return.  ``verdict``: accept, drop,
    continue, jump, goto, return, queue; ``target`` the chain of a jump or goto.  ``handle`` 0 where no rule is meant.
    ``link``, ``network``, ``transport``: headers, only with the first event of a base chain's traversal, else empty.
    ``iif`` and ``oif``: interface names, "" where the event has none.  ``state`` and ``status``: connection tracking's,
    None where the kernel does not tell.
    """

    order: int
    netns: str
    family: str
    table: str
    chain: str
    handle: int
    kind: str
    verdict: str
    target: str = ""
    link: bytes = b""
    network: bytes = b""
    transport: bytes = b""
    iif: str = ""
    oif: str = ""
    mark: int = 0
    state: int | None = None
    status: int | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule as it was in the kernel when the trace began: what a ``RuleSeen`` with its handle means.

    ``comment`` is ours (``netpol:ns/name ingress[0]``) or a stranger's; ``text`` as nft prints it, "" where not asked for.
    """

    netns: str
    family: str
    table: str
    chain: str
    handle: int
    comment: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True)
class BaseChain:
    """A base chain: where in a packet's way its rules stand.  ``hook``: prerouting, input, forward, output, postrouting."""

    netns: str
    family: str
    table: str
    chain: str
    hook: str
    priority: int


@dataclass(frozen=True, slots=True)
class Drop:
    """The kernel freed the packet, or an ICMP error about it, for a reason.

    ``reason`` without SKB_DROP_REASON_ ("" where this kernel tells none); ``function`` is where, ``offset`` in it.
    ``network``: bytes from the network header on; ``link``: the MAC header, empty where there was none.
    """

    time: int
    netns: str
    interface: str
    reason: str
    function: str
    offset: int
    network: bytes
    link: bytes = b""
    protocol: int = 0


@dataclass(frozen=True, slots=True)
class Recording:
    """Everything that was seen of one packet.  ``counters``: by namespace, those of /proc/net/snmp, snmp6, netstat and
    the links' own (``dev:eth0 rx_dropped``) that moved while the packet was on its way, by how much.  ``mtus``: of a
    packet that was lost, by namespace and link, 0 of a link that was down.
    """

    lab: str
    probe: Probe
    sources: tuple[Source, ...] = ()
    frames: tuple[Frame, ...] = ()
    rules_seen: tuple[RuleSeen, ...] = ()
    rules: tuple[Rule, ...] = ()
    chains: tuple[BaseChain, ...] = ()
    drops: tuple[Drop, ...] = ()
    counters: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    mtus: Mapping[str, Mapping[str, int]] = field(default_factory=dict)


def to_json(recording: Recording) -> dict[str, Any]:
    """As plain data; empty and usual values are left out."""
    counters = {netns: dict(moved) for netns, moved in recording.counters.items()}
    mtus = {netns: dict(links) for netns, links in recording.mtus.items()}
    rows = {
        name: [_plain(one) for one in getattr(recording, name)]
        for name in ("sources", "frames", "rules_seen", "rules", "chains", "drops")
    }
    return {"lab": recording.lab, "probe": _plain(recording.probe), **rows, "counters": counters, "mtus": mtus}


def from_json(data: Mapping[str, Any]) -> Recording:
    """The inverse of ``to_json``; KeyError, TypeError or ValueError where the data is not a recording."""

    def rows(kind: type[R], name: str) -> tuple[R, ...]:
        return tuple(_record(kind, one) for one in data[name])

    return Recording(
        str(data["lab"]),
        _record(Probe, data["probe"]),
        rows(Source, "sources"),
        rows(Frame, "frames"),
        rows(RuleSeen, "rules_seen"),
        rows(Rule, "rules"),
        rows(BaseChain, "chains"),
        rows(Drop, "drops"),
        {str(netns): dict(moved) for netns, moved in data["counters"].items()},
        {str(netns): dict(links) for netns, links in data.get("mtus", {}).items()},
    )


def _plain(record: Any) -> dict[str, Any]:
    found = {}
    for one in fields(record):
        value = getattr(record, one.name)
        if value != one.default:
            found[one.name] = value.hex() if isinstance(value, bytes) else value
    return found


def _record(kind: type[R], data: Mapping[str, Any]) -> R:
    raw = {one.name for one in fields(kind) if one.type == "bytes"}  # type: ignore[arg-type]
    return kind(**{name: bytes.fromhex(value) if name in raw else value for name, value in data.items()})
