"""What is known of a dropped packet, in a sentence a kind of reason: the words that ``drops`` chooses from.

Each function reads a drop by the packet's headers, by what else was seen, and by what the lab should be.
"""

from __future__ import annotations

from netlab.diagnose.correlate import ANSWER, ERROR, FRAME, QUESTION, TITLES, Event
from netlab.diagnose.finding import Finding
from netlab.diagnose.story import Story
from netlab.diagnose.way import Way
from netlab.diagnose.words import asked, look_route, who
from netlab.wire import packets


def _what(event: Event) -> str:
    """``the request``, ``the reply``, ``the ICMP error``; where it is in a tunnel, its outer packet."""
    word = TITLES.get(event.way, "packet")
    return f"the {word}" + (" (inside VXLAN)" if event.packet.inner is not None else "")


# -- rules ------------------------------------------------------------------------------------------------------------


def netfilter(story: Story, event: Event) -> Finding:
    """NETFILTER_DROP: a rule, where rules were traced."""
    return judged(story, event) or Finding(
        "rule",
        f"a hook of netfilter dropped {_what(event)} in {event.netns}"
        + ("" if story.source("rules").on else "; rules were not traced, so which one is not known"),
        event.netns,
        look=(f"ip netns exec {event.netns} nft list ruleset",),
    )


def judged(story: Story, event: Event) -> Finding | None:
    """The rule behind a drop: the last traversal of that packet there that ended in one."""
    same = [one for one in story.verdicts if one.netns == event.netns and one.number == event.number]
    same = same or [one for one in story.verdicts if one.netns == event.netns and one.way == event.way]
    return by_rule(story, same[-1]) if same else None


def by_rule(story: Story, event: Event) -> Finding | None:
    """What a traversal that ended in a drop says."""
    judgement, meaning = event.judgement, story.meaning(event)
    if judgement is None or meaning is None:
        return None
    last = judgement.steps[-1]
    chain = f"{judgement.family} {judgement.table} {last.chain}"
    verb = "rejected" if meaning.rejects else "dropped"
    word = f"nftables {verb} {_what(event)} in {event.netns} ({judgement.hook}): {meaning.says}"
    came = event.packet.innermost.source
    if meaning.policy and event.way == QUESTION and story.journey.source and came != story.journey.source:
        word += f"; the rule saw it come from {came}, and not from {story.journey.source}"
    look = [f"ip netns exec {event.netns} nft -a list chain {chain}"]
    kind = "rule"
    if meaning.policy:
        kind = "policy"
        look.insert(0, f"netlab explain --lab {story.recording.lab} {asked(story)}")
    elif meaning.service:
        kind = "service"
        namespace, _, name = meaning.service.partition("/")
        look.insert(0, f"netlab describe service {name} -n {namespace} --lab {story.recording.lab}")
    rule = f"{chain} handle {last.handle}" if last.handle else f"{chain} policy"
    return Finding(
        kind, word, event.netns, event.interface, tuple(look), rule=rule, policy=meaning.policy,
        service=meaning.service, mark=meaning.mark,
    )  # fmt: skip


# -- routes -----------------------------------------------------------------------------------------------------------


def no_route(story: Story, event: Event) -> Finding:
    """The namespace has no route."""
    target = event.packet.target
    says = f"{event.netns} has no route to {target} ({who(story, target)})"
    return Finding("no-route", says, event.netns, look=look_route(event.netns, event.packet, event.interface))


def refusing_route(story: Story, event: Event) -> Finding:
    """No reason, in the function that ends what has no route: the route is there, and refuses."""
    target = event.packet.target
    says = f"{event.netns} has a route to {target} that refuses (blackhole, unreachable or prohibit), or none"
    look = look_route(event.netns, event.packet, event.interface)
    return Finding("no-route", says, event.netns, look=(*look, f"ip -n {event.netns} rule"))


