"""One function for each kind of drop: it builds the finding that ``drops`` selects.

Each function reads the packet's headers, other evidence, and the lab's desired state.
"""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address

from netlab.diagnose.causes import impaired, listeners
from netlab.diagnose.causes.foreign import described, droppers, ending_rule, of_rule, removal
from netlab.diagnose.finding import Finding
from netlab.diagnose.naming import address_owner, look_route, look_tables, look_tunnels, probe_arguments
from netlab.diagnose.packettext import icmp
from netlab.diagnose.sightings.correlate import ERROR, REPLY, REQUEST, TITLES, Event
from netlab.diagnose.story import Story
from netlab.objects import Ipip, Vxlan
from netlab.oracle.denials import Denials
from netlab.oracle.explain import judged as judged_paths
from netlab.planes import Encapsulation
from netlab.wire import packets

_TUNNELLING = ("vxlan", "geneve", "udp_tunnel", "ip_tunnel", "wg_")  # the functions that route a tunnel's own packet


def packet_word(event: Event) -> str:
    """``the request``, ``the reply``, ``the ICMP error``; with a note for a tunnel's outer packet."""
    word = TITLES.get(event.role, "packet")
    return f"the {word}" + (f" (inside {event.packet.tunnel})" if event.packet.inner is not None else "")


# -- rules ------------------------------------------------------------------------------------------------------------


def netfilter(story: Story, event: Event) -> Finding:
    """NETFILTER_DROP: the rule, if it was traced, else the foreign rules that match."""
    traced = judged(story, event)
    if traced is not None:
        return traced
    at = f" at {event.interface}" if event.interface else ""
    message = f"a hook of netfilter dropped {packet_word(event)} in {event.netns}{at}"
    rules = list(droppers(story, event))
    if len(rules) == 1:
        return replace(of_rule(rules[0]), kind="rule", message=f"{message}, by a foreign rule: {described(rules[0])}")
    if rules:
        message += ", by one of these foreign rules: " + "; ".join(described(rule) for rule in rules)
    elif not story.source("rules").on:
        message += "; rules were not traced, so which one is not known"
    return Finding("rule", message, event.netns, look=look_tables(story, event.netns))


def judged(story: Story, event: Event) -> Finding | None:
    """The rule behind a drop: that packet's last traversal in the namespace with a drop."""
    there = [verdict for verdict in story.verdicts if verdict.netns == event.netns]
    same = [verdict for verdict in there if verdict.number == event.number]
    same = same or [verdict for verdict in there if verdict.role == event.role]
    return by_rule(story, same[-1]) if same else None


def by_rule(story: Story, event: Event) -> Finding | None:
    """The finding for a traversal that ended in a drop."""
    judgement, meaning = event.judgement, story.meaning(event)
    if judgement is None or meaning is None:
        return None
    if not meaning.foreign and (impairment := impaired.of_drop(story, event)):
        return impairment
    last = judgement.steps[-1]
    chain = f"{judgement.family} {judgement.table} {last.chain}"
    verb = "rejected" if meaning.rejects else "dropped"
    quoted = f" ({icmp(event.packet.innermost)})" if event.role == ERROR else ""
    word = f"nftables {verb} {packet_word(event)}{quoted} in {event.netns} ({judgement.hook}): {meaning.text}"
    came = event.packet.innermost.source
    if meaning.policy and event.role == REQUEST and story.round_trip.source and came != story.round_trip.source:
        word += f"; the rule saw the source {came}, and not {story.round_trip.source}"
    look = [f"ip netns exec {event.netns} nft -a list chain {chain}"]
    kind = "rule"
    if meaning.policy:
        kind = "policy"
        look.insert(0, f"netlab explain --lab {story.recording.lab} {probe_arguments(story)}")
    elif meaning.service:
        kind = "service"
        namespace, _, name = meaning.service.partition("/")
        look.insert(0, f"netlab describe service {name} -n {namespace} --lab {story.recording.lab}")
    if meaning.policy and event.role == REQUEST:
        word += nearest(story)
    rule = f"{chain} handle {last.handle}" if last.handle else f"{chain} policy"
    mend = (removal(ending_rule(event.netns, judgement)),) if meaning.foreign else ()
    return Finding(
        kind, word, event.netns, event.interface, tuple(look), rule=rule, policy=meaning.policy,
        service=meaning.service, mark=meaning.mark, mend=mend,
    )  # fmt: skip


