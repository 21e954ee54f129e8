"""The records of a traced packet and its reply, also as JSON.

Times are nanoseconds of CLOCK_REALTIME.  ``netns`` is always the name in /run/netns, ``interface`` the link's name there.
Bytes are hexadecimal in JSON.  A source that was off has no records; ``Source.why`` is the reason.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Any

from netlab import plain
from netlab.plain import optional
from netlab.values import dataclass

IN, BROADCAST, MULTICAST, OTHERHOST, OUT = "in", "broadcast", "multicast", "other", "out"  # sll_pkttype 0 to 4
FRAMES, RULES, DROPS, COUNTERS = "frames", "rules", "drops", "counters"


@dataclass(frozen=True, slots=True)
class Source:
    """A source of evidence: ``lost`` records did not fit its buffer; ``why`` is the reason if it is off or incomplete."""

    name: str
    on: bool
    lost: int = optional(0)
    why: str = optional("")


@dataclass(frozen=True, slots=True)
class Probe:
    """The packet that was sent, and its socket's result.

    ``protocol`` is TCP, UDP or ICMP.  ``address`` and ``port`` are the target before any translation, ``local`` and
    ``local_port`` the source.  ``marker`` identifies the packet: the initial sequence number (TCP), or the first four
    bytes of the payload (UDP, ICMP).  ``size`` counts the payload's bytes; ``df`` is Don't Fragment.
    ``outcome`` is open, refused, unreachable or timeout; ``error`` the errno's name, or "".
    ``sent`` is the time of the send call, ``ended`` the time of the result or timeout.
    ``learned`` is the path MTU that the sender had cached (0: none), for ``expires`` seconds more.
    ``crafted``: it was written in scapy's notation, so its source need not be the sender's.
    """

    netns: str
    protocol: str
    address: str
    port: int
    local: str
    local_port: int
    marker: int
    size: int = optional(0)
    df: bool = optional(False)
    outcome: str = optional("timeout")
    error: str = optional("")
    sent: int = optional(0)
    ended: int = optional(0)
    learned: int = optional(0)
    expires: int = optional(0)
    crafted: bool = optional(False)


@dataclass(frozen=True, slots=True)
class Frame:
    """A packet seen at an interface by an AF_PACKET socket.

    ``order``: arrival on the socket of its namespace, from 0; it decides where times of one skb are equal.
    ``direction``: IN, BROADCAST, MULTICAST, OTHERHOST (a bridge port's frames for other hosts) or OUT.
    ``data`` starts at the link-layer header and may be truncated; ``length`` is the length on the wire.  ``bare``: the
    interface has no such header, so it starts at the IP header.
    """

    time: int
    order: int
    netns: str
    interface: str
    direction: str
    data: bytes
    length: int
    bare: bool = False


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
    target: str = optional("")
    link: bytes = optional(b"")
    network: bytes = optional(b"")
    transport: bytes = optional(b"")
    iif: str = optional("")
    oif: str = optional("")
    mark: int = optional(0)
    state: int | None = optional(None)
    status: int | None = optional(None)


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
    comment: str = optional("")
    text: str = optional("")


@dataclass(frozen=True, slots=True)
class ForeignRule:
    """A rule of a table that is not the lab's, whether the packet met it or not; ``handle`` 0: a base chain's policy.

    ``hook``, ``priority`` and ``devices`` (netdev tables) are its base chain's; ``hook`` is "" in another chain.
    """

    netns: str
    family: str
    table: str
    chain: str
    handle: int
    text: str
    hook: str = optional("")
    priority: int = optional(0)
    devices: tuple[str, ...] = optional(())


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
    link: bytes = optional(b"")
    protocol: int = optional(0)


@dataclass(frozen=True, slots=True)
class Query:
    """A question to a name server: ``type`` A or AAAA.

    ``outcome``: found, nodata (the name has no such record), nxdomain, servfail, refused (by the server), closed (no
    process listens), unreachable, silent, garbled, or invalid (no name of DNS, so it was not sent).  ``elapsed`` in nanoseconds.
    """

    name: str
    type: str
    server: str
    outcome: str
    addresses: tuple[str, ...] = optional(())
    aliases: tuple[str, ...] = optional(())
    elapsed: int = optional(0)


IN_VIEW = "/etc/resolv.conf"  # ``Lookup.file`` of a Pod whose containers have files of their own


@dataclass(frozen=True, slots=True)
class Lookup:
    """How a sender resolved the target's name: by a line of its ``hosts`` file, or by ``queries``.

    ``file`` is the resolv.conf that it reads, ``text`` its text, with ``servers`` and ``searches``; ``addresses`` are
    the result.
    """

    name: str
    netns: str
    file: str
    servers: tuple[str, ...] = optional(())
    searches: tuple[str, ...] = optional(())
    addresses: tuple[str, ...] = optional(())
    hosts: bool = optional(False)
    queries: tuple[Query, ...] = optional(())
    text: str = optional("")


@dataclass(frozen=True, slots=True)
class Socket:
    """A listening socket: ``device`` is the interface that it is bound to, or "".

    ``waiting`` and ``room``: of TCP the connections that were not accepted yet and how many may wait, of UDP the bytes
    that were not read.  ``pid`` and ``process`` are known only on the probe's ports; ``stopped`` by SIGSTOP.
    """

    address: str
    port: int
    device: str = optional("")
    v6only: bool = optional(False)
    waiting: int = optional(0)
    room: int = optional(0)
    pid: int = optional(0)
    process: str = optional("")
    stopped: bool = optional(False)


@dataclass(frozen=True, slots=True)
class Recording:
    """All evidence about a packet.

    ``counters``: by namespace, the increments during the trace of /proc/net/snmp, snmp6, netstat and of the links' own
    counters (``dev:eth0 rx_dropped``).  ``mtus``: for a lost packet, by namespace and link, 0 for a link that was down.
    ``foreign``: the rules of foreign tables in the namespaces that saw the packet.  ``lookups``: that of the target's
    name, if it was typed; without an address the recorded packet is its query.  ``sockets``: by namespace the listening
    sockets of the probe's protocol; of an answered TCP packet only those whose connections wait to be accepted.
    ``port_range``: the range of the sender's own ports, if it had no free port.
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
    foreign: tuple[ForeignRule, ...] = optional(())
    lookups: tuple[Lookup, ...] = optional(())
    sockets: Mapping[str, tuple[Socket, ...]] = field(default_factory=dict)
    port_range: str = ""


def to_json(recording: Recording) -> dict[str, Any]:
    """As plain data; usual values of the records are left out."""
    data: dict[str, Any] = plain.dump(recording)
    return data


def from_json(data: Mapping[str, Any]) -> Recording:
    """The inverse of ``to_json``; ValueError if the data is not a recording."""
    return plain.load(Recording, data)