def not_forwarded(story: Story, event: Event) -> Finding:
    """It is not for this namespace, which does not forward it."""
    packet, netns = event.packet, event.netns
    target = packet.target
    if story.known.forwards(netns, packet.version):
        path = "net.ipv4.ip_forward" if packet.version == 4 else "net.ipv6.conf.all.forwarding"
        route = story.known.route(netns, target)
        if route is None:
            says = f"{netns} did not forward {_what(event)} to {target}: it is no router for it"
        else:
            says = f"{netns} did not forward {_what(event)}: forwarding is off there, or on {event.interface}"
        return Finding(
            "forwarding-off",
            says,
            netns,
            look=(f"ip netns exec {netns} sysctl {path}", *look_route(netns, packet, event.interface)),
        )
    says = f"{_what(event)} came to {netns}, which neither has the address {target} nor forwards"
    return Finding("wrong-turn", says, netns, look=(f"ip -n {netns} addr",))


def reverse_path(story: Story, event: Event) -> Finding:
    """rp_filter."""
    source = event.packet.source
    says = (
        f"the reverse path filter of {event.netns} dropped {_what(event)}: the route to {source} does not use "
        f"{event.interface}, on which the packet came"
    )
    look = (
        f"ip -n {event.netns} route get {source}",
        f"ip netns exec {event.netns} sysctl net.ipv4.conf.all.rp_filter net.ipv4.conf.{event.interface}.rp_filter",
    )
    return Finding("reverse-path", says, event.netns, look=look)


def ttl(story: Story, event: Event) -> Finding:
    """The time to live was over: in circles where it was seen twice at one place, else it began too small."""
    seen = [one for one in story.events if one.kind == FRAME and one.number == event.number]
    places = [(one.netns, one.interface, one.direction) for one in seen if not one.packet.innermost.offset]
    look = look_route(event.netns, event.packet, event.interface)
    says = f"its time to live was over in {event.netns}"
    if len(set(places)) < len(places):
        names = list(dict.fromkeys(netns for netns, _, _ in places))
        between = f" between {' and '.join(names[-2:])}" if len(names) > 1 else ""
        return Finding("loop", f"{says}: it went round in circles{between}", event.netns, look=look)
    if seen:
        first = seen[0]
        says += f": it left {first.netns} with {first.packet.innermost.hops}, which is too little for its path"
        word = "ipv4.ip_default_ttl" if first.packet.innermost.version == 4 else "ipv6.conf.all.hop_limit"
        look = (f"ip netns exec {first.netns} sysctl net.{word}", *look)
    return Finding("ttl", says, event.netns, look=look)


def martian(story: Story, event: Event) -> Finding:
    """Addresses that may not come from that link."""
    packet = event.packet
    says = (
        f"{event.netns} takes no packet with these addresses from {event.interface}: {packet.source} to {packet.target}"
    )
    return Finding("martian", says, event.netns, look=(f"ip -n {event.netns} route get {packet.target}",))


# -- tunnels and bridges ----------------------------------------------------------------------------------------------


def no_forwarding_entry(story: Story, event: Event) -> Finding:
    """A VXLAN device without an entry for the MAC."""
    target = _target_mac(story, event)
    says = f"{event.interface} of {event.netns} has no forwarding entry for {target or 'the frame'}" + (
        f", which is the MAC of {_owner_of(story, target)}" if target else ""
    )
    look = [f"bridge -n {event.netns} fdb show dev {event.interface}"]
    if not story.known.mac_owners(target):
        look.append(f"ip -n {event.netns} neigh show dev {event.interface}")
    return Finding("no-fdb-entry", says, event.netns, look=tuple(look))


def _target_mac(story: Story, event: Event) -> str:
    seen = [
        one.packet.link.target
        for one in story.events
        if one.kind == FRAME and one.number == event.number and one.netns == event.netns and one.packet.link
        and one.interface == event.interface
    ]  # fmt: skip
    if seen:
        return seen[-1]
    return event.packet.link.target if event.packet.link else ""


def _owner_of(story: Story, mac: str) -> str:
    owners = story.known.mac_owners(mac)
    return f"{owners[0][1]} in {owners[0][0]}" if owners else "nobody in this lab"