def nearest(story: Story) -> str:
    """The rule of the denying policies that comes nearest to the flow, as the rest of a sentence."""
    paths = judged_paths(Denials(story.cluster, story.endpoints), story.flow)
    chosen = [path for path in paths if path.step.flow.address == story.round_trip.backend] or paths
    for path in chosen:
        for side in path.sides:
            if not side.allowed:
                missed = next((missed for missed in side.missed if missed.rule is not None), None)
                many = len(side.missed) > 1
                if missed is None:
                    return ""
                which = (
                    f"the nearest rule, {missed.policy} {missed.rule}," if many else f"{missed.policy} {missed.rule}"
                )
                return f"; {which} does not match: {missed.message}"
    return ""


# -- routes -----------------------------------------------------------------------------------------------------------


def no_route(story: Story, event: Event) -> Finding:
    """The namespace has no route: to the packet's target, or of a tunnel's device to the tunnel's other end."""
    if event.drop is not None and event.drop.function.startswith(_TUNNELLING):
        return _no_route_outside(story, event)
    target = event.packet.target
    message = f"{event.netns} has no route to {target} ({address_owner(story, target)})"
    return Finding("no-route", message, event.netns, look=look_route(event.netns, event.packet, event.interface))


def _no_route_outside(story: Story, event: Event) -> Finding:
    netns, dev = event.netns, event.interface
    tunnel = story.topology.tunnels.get((netns, dev))
    local = tunnel.local if isinstance(tunnel, (Vxlan, Ipip)) and tunnel.local != "any" else ""
    kind = story.tunnel
    hop = story.topology.route(netns, event.packet.innermost.target)
    ends = (
        story.topology.remotes(tunnel, _target_mac(story, event), hop.via if hop else "", event.packet.innermost.target)
        if tunnel is not None
        else []
    )
    target = ends[0] if len(ends) == 1 else ""
    if not target:
        message = f"{netns} cannot route the {kind} packet of {dev} to the target of its forwarding entry"
        return Finding("no-route", message, netns, dev, (f"bridge -n {netns} fdb show dev {dev}",))
    whose = f"{target} ({address_owner(story, target)})"
    message = f"{netns} cannot route the {kind} packet of {dev} from {local or 'its own address'} to {whose}"
    look = [f"ip -n {netns} route get {target}"]
    if local:
        look.append(f"ip -n {netns} addr show to {local}")
    return Finding("no-route", message, netns, dev, tuple(look))


def refusing_route(story: Story, event: Event) -> Finding:
    """No reason, in the function for packets without a route: a route exists and rejects."""
    target = event.packet.target
    message = f"{event.netns} has a route to {target} that refuses (blackhole, unreachable or prohibit), or none"
    look = look_route(event.netns, event.packet, event.interface)
    return Finding("no-route", message, event.netns, look=(*look, f"ip -n {event.netns} rule"))


def not_forwarded(story: Story, event: Event) -> Finding:
    """The packet is not for this namespace, which does not forward it."""
    packet, netns = event.packet, event.netns
    target = packet.target
    if packet.source and ip_address(packet.source).is_link_local:
        message = (
            f"{netns} does not forward {packet_word(event)}: its source {packet.source} is valid on that link alone"
        )
        return Finding("link-local", message, netns, look=(f"ip -n {netns} -6 addr show dev {event.interface}",))
    if story.topology.forwards(netns, packet.version):
        path = "net.ipv4.ip_forward" if packet.version == 4 else "net.ipv6.conf.all.forwarding"
        route = story.topology.route(netns, target)
        if route is None:
            message = f"{netns} did not forward {packet_word(event)} to {target}: it is no router for it"
        else:
            message = f"{netns} did not forward {packet_word(event)}: forwarding is off there, or on {event.interface}"
        return Finding(
            "forwarding-off",
            message,
            netns,
            look=(f"ip netns exec {netns} sysctl {path}", *look_route(netns, packet, event.interface)),
        )
    message = f"{packet_word(event)} came to {netns}, which neither has the address {target} nor forwards"
    return Finding("wrong-turn", message, netns, look=(f"ip -n {netns} addr",))


