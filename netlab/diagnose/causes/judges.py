"""Whether a traced packet needed an object that deviates: a judge for each kind of object that ``diff`` lists.

A judge returns 1: the packet needed the object or met it; 2: it may have; 0: it did not.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from ipaddress import ip_address, ip_interface, ip_network
from typing import Any

from netlab.diagnose.causes.foreign import foreign
from netlab.diagnose.causes.needs import Needs
from netlab.diagnose.expected.iprule import MAIN_PREFERENCE, IpRule, Lookup, parse
from netlab.diagnose.rules.nfttext import Effect
from netlab.objects import (
    Addr,
    Conntrack,
    Fdb,
    File,
    Link,
    Listener,
    Neigh,
    Netns,
    NftChain,
    NftSet,
    NftTable,
    Obj,
    Op,
    PathMtu,
    Port,
    Process,
    Qdisc,
    Route,
    Rule,
    Sysctl,
    Verb,
    WgPeer,
    XfrmPolicy,
)
from netlab.objects.ip import MAIN
from netlab.objects.links import Device, Veth

Judge = Callable[[Needs, Op, Any, tuple[Op, ...]], int]
_NO, _YES, _MAYBE = 0, 1, 2


def weight(needs: Needs, op: Op, operations: tuple[Op, ...]) -> int:
    """The judgement about a deviation; ``operations`` are all of them."""
    for kind, judge in JUDGES:
        if isinstance(op.obj, kind):
            return int(judge(needs, op, op.obj, operations))
    return _NO


# -- links ------------------------------------------------------------------------------------------------------------


def _link(needs: Needs, op: Op, obj: Obj, _: tuple[Op, ...]) -> int:
    own = {(obj.netns, obj.name)}
    if isinstance(obj, Veth):
        own = {(obj.end.netns, obj.end.name), (obj.peer.netns, obj.peer.name)}
    return _YES if own & (needs.hops | needs.bridges) else _NO


def _port(needs: Needs, op: Op, obj: Port, _: tuple[Op, ...]) -> int:
    if (obj.netns, obj.dev) not in needs.hops:
        return _NO
    if isinstance(op.have, Port) and op.have.deviations:
        lost = {each.word for each in op.have.deviations if each.group == "fdb"}
        others = tuple(each for each in op.have.deviations if each.group != "fdb")
        if lost and replace(op.have, deviations=others) == obj:
            return _YES if lost & needs.macs else _NO  # its own MAC, which hardly any packet is for
    return _YES


def _foreign_link(needs: Needs, op: Op, obj: Link, _: tuple[Op, ...]) -> int:
    return _YES if (obj.netns, obj.dev) in needs.hops else _NO


def _qdisc(needs: Needs, op: Op, obj: Qdisc, _: tuple[Op, ...]) -> int:
    interface = (obj.netns, obj.dev)
    met = interface in needs.left_by
    if obj.place != "root":
        met = interface in (needs.hops if obj.place == "clsact" else needs.came_by)
    if not met:
        return _NO
    return _YES if interface in needs.spots else _MAYBE


def _fdb(needs: Needs, op: Op, obj: Fdb, _: tuple[Op, ...]) -> int:
    interface = (obj.netns, obj.dev)
    bridge = interface in needs.bridges or (obj.netns, needs.topology.master(interface)) in needs.bridges
    if interface not in needs.hops and not bridge:
        return _NO
    return _YES if obj.mac in needs.macs or obj.mac == "00:00:00:00:00:00" else _NO


def _peer(needs: Needs, op: Op, obj: WgPeer, _: tuple[Op, ...]) -> int:
    """A peer matters for packets to and from the networks that it has, or should have."""
    if (obj.netns, obj.dev) not in needs.hops:
        return _NO
    had = op.have.allowed if isinstance(op.have, WgPeer) else ()
    networks = [ip_network(text) for text in {*obj.allowed, *had}]
    met = any(_within(address, network) for address in needs.addresses for network in networks)
    return _YES if met else _MAYBE if not obj.remote else _NO


# -- addresses and neighbours -----------------------------------------------------------------------------------------


def _addr(needs: Needs, op: Op, obj: Addr, _: tuple[Op, ...]) -> int:
    address = ip_interface(obj.address)
    near = obj.netns in needs.namespaces
    if str(address.ip) in needs.addresses | needs.vias:
        peer = needs.topology.peers.get((obj.netns, obj.dev))
        return _YES if near or (peer is not None and peer[0] in needs.namespaces) else _NO
    if not near or (obj.netns, obj.dev) not in needs.hops:
        return _NO
    return _MAYBE if any(_within(needed, address.network) for needed in needs.addresses) else _NO


def _within(address: str, network: Any) -> bool:
    here = ip_address(address)
    return here.version == network.version and here in network


def _neigh(needs: Needs, op: Op, obj: Neigh, _: tuple[Op, ...]) -> int:
    near = obj.netns in needs.namespaces and obj.address in needs.vias
    return _YES if near and (obj.netns, obj.dev) in needs.hops else _NO


# -- routes -----------------------------------------------------------------------------------------------------------


def _route(needs: Needs, op: Op, obj: Route, operations: tuple[Op, ...]) -> int:
    if obj.netns not in needs.namespaces:
        return _NO
    if obj.table == _LOCAL:
        return _YES if any(_within(address, ip_network(obj.dst)) for address in needs.addresses) else _NO
    if obj.table != MAIN:
        return _beside_main(needs, obj, operations)
    network = ip_network(obj.dst)
    for address in needs.addresses:
        if not _within(address, network):
            continue
        best = needs.topology.route(obj.netns, address)
        length = ip_network(best.dst).prefixlen if best else -1
        if op.verb is not Verb.DELETE:
            if best is not None and network.prefixlen == length:
                return _YES
        elif network.prefixlen >= length and not needs.topology.local(obj.netns, address):
            return _YES
    return _NO


_LOCAL = 255


def _beside_main(needs: Needs, obj: Route, operations: tuple[Op, ...]) -> int:
    """A route of another table: a rule must lead the packet there, and no longer prefix of that table may win."""
    best = _NO
    routes = needs.other_routes(operations)
    for op in operations:
        rule = _foreign_rule(op, obj.netns)
        if rule is None or rule.own_table != obj.table:
            continue
        for lookup, judged in _led(needs, op.obj, rule):
            chosen = _longest(routes[obj.netns, obj.table], lookup)
            if chosen is not None and chosen.dst == obj.dst:
                best = judged if best == _NO else min(best, judged)
    return best


def _foreign_rule(op: Op, netns: str) -> IpRule | None:
    obj = op.obj
    return parse(obj.words) if isinstance(obj, Rule) and obj.netns == netns and op.verb is Verb.DELETE else None


def _led(needs: Needs, obj: Obj, rule: IpRule) -> Iterable[tuple[Lookup, int]]:
    """The routing decisions that a rule takes."""
    v6 = isinstance(obj, Rule) and obj.v6
    marked = {hit.rule.netns for hit in foreign(needs.story) if hit.action.effect is Effect.MARK}
    for lookup in needs.lookups.get(obj.netns, ()):
        if (lookup.packet.version == 6) != v6 or needs.topology.local(obj.netns, lookup.packet.target):
            continue
        after_main = rule.preference > MAIN_PREFERENCE
        if after_main and needs.topology.route(obj.netns, lookup.packet.target) is not None:
            continue
        matched = rule.matches(lookup)
        if matched is not False:
            yield lookup, _YES if matched or obj.netns in marked else _MAYBE


def _rule(needs: Needs, op: Op, obj: Rule, operations: tuple[Op, ...]) -> int:
    """A rule matters if it refuses the packet, or if its table has a route for it."""
    rule = parse(obj.words)
    routes = needs.other_routes(operations).get((obj.netns, rule.own_table), [])
    weights = [
        judged
        for lookup, judged in _led(needs, obj, rule)
        if rule.refuses
        or rule.action == "goto"
        or ("suppress_prefixlength" in obj.words and rule.table == "main")
        or (rule.own_table and _longest(routes, lookup) is not None)
    ]
    return min(weights, default=_NO)


def _longest(routes: Iterable[Route], lookup: Lookup) -> Route | None:
    covering = [route for route in routes if _within(lookup.packet.target, ip_network(route.dst))]
    return max(covering, key=lambda route: ip_network(route.dst).prefixlen, default=None)


def _xfrm(needs: Needs, op: Op, obj: XfrmPolicy, _: tuple[Op, ...]) -> int:
    if obj.netns not in needs.namespaces:
        return _NO
    networks = [ip_network(word, strict=False) for word in obj.words.split() if "/" in word]
    selected = any(
        _within(lookup.packet.source or lookup.packet.target, networks[0])
        and _within(lookup.packet.target, networks[-1])
        for lookup in needs.lookups.get(obj.netns, ())
        if networks
    )
    return _YES if selected or not networks else _NO


# -- the namespace ----------------------------------------------------------------------------------------------------

_QUIET = ("icmp_ratelimit", "icmp_ratemask", "icmp.ratelimit", "accept_ra", "accept_dad", ".conf.default.")
_PING = re.compile(r"icmp_echo|icmp\.echo|icmp_ignore")
_SENDERS = re.compile(r"ip_default_ttl|hop_limit|ip_no_pmtu_disc|ip_local_port_range|local_reserved_ports")


def _sysctl(needs: Needs, op: Op, obj: Sysctl, _: tuple[Op, ...]) -> int:
    if obj.netns not in needs.namespaces or any(word in obj.path for word in _QUIET):
        return _NO
    if obj.link and (obj.netns, obj.link) not in needs.hops | needs.bridges:
        return _NO
    probe = needs.story.recording.probe
    if _PING.search(obj.path) and (probe.protocol != "ICMP" or obj.netns != needs.story.round_trip.request.netns):
        return _NO
    if _SENDERS.search(obj.path) and obj.netns not in needs.ends:
        return _NO
    if "frag_" in obj.path and not any(event.packet.fragment for event in needs.story.request + needs.story.reply):
        return _NO
    if ".tcp_" in obj.path and probe.protocol != "TCP":
        return _NO
    if "bridge-nf" in obj.path and not any(netns == obj.netns for netns, _ in needs.bridges):
        return _NO
    six = "ipv6" in obj.path or "ip6tables" in obj.path
    return _YES if any((":" in address) == six for address in needs.addresses) else _NO


def _nft(needs: Needs, op: Op, obj: NftTable | NftChain | NftSet, _: tuple[Op, ...]) -> int:
    """A chain that somebody changed must have judged the packet; one that is missing may be why it was not judged."""
    if obj.netns not in needs.namespaces:
        return _NO
    if needs.chains is None or op.verb is Verb.CREATE:
        return _MAYBE
    if isinstance(obj, NftChain):
        return _YES if (obj.netns, obj.place, obj.chain) in needs.chains else _NO
    return _MAYBE if any((netns, table) == (obj.netns, obj.place) for netns, table, _ in needs.chains) else _NO


def _netns(needs: Needs, op: Op, obj: Netns, _: tuple[Op, ...]) -> int:
    return _YES if obj.netns in needs.namespaces else _NO


def _listener(needs: Needs, op: Op, obj: Listener, _: tuple[Op, ...]) -> int:
    story = needs.story
    ports = {event.packet.innermost.dport for event in story.request} | {story.recording.probe.port}
    here = obj.netns == story.round_trip.request.netns and story.arrived_at_target
    return _YES if here and obj.port in ports else _NO


def _process(needs: Needs, op: Op, obj: Process, _: tuple[Op, ...]) -> int:
    story = needs.story
    return _MAYBE if obj.netns == story.round_trip.request.netns and story.arrived_at_target else _NO


# -- what was learned -------------------------------------------------------------------------------------------------


def _path_mtu(needs: Needs, op: Op, obj: PathMtu, _: tuple[Op, ...]) -> int:
    """It matters to the sender of packets that are larger."""
    if obj.netns not in needs.ends or obj.address not in needs.addresses:
        return _NO
    probe = needs.story.recording.probe
    sizes = (event.packet.length for event in needs.story.events if event.netns == obj.netns)
    return _YES if probe.error == "EMSGSIZE" or max(probe.size, *sizes, 0) > obj.mtu else _NO


def _conntrack(needs: Needs, op: Op, obj: Conntrack, _: tuple[Op, ...]) -> int:
    """An entry is of one flow: another source port has an entry of its own."""
    probe = needs.story.recording.probe
    same = (obj.address, obj.port, obj.source_port) == (probe.address, probe.port, probe.local_port)
    return _YES if obj.netns in needs.namespaces and same else _NO


def _file(needs: Needs, op: Op, obj: File, _: tuple[Op, ...]) -> int:
    return _NO  # no packet on the path of another depends on it


JUDGES: tuple[tuple[Any, Judge], ...] = (
    ((Veth, Device), _link),
    (Port, _port),
    (Link, _foreign_link),
    (Qdisc, _qdisc),
    (Fdb, _fdb),
    (WgPeer, _peer),
    (Addr, _addr),
    (Neigh, _neigh),
    (Route, _route),
    (Rule, _rule),
    (XfrmPolicy, _xfrm),
    (PathMtu, _path_mtu),
    (Conntrack, _conntrack),
    (Sysctl, _sysctl),
    ((NftTable, NftChain, NftSet), _nft),
    (Netns, _netns),
    (Listener, _listener),
    (Process, _process),
    (File, _file),
)