def no_port(story: Story, event: Event) -> Finding:
    """A bridge without a port for the frame."""
    says = f"bridge {event.interface} of {event.netns} has no port to send {_what(event)} to"
    return Finding(
        "no-port", says, event.netns, look=(f"bridge -n {event.netns} -d link", f"bridge -n {event.netns} fdb")
    )


def not_forwarding_port(story: Story, event: Event) -> Finding:
    """A port that is down, blocked, or whose bridge is down."""
    bridge = story.known.master((event.netns, event.interface))
    says = f"port {event.interface} of {event.netns} is not forwarding" + (
        f": is bridge {bridge} up?" if bridge else ": is its bridge up?"
    )
    names = [bridge] if bridge else []
    look = tuple(f"ip -n {event.netns} link show {one}" for one in (*names, event.interface))
    return Finding("port-state", says, event.netns, bridge or event.interface, look)


def vni(story: Story, event: Event) -> Finding:
    """A VNI that no device here has."""
    vni = event.packet.vni
    says = f"{event.netns} has no VXLAN device for VNI {vni} on port {event.packet.dport}"
    return Finding("vni", says, event.netns, look=(f"ip -n {event.netns} -d link show type vxlan",))


def other_host(story: Story, event: Event) -> Finding:
    """A frame for a MAC that is not this interface's."""
    mac = _target_mac(story, event)
    owner = _owner_of(story, mac)
    place = (event.netns, event.interface)
    mine = story.known.mac.get(place, "")
    if story.known.master(place):
        says = (
            f"{event.interface} of {event.netns} treated {_what(event)} as its own, which it is not: "
            f"is it still a port of {story.known.master(place)}?"
        )
        return Finding("port-detached", says, event.netns, look=(f"bridge -n {event.netns} link",))
    if place not in {(hop.netns, hop.interface) for way in _ways(story) for hop in way.hops}:
        says = f"a copy of {_what(event)} ended at {event.interface} of {event.netns}: its MAC {mac} is that of {owner}"
        return Finding("wrong-mac", says, event.netns, look=_flooding(story, event))
    if mac == mine:
        says = f"{event.interface} of {event.netns} did not take {_what(event)} for MAC {mac}, which it should have: does it?"
        return Finding("wrong-mac", says, event.netns, look=(f"ip -n {event.netns} link show {event.interface}",))
    says = f"{_what(event)} came to {event.interface} of {event.netns} for MAC {mac or '?'}, " + (
        f"which is that of {owner}; {event.interface} should have {mine}" if mine and owner != "nobody in this lab" else
        f"which nobody in this lab has; {event.interface} has {mine}" if mine else f"which is that of {owner}"
    )  # fmt: skip
    return Finding("wrong-mac", says, event.netns, look=(f"ip -n {event.netns} link show {event.interface}",))


def _ways(story: Story) -> list[Way]:
    return [way for way in (story.journey.question, story.journey.answer) if way is not None]


def _flooding(story: Story, event: Event) -> tuple[str, ...]:
    """The bridge that flooded a frame to an interface."""
    peer = story.known.peers.get((event.netns, event.interface))
    bridge = story.known.master(peer) if peer else ""
    if peer is None or not bridge:
        return (f"ip -n {event.netns} link show {event.interface}",)
    return (f"bridge -n {peer[0]} fdb show br {bridge}", f"bridge -n {peer[0]} link")


# -- neighbours -------------------------------------------------------------------------------------------------------


def neighbour(story: Story, event: Event) -> Finding:
    """A next hop that does not answer."""
    asked = [one for one in story.unanswered if one[0] == event.netns]
    known = story.known.route(event.netns, event.packet.target)
    address = asked[-1][2] if asked else known.via if known else event.packet.target
    dev = asked[-1][1] if asked else event.interface
    return unanswered(story, event.netns, dev, address)