def reverse_path(story: Story, event: Event) -> Finding:
    """The reverse path filter dropped the packet."""
    source = event.packet.source
    message = (
        f"the reverse path filter of {event.netns} dropped {packet_word(event)}: the route to {source} does not use "
        f"{event.interface}, on which the packet came"
    )
    look = (
        f"ip -n {event.netns} route get {source}",
        f"ip netns exec {event.netns} sysctl net.ipv4.conf.all.rp_filter net.ipv4.conf.{event.interface}.rp_filter",
    )
    return Finding("reverse-path", message, event.netns, look=look)


def martian(story: Story, event: Event) -> Finding:
    """The addresses are not valid on that link."""
    packet = event.packet
    message = (
        f"{event.netns} takes no packet with these addresses from {event.interface}: {packet.source} to {packet.target}"
    )
    return Finding("martian", message, event.netns, look=(f"ip -n {event.netns} route get {packet.target}",))


# -- tunnels and bridges ----------------------------------------------------------------------------------------------


def no_forwarding_entry(story: Story, event: Event) -> Finding:
    """The VXLAN device has no entry for the MAC."""
    target = _target_mac(story, event)
    message = f"{event.interface} of {event.netns} has no forwarding entry for {target or 'the frame'}" + (
        f", which is the MAC of {_owner_of(story, target)}" if target else ""
    )
    look = [f"bridge -n {event.netns} fdb show dev {event.interface}"]
    if not story.topology.mac_owners(target):
        look.append(f"ip -n {event.netns} neigh show dev {event.interface}")
    return Finding("no-fdb-entry", message, event.netns, look=tuple(look))


def _target_mac(story: Story, event: Event) -> str:
    links = [sighting.packet.link for sighting in story.sightings(event.number) if sighting.at == event.at]
    link = next((link for link in reversed(links) if link), event.packet.link)
    return link.target if link else ""


def _owner_of(story: Story, mac: str) -> str:
    owners = story.topology.mac_owners(mac)
    return f"{owners[0][1]} in {owners[0][0]}" if owners else "nobody in this lab"


def no_port(story: Story, event: Event) -> Finding:
    """The bridge has no port for the frame."""
    message = f"bridge {event.interface} of {event.netns} has no port to send {packet_word(event)} to"
    return Finding(
        "no-port", message, event.netns, look=(f"bridge -n {event.netns} -d link", f"bridge -n {event.netns} fdb")
    )


def not_forwarding_port(story: Story, event: Event) -> Finding:
    """The port is down or blocked, or its bridge is down."""
    bridge = story.topology.master(event.at)
    links = story.recording.mtus.get(event.netns, {})
    down = next((dev for dev in (bridge, event.interface) if dev and links.get(dev) == 0), "")
    message = f"port {event.interface} of {event.netns} is not forwarding"
    if down:
        message += f": {down} is down"
    elif bridge and bridge in links:
        message += f": {bridge} is up, so the spanning tree or the port's own state blocks it"
    names = dict.fromkeys(dev for dev in (bridge, event.interface) if dev)
    look = (*(f"ip -n {event.netns} -d link show {dev}" for dev in names), f"bridge -n {event.netns} link")
    return Finding("port-state", message, event.netns, down or bridge or event.interface, look)


def vni(story: Story, event: Event) -> Finding:
    """No device in this namespace has the VNI."""
    vni = event.packet.vni
    kind = event.packet.tunnel or "VXLAN"
    message = f"{event.netns} has no {kind} device for VNI {vni} on port {event.packet.dport}"
    if kind == Encapsulation.GENEVE.value:
        message += f" from {event.packet.source}"
    return Finding("vni", message, event.netns, look=(look_tunnels(event.netns, kind),))


