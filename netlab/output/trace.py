"""The documents of ``trace`` and ``capture``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from netlab.output.flows import EndKind, Hop, Leg, Outcome
from netlab.output.lookups import Lookup
from netlab.output.places import Place
from netlab.plain import document, optional


@document
class Header:
    """A layer of a packet; ``about`` is the packet that an ICMP error quotes, ``asked`` and ``mac`` are those of ARP."""

    kind: str
    protocol: str | None
    source: str | None
    target: str | None
    source_port: int | None
    target_port: int | None
    ttl: int | None
    length: int | None
    source_mac: str | None
    target_mac: str | None
    vni: int | None
    fragment_offset: int | None
    asked: str | None = optional("")
    mac: str | None = optional("")
    about: Header | None = optional(None)


@document
class RuleStep:
    """A rule that a packet met; no handle: the chain's policy or its end."""

    chain: str
    handle: int | None
    verdict: str
    target: str | None
    comment: str | None
    text: str | None


@document
class Rules:
    """A traversal of an nftables hook, and its verdict."""

    hook: str
    priority: int
    family: str
    table: str
    chain: str
    verdict: str
    policy: str | None
    service: str | None
    file: str | None
    line: int | None
    steps: tuple[RuleStep, ...]


@document
class Drop:
    """The kernel's own reason of a drop, and the function that dropped."""

    reason: str | None
    function: str
    offset: int


@document
class Change:
    """What happened to a packet since the sighting before.

    ``kind``: bridged, taken-up, routed, wrapped, unwrapped, decrypted, dnat, snat, fragmented, reassembled, misaddressed or proxied.
    ``from`` and ``to`` are interfaces, TTLs (routed) or addresses; ``by`` is the device, ``bytes`` the growth, ``undone``
    a reply's translation back, ``outer`` a change of the tunnel's packet.
    """

    kind: str
    from_: str | None = optional(None)
    to: str | None = optional(None)
    by: str | None = optional(None)
    bytes: int | None = optional(None)
    vni: int | None = optional(None)
    undone: bool = optional(False)
    outer: bool = optional(False)


@document
class Event:
    """A sighting, a traversal of rules or a drop; ``packet`` is the same number on every hop.

    ``after`` is the index of the sighting before it of the same packet; ``copy``: a bridge flooded it beside the packet.
    ``direction``: in, out, or other (a frame for another host, which nobody takes up).
    """

    time_us: float
    kind: str
    way: str
    packet: int
    netns: str
    interface: str | None
    direction: str | None
    length: int | None
    headers: tuple[Header, ...]
    notes: tuple[str, ...]
    did: tuple[Change, ...]
    after: int | None
    copy: bool
    rule: Rules | None
    drop: Drop | None


@document
class Target:
    """An address and a port."""

    address: str
    port: int


@document
class Expected:
    """The paths that the lab's state gives, and the backends that a Service may choose."""

    question: Leg
    answer: Leg | None
    backends: tuple[Target, ...]


@document
class Divergence:
    """The place where a packet left its expected path."""

    after: Hop | None
    expected: Hop | None
    went: Hop | None
    says: str


@document
class Divergences:
    """Where the request and the reply left their expected paths; null where they did not."""

    question: Divergence | None
    answer: Divergence | None


@document
class Finding:
    """A cause: ``kind`` is a stable word, ``look`` are shell lines that change nothing, ``mend`` those that repair."""

    kind: str
    says: str
    netns: str
    interface: str | None
    root: bool
    reason: str | None
    function: str | None
    rule: str | None
    policy: str | None
    service: str | None
    file: str | None
    line: int | None
    look: tuple[str, ...]
    mend: tuple[str, ...]


@document
class Impaired:
    """An impaired end of a link that the packet left by; ``file`` is null if the verb link impaired it."""

    packet: Literal["request", "reply"]
    netns: str
    interface: str
    impairments: Mapping[str, str]
    file: str | None
    line: int | None


@document
class Source:
    """A source of evidence, the records that it lost, and why it is off."""

    name: str
    on: bool
    lost: int
    why: str | None


