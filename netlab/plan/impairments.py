"""Impaired links as qdiscs and rules of the end that sends.

netem does all.  Without it tbf limits the rate and a rule loses packets: at a port of a bridge in the family bridge,
else in inet.  (A netdev table would do for both; but its chains need their device, and rules are compared in a
namespace without links.)
"""

from __future__ import annotations

from collections.abc import Iterator

from netlab.model import Cluster
from netlab.model.cluster.impairments import UP, Impairment, Values
from netlab.objects import NftChain, NftTable, Obj, Port, Qdisc, State, Veth, Why
from netlab.objects.links import End
from netlab.objects.qdisc import Netem, Tbf, share

#: Of rules that lose packets; also the comment of each begins with it.
TABLE = "impairments"
_PACKETS = 1000  # that wait where the rate is limited: netem's own default
_PACKETS_ON_THEIR_WAY = 100_000  # that are delayed: 10 Gbit/s for 100 ms
_ETHERNET = 14
_BURST_UNIT = 1024
_BURSTS = 250  # a second: then no burst is seen as one
_PARTS = 1_000_000


def objects(cluster: Cluster, state: State, *, netem: bool) -> Iterator[Obj]:
    """The objects of all impairments; ``state`` has the links."""
    ends: dict[tuple[str, str], tuple[End, End]] = {}
    for veth in state.only(Veth):
        ends[veth.end.netns, veth.end.name] = veth.end, veth.peer
        ends[veth.peer.netns, veth.peer.name] = veth.peer, veth.end
    ports = {(port.netns, port.dev) for port in state.only(Port)}
    for impairment in cluster.impairments:
        link, values = impairment.link, impairment.values
        lower, upper = ends[link.netns, link.dev]
        sender = lower if impairment.direction == UP else upper
        why = Why(f"the impaired link between {link.title}", impairment.mark)
        if netem:
            yield Qdisc(sender.netns, sender.name, "root", "netem", _netem(values), why=why)
            continue
        if values.rate:
            yield Qdisc(sender.netns, sender.name, "root", "tbf", tbf(values.rate // 8, sender.mtu), why=why)
        if values.loss:
            yield from _loss(impairment, sender, why, bridged=(sender.netns, sender.name) in ports)


def _netem(values: Values) -> Netem:
    return Netem(
        _PACKETS if values.rate else _PACKETS_ON_THEIR_WAY,
        values.delay,
        values.jitter,
        share(values.loss),
        share(values.duplicate),
        share(values.reorder),
        share(values.corrupt),
        values.rate // 8,
    )


def tbf(rate: int, mtu: int) -> Tbf:
    """The parameters for a rate in bytes a second on a link of that MTU."""
    frame = mtu + _ETHERNET
    burst = max(2 * frame, rate // _BURSTS)
    return Tbf(rate, -(-burst // _BURST_UNIT) * _BURST_UNIT, _PACKETS * frame)


def _loss(impairment: Impairment, sender: End, why: Why, *, bridged: bool) -> Iterator[Obj]:
    family = "bridge" if bridged else "inet"
    comment = f"{TABLE}:{impairment.link.key}"
    parts = round(impairment.values.loss * _PARTS / 100)
    chance = f" numgen random mod {_PARTS} < {parts}" if parts < _PARTS else ""
    yield NftTable(sender.netns, family, TABLE, comment="packets that impaired links lose", why=Why("impaired links"))
    yield NftChain(
        sender.netns,
        family,
        TABLE,
        chain=sender.name,
        rules=(f'oifname "{sender.name}"{chance} counter drop comment "{comment}"',),
        base="type filter hook postrouting priority 300; policy accept;",
        why=why,
    )