def other_host(story: Story, event: Event) -> Finding:
    """The frame's target MAC is not this interface's."""
    mac = _target_mac(story, event)
    owner = _owner_of(story, mac)
    interface = event.at
    mine = story.topology.mac.get(interface, "")
    if story.topology.master(interface):
        message = (
            f"{event.interface} of {event.netns} treated {packet_word(event)} as its own, which it is not: "
            f"check that it is still a port of {story.topology.master(interface)}"
        )
        return Finding("port-detached", message, event.netns, look=(f"bridge -n {event.netns} link",))
    sent_there = {left.went.at for left in (story.request_left, story.reply_left) if left is not None and left.went}
    if interface not in {hop.at for path in story.round_trip.paths for hop in path.hops} | sent_there:
        message = f"a copy of {packet_word(event)} ended at {event.interface} of {event.netns}: its MAC {mac} is that of {owner}"
        return Finding("wrong-mac", message, event.netns, look=_flooding(story, event))
    if mac == mine:
        message = f"{event.interface} of {event.netns} did not take {packet_word(event)} for MAC {mac}: check that it has this MAC"
        return Finding("wrong-mac", message, event.netns, look=(f"ip -n {event.netns} link show {event.interface}",))
    message = f"{packet_word(event)} came to {event.interface} of {event.netns} for MAC {mac or '?'}, " + (
        f"which is that of {owner}; {event.interface} should have {mine}" if mine and owner != "nobody in this lab" else
        f"which nobody in this lab has; {event.interface} has {mine}" if mine else f"which is that of {owner}"
    )  # fmt: skip
    return Finding("wrong-mac", message, event.netns, look=(f"ip -n {event.netns} link show {event.interface}",))


def _flooding(story: Story, event: Event) -> tuple[str, ...]:
    """Commands about the bridge that flooded a frame to an interface."""
    peer = story.topology.peers.get(event.at)
    bridge = story.topology.master(peer) if peer else ""
    if peer is None or not bridge:
        return (f"ip -n {event.netns} link show {event.interface}",)
    return (f"bridge -n {peer[0]} fdb show br {bridge}", f"bridge -n {peer[0]} link")


# -- neighbours -------------------------------------------------------------------------------------------------------


def neighbour(story: Story, event: Event) -> Finding:
    """The next hop did not reply to the neighbour request."""
    asked = [key for key in story.unresolved if key[0] == event.netns]
    route = story.topology.route(event.netns, event.packet.target)
    address = asked[-1][2] if asked else route.via if route else event.packet.target
    dev = asked[-1][1] if asked else event.interface
    return unanswered(story, event.netns, dev, address)


def unanswered(story: Story, netns: str, dev: str, address: str) -> Finding:
    """A neighbour request has no reply."""
    word = "neighbour discovery" if ":" in address else "ARP"
    message = f"no reply to the {word} request of {netns} for {address} on {dev} ({address_owner(story, address)})"
    look = [f"ip -n {netns} neigh show {address}"]
    owners = story.topology.owners(address)
    for owner in owners[:1]:
        peer = story.topology.peers.get(owner)
        bridge = story.topology.master(peer) if peer else ""
        if peer and bridge:
            look.append(f"bridge -n {peer[0]} link show dev {peer[1]}")
        look.append(f"ip -n {owner[0]} addr show {owner[1]}")
    if not owners:
        look.append(f"ip -n {netns} route")
    return Finding("no-neighbour", message, netns, dev, tuple(look))


# -- sockets ----------------------------------------------------------------------------------------------------------