def unanswered(story: Story, netns: str, dev: str, address: str) -> Finding:
    """Nobody answers for a next hop."""
    word = "neighbour discovery" if ":" in address else "ARP"
    says = f"no reply to the {word} request of {netns} for {address} on {dev} ({who(story, address)})"
    look = [f"ip -n {netns} neigh show {address}"]
    owners = story.known.owners(address)
    for place in owners[:1]:
        peer = story.known.peers.get(place)
        bridge = story.known.master(peer) if peer else ""
        if peer and bridge:
            look.append(f"bridge -n {peer[0]} link show dev {peer[1]}")
        look.append(f"ip -n {place[0]} addr show {place[1]}")
    if not owners:
        look.append(f"ip -n {netns} route")
    return Finding("no-neighbour", says, netns, dev, tuple(look))


# -- sockets ----------------------------------------------------------------------------------------------------------


def no_socket(story: Story, event: Event) -> Finding:
    """Nobody listens: a port, a tunnel, or a connection that nobody here has."""
    packet, netns = event.packet, event.netns
    if packet.inner is not None or (packet.protocol == packets.UDP and packet.dport in _tunnel_ports(story)):
        says = f"no VXLAN device of {netns} listens on UDP port {packet.dport}"
        return Finding("no-vtep", says, netns, look=(f"ip -n {netns} -d link show type vxlan",))
    if event.way == ANSWER:
        says = f"the reply came to {netns}, which sent no request: it is for {who(story, packet.target)}"
        return Finding("wrong-host", says, netns, look=(f"ip -n {netns} addr", *_neigh_of(story, packet.target)))
    port = f"port {packet.dport}/{packets.NAMES.get(packet.protocol, packet.protocol)}"
    flag = "t" if packet.protocol == packets.TCP else "u"
    says = f"no process listens on {port} of {packet.target} in {netns}"
    return Finding(
        "no-listener", says, netns, look=(f"ip netns exec {netns} ss -{flag}lnp", *_neigh_of(story, packet.target))
    )


def _neigh_of(story: Story, address: str) -> tuple[str, ...]:
    """Where to see that two have an address: worth a look where more than one answered for it."""
    if len(story.answers.get(address, ())) < 2:
        return ()
    return tuple(f"ip -n {netns} neigh show {address}" for netns, _, asked in story.asked if asked == address)


def _tunnel_ports(story: Story) -> set[int]:
    return {one.port for one in story.known.tunnels.values()}


def queue(story: Story, event: Event) -> Finding:
    """A queueing discipline."""
    dev, netns = event.interface, event.netns
    says = f"{dev} of {netns} did not take {_what(event)}: its queue is full or limited, or the link has no carrier"
    look = (f"tc -n {netns} -s qdisc show dev {dev}", f"ip -n {netns} link show {dev}")
    return Finding("queue", says, netns, look=look)


def tc(story: Story, event: Event) -> Finding:
    """A filter of traffic control."""
    says = f"a traffic control filter at {event.interface} of {event.netns} dropped {_what(event)}"
    look = tuple(f"tc -n {event.netns} filter show dev {event.interface} {way}" for way in ("ingress", "egress"))
    return Finding("tc-filter", says, event.netns, look=look)


def buffer(story: Story, event: Event) -> Finding:
    """A socket without room."""
    says = f"the socket in {event.netns} had no room for {_what(event)}: its process does not read"
    return Finding("socket-full", says, event.netns, look=(f"ip netns exec {event.netns} ss -anm",))


def checksum(story: Story, event: Event) -> Finding:
    """A wrong checksum."""
    says = f"{event.netns} found a wrong checksum in {_what(event)}"
    return Finding("checksum", says, event.netns, look=(f"ip netns exec {event.netns} ethtool -k {event.interface}",))


# -- sizes ------------------------------------------------------------------------------------------------------------