@document
class Death:
    """The end of a lost request or reply; ``event`` is the index of its drop, its verdict, or its last sighting.

    ``interface`` is where it was last seen, ``hook`` that of the rules that dropped it.
    """

    way: str
    packet: int
    netns: str
    interface: str | None
    direction: str | None
    hook: str | None
    reason: str | None
    function: str | None
    event: int


@document
class Backend:
    """The Pod behind a Service that took the request; ``name`` and ``netns`` are null of an address of nobody."""

    name: str | None
    netns: str | None
    address: str
    port: int


@document
class Comparison:
    """The prediction beside the result; no prediction: the protocol is not predicted."""

    predicted: Outcome | None
    observed: Outcome
    agrees: bool
    differences: tuple[str, ...]


@document
class Trace:
    """``trace``.  ``events`` are in the order of time; ``time_us`` counts from the first sighting of the request.

    ``ok``: the right host replied, to a flow that policies allow; findings then did no harm, and the exit status is 0
    (but for the comparison).  ``died``: where the lost packet ended, null if a reply came.  ``places`` are the namespaces that the document names.
    ``lookup``: of a target that was given as a DNS name; without an address the outcome is error, and the packet is
    the query to the name server.
    """

    lab: str
    from_: str
    from_kind: EndKind
    to: str
    to_kind: EndKind
    netns: str
    address: str
    port: int
    protocol: str
    size: int
    df: bool
    outcome: Outcome
    error: str | None
    elapsed_us: float
    arrived: bool
    answered: bool
    ok: bool
    attempts: int
    lookup: Lookup | None = optional(None)
    backend: Backend | None
    died: Death | None
    places: Mapping[str, Place]
    events: tuple[Event, ...]
    expected: Expected
    left: Divergences
    findings: tuple[Finding, ...]
    sources: tuple[Source, ...]
    counters: Mapping[str, Mapping[str, int]]
    comparison: Comparison | None = optional(None)
    impaired: tuple[Impaired, ...] = optional(())


@document
class VersusStep:
    """A step of a packet: ``place`` and ``interface`` by names that both labs have, ``event`` its index in ``events``.

    ``direction``: in, out, or XXX where the packet ends; ``encapsulation``: the tunnels around it.
    """

    way: str
    place: str
    interface: str
    direction: str
    encapsulation: str
    packet: str
    event: int


@document
class VersusRow:
    """A step that both packets took, or one of them alone."""

    ours: VersusStep | None
    theirs: VersusStep | None


@document
class Parted:
    """Where the ways part: after a step that both took, each its next own step, null where it has none."""

    after: VersusStep | None
    ours: VersusStep | None
    theirs: VersusStep | None
    says: str


@document
class Versus:
    """``trace --versus``: the same flow in two labs; ``parted`` is null where both took the same steps."""

    lab: str
    versus: str
    dataplanes: tuple[str, str]
    same_outcome: bool
    parted: Parted | None
    rows: tuple[VersusRow, ...]
    ours: Trace
    theirs: Trace


@document
class Layer:
    """A layer of a packet as scapy reads it; a payload that nobody decodes has ``bytes``, and the first of them in ``data``."""

    name: str
    fields: Mapping[str, str]


@document
class Packet:
    """A captured packet: ``time`` in nanoseconds since 1970, ``data`` in hexadecimal digits; ``layers`` with ``-v``."""

    time: int
    time_us: float
    kind: str
    packet: int
    packet_id: str
    place: str
    netns: str
    interface: str
    direction: str
    length: int
    headers: tuple[Header, ...]
    what: str
    data: str
    layers: tuple[Layer, ...] = optional(())


@document
class Totals:
    """The end of every capture: packets, interfaces, and the packets that a place lost."""

    count: int
    interfaces: int
    lost: Mapping[str, int]
    out_of_order: int
    seconds: float


@document
class Packets:
    """The packets of a capture, and its filter; ``places`` are all namespaces of the lab."""

    lab: str
    filter: str
    places: Mapping[str, Place]
    packets: tuple[Packet, ...]


@document
class Capture(Totals, Packets):
    """``capture``; it is written packet by packet."""


@document
class File:
    """The file of a capture, and its filter; ``places`` are all namespaces of the lab."""

    lab: str
    filter: str
    places: Mapping[str, Place]
    file: str
    bytes: int


@document
class CaptureFile(Totals, File):
    """``capture -w FILE``."""