def no_socket(story: Story, event: Event) -> Finding:
    """No socket for the port, the tunnel, or the connection."""
    packet, netns = event.packet, event.netns
    if packet.inner is not None or (packet.protocol == packets.UDP and packet.dport in story.topology.tunnel_ports()):
        message = f"no {story.tunnel} device of {netns} listens on UDP port {packet.dport}"
        return Finding("no-vtep", message, netns, look=(look_tunnels(netns, story.tunnel),))
    if event.role == REPLY:
        message = f"the reply came to {netns}, which sent no request: it is for {address_owner(story, packet.target)}"
        return Finding("wrong-host", message, netns, look=(f"ip -n {netns} addr", *_neigh_of(story, packet.target)))
    port = f"port {packet.dport}/{packets.NAMES.get(packet.protocol, packet.protocol)}"
    flag = "t" if packet.protocol == packets.TCP else "u"
    other = listeners.others(story, netns, packet, event.interface)
    verb = "no socket takes" if other.startswith(":") else "no process listens on"
    message = f"{verb} {port} of {packet.target} in {netns}{other}"
    if story.topology.owners(packet.target) and not story.topology.local(netns, packet.target):
        message += f"; the lab gives this address to {address_owner(story, packet.target)}"
    return Finding(
        "no-listener", message, netns, look=(f"ip netns exec {netns} ss -{flag}lnp", *_neigh_of(story, packet.target))
    )


def _neigh_of(story: Story, address: str) -> tuple[str, ...]:
    """Commands that show a duplicate address, if several hosts replied for it."""
    if len(story.neighbour_replies.get(address, ())) < 2:
        return ()
    return tuple(
        f"ip -n {netns} neigh show {address}" for netns, _, asked in story.neighbour_requests if asked == address
    )


def queue(story: Story, event: Event) -> Finding:
    """A queueing discipline dropped the packet, or the device takes none."""
    if impairment := impaired.of_drop(story, event):
        return impairment
    dev, netns = event.interface, event.netns
    peer = story.topology.peers.get(event.at)
    ends = [each for each in (event.at, peer) if each and story.recording.mtus.get(each[0], {}).get(each[1]) == 0]
    message = f"{dev} of {netns} did not take {packet_word(event)}: "
    if ends:
        message += f"{ends[0][1]} of {ends[0][0]} is down"
        return Finding("link-down", message, netns, look=tuple(f"ip -n {n} link show {each}" for n, each in ends))
    message += "its queueing discipline dropped it"
    return Finding("queue", message, netns, look=(f"tc -n {netns} -s qdisc show dev {dev}",))


def tc(story: Story, event: Event) -> Finding:
    """A traffic control filter dropped the packet."""
    message = f"a traffic control filter at {event.interface} of {event.netns} dropped {packet_word(event)}"
    look = tuple(
        f"tc -n {event.netns} filter show dev {event.interface} {direction}" for direction in ("ingress", "egress")
    )
    return Finding("tc-filter", message, event.netns, look=look)


def xdp(story: Story, event: Event) -> Finding:
    """An XDP program dropped the packet."""
    message = f"an XDP program at {event.interface} of {event.netns} dropped {packet_word(event)}"
    return Finding("xdp", message, event.netns, look=(f"ip -n {event.netns} -d link show {event.interface}",))


def buffer(story: Story, event: Event) -> Finding:
    """The socket's buffer is full."""
    message = f"the socket in {event.netns} had no room for {packet_word(event)}: its process does not read"
    return Finding("socket-full", message, event.netns, look=(f"ip netns exec {event.netns} ss -anm",))


def checksum(story: Story, event: Event) -> Finding:
    """The checksum is wrong."""
    message = f"{event.netns} found a wrong checksum in {packet_word(event)}{impaired.corrupting(story)}"
    return Finding(
        "checksum", message, event.netns, look=(f"ip netns exec {event.netns} ethtool -k {event.interface}",)
    )


# -- others ------------------------------------------------------------------------------------------------------------


def down(story: Story, event: Event) -> Finding:
    """The link is down."""
    message = f"{event.interface} of {event.netns} is down"
    return Finding("link-down", message, event.netns, look=(f"ip -n {event.netns} link show {event.interface}",))


def plain(story: Story, event: Event) -> Finding:
    """The fallback: the kernel's own reason and function."""
    drop = event.drop
    reason = drop.reason if drop and drop.reason not in ("", "NOT_SPECIFIED") else "it gives no reason"
    message = f"the kernel dropped {packet_word(event)} in {event.netns}: {reason}, in {drop.function if drop else '?'}"
    dev = f" show {event.interface}" if event.interface else ""
    return Finding("dropped", message, event.netns, look=(f"ip -n {event.netns} -s link{dev}",))