def too_big(story: Story, event: Event) -> Finding:
    """Too big to be forwarded."""
    told = next((one for one in story.errors if one.packet.innermost.mtu), None)
    size = event.packet.length
    route = story.known.route(event.netns, event.packet.target)
    link = f", {route.dev}{of_mtu(story, event.netns, route.dev)}," if route else ""
    says = f"{size} bytes do not fit the next link{link} in {event.netns}, and the packet may not be cut (DF)"
    if told is not None:
        says += f"; {told.netns} tells the sender MTU {told.packet.innermost.mtu}"
    elif not any(one.way == ERROR for one in story.events):
        says += "; no ICMP error tells the sender (a black hole for path MTU discovery)"
    dev = route.dev if route else event.interface
    return Finding(
        "mtu",
        says,
        event.netns,
        dev,
        (f"ip -n {event.netns} link show {dev}", f"ip -n {event.netns} route get {event.packet.target}"),
    )


def outer_too_big(story: Story, event: Event) -> Finding:
    """Too big to be sent, and not to be cut."""
    says = (
        f"{event.packet.length} bytes do not fit {event.interface} of {event.netns}"
        f"{of_mtu(story, event.netns, event.interface)}, and the packet may not be cut (DF)"
    )
    if event.packet.inner is not None or event.packet.dport in _tunnel_ports(story):
        says = (
            f"the VXLAN packet of {event.packet.length} bytes does not fit {event.interface} of {event.netns}"
            f"{of_mtu(story, event.netns, event.interface)}: the overlay's MTU is too big for the underlay"
        )
    look = (f"ip -n {event.netns} link show {event.interface}", f"ip -n {event.netns} -d link show type vxlan")
    return Finding("mtu", says, event.netns, look=look)


def peer_too_small(story: Story, event: Event) -> Finding:
    """A cable whose other end takes less."""
    peer = story.known.peers.get((event.netns, event.interface))
    other = f"{peer[1]} in {peer[0]}" if peer else "its other end"
    why = _too_small(story, event, *peer) if peer else "larger than that end's MTU, or it is down"
    says = f"{event.interface} of {event.netns} could not hand {_what(event)} ({event.packet.length} bytes) to {other}: {why}"
    look = tuple(
        f"ip -n {netns} link show {dev}" for netns, dev in ((event.netns, event.interface), *([peer] if peer else []))
    )
    return Finding("mtu", says, peer[0] if peer else event.netns, peer[1] if peer else event.interface, look)


def of_mtu(story: Story, netns: str, interface: str) -> str:
    """The MTU of a link as it was recorded, as a part of a sentence; empty where it is not known."""
    mtu = story.recording.mtus.get(netns, {}).get(interface)
    return f" (MTU {mtu})" if mtu else ""


def _too_small(story: Story, event: Event, netns: str, interface: str) -> str:
    """What keeps a frame from a link, by the link's MTU as it was recorded."""
    mtu = story.recording.mtus.get(netns, {}).get(interface)
    if mtu is None:
        return "larger than its MTU, or it is down"
    if not mtu:
        return "that link is down"
    return f"larger than its MTU, {mtu}" if mtu < event.packet.length else f"its MTU is {mtu}, and it is up"


def port_too_small(story: Story, event: Event) -> Finding:
    """A bridge port that takes less."""
    what = f"{_what(event)} ({event.packet.length} bytes)"
    why = _too_small(story, event, event.netns, event.interface)
    says = f"{what} was not sent out of port {event.interface} of {event.netns}: {why}"
    return Finding("mtu", says, event.netns, look=(f"ip -n {event.netns} link show {event.interface}",))


def down(story: Story, event: Event) -> Finding:
    """A link that is down."""
    says = f"{event.interface} of {event.netns} is down"
    return Finding("link-down", says, event.netns, look=(f"ip -n {event.netns} link show {event.interface}",))


def plain(story: Story, event: Event) -> Finding:
    """What no row explains: the kernel's own words."""
    drop = event.drop
    reason = drop.reason if drop and drop.reason not in ("", "NOT_SPECIFIED") else "it gives no reason"
    says = f"the kernel dropped {_what(event)} in {event.netns}: {reason}, in {drop.function if drop else '?'}"
    dev = f" show {event.interface}" if event.interface else ""
    return Finding("dropped", says, event.netns, look=(f"ip -n {event.netns} -s link{dev}",))
