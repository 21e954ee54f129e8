"""The records of a traced packet and its reply, also as JSON.

Times are nanoseconds of CLOCK_REALTIME.  ``netns`` is always the name in /run/netns, ``interface`` the link's name there.
Bytes are hexadecimal in JSON.  A source that was off has no records; ``Source.why`` is the reason.
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
    """A source of evidence: ``lost`` records did not fit its buffer; ``why`` is the reason if it is off or incomplete."""

    name: str
    on: bool
    lost: int = 0
    why: str = ""


@dataclass(frozen=True, slots=True)
class Probe:
    """The packet that was sent, and its socket's result.

    ``protocol`` is TCP, UDP or ICMP.  ``address`` and ``port`` are the target before any translation, ``local`` and
    ``local_port`` the source.  ``marker`` identifies the packet: the initial sequence number (TCP), or the first four
    bytes of the payload (UDP, ICMP).  ``size`` counts the payload's bytes; ``df`` is Don't Fragment.
    ``outcome`` is open, refused, unreachable or timeout; ``error`` the errno's name, or "".
    ``sent`` is the time of the send call, ``ended`` the time of the result or timeout.
    ``learned`` is the path MTU that the sender had cached (0: none), for ``expires`` seconds more.
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

    ``order``: arrival on the socket of its namespace, from 0; it decides where times of one skb are equal.
    ``direction``: IN, BROADCAST, MULTICAST, OTHERHOST (a bridge port's frames for other hosts) or OUT.
    ``data`` starts at the link-layer header and may be truncated; ``length`` is the length on the wire.
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
    continue, jump, goto, return, queue; ``target`` the chain of a jump or goto.  ``handle`` is 0 without a rule.
    ``link``, ``network``, ``transport``: headers, only in the first event of a base chain's traversal, else empty.
    ``iif`` and ``oif``: interface names or "".  ``state`` and ``status``: connection tracking's, None if the kernel
    does not report them.
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
    """A rule in the kernel at the start of the trace; a ``RuleSeen`` refers to it by its handle.

    ``comment`` is netlab's (``netpol:ns/name ingress[0]``) or foreign; ``text`` is nft's output, "" if not requested.
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
    """A base chain.  ``hook`` is its place in the packet's path: prerouting, input, forward, output, postrouting."""

    netns: str
    family: str
    table: str
    chain: str
    hook: str
    priority: int


@dataclass(frozen=True, slots=True)
class Drop:
    """The kernel dropped the packet, or an ICMP error about it.

    ``reason`` without SKB_DROP_REASON_ ("": this kernel gives none); ``function`` and ``offset`` are the code location.
    ``network``: bytes from the network header on; ``link``: the MAC header, or empty.
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
    """All evidence about a packet.

    ``counters``: by namespace, the increments during the trace of /proc/net/snmp, snmp6, netstat and of the links' own
    counters (``dev:eth0 rx_dropped``).  ``mtus``: for a lost packet, by namespace and link, 0 for a link that was down.
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
    """Plain data; default values are left out."""
    counters = {netns: dict(moved) for netns, moved in recording.counters.items()}
    mtus = {netns: dict(links) for netns, links in recording.mtus.items()}
    rows = {
        name: [_plain(record) for record in getattr(recording, name)]
        for name in ("sources", "frames", "rules_seen", "rules", "chains", "drops")
    }
    return {"lab": recording.lab, "probe": _plain(recording.probe), **rows, "counters": counters, "mtus": mtus}


def from_json(data: Mapping[str, Any]) -> Recording:
    """The inverse of ``to_json``; KeyError, TypeError or ValueError if the data is not a recording."""

    def rows(kind: type[R], name: str) -> tuple[R, ...]:
        return tuple(_record(kind, record) for record in data[name])

    return Recording(
        lab=str(data["lab"]),
        probe=_record(Probe, data["probe"]),
        sources=rows(Source, "sources"),
        frames=rows(Frame, "frames"),
        rules_seen=rows(RuleSeen, "rules_seen"),
        rules=rows(Rule, "rules"),
        chains=rows(BaseChain, "chains"),
        drops=rows(Drop, "drops"),
        counters={str(netns): dict(moved) for netns, moved in data["counters"].items()},
        mtus={str(netns): dict(links) for netns, links in data.get("mtus", {}).items()},
    )


def _plain(record: Any) -> dict[str, Any]:
    values = {}
    for attribute in fields(record):
        value = getattr(record, attribute.name)
        if value != attribute.default:
            values[attribute.name] = value.hex() if isinstance(value, bytes) else value
    return values


def _record(kind: type[R], data: Mapping[str, Any]) -> R:
    raw = {attribute.name for attribute in fields(kind) if attribute.type == "bytes"}  # type: ignore[arg-type]
    return kind(**{name: bytes.fromhex(value) if name in raw else value for name, value in data.items()})
