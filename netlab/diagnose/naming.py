"""Names of addresses and namespaces for findings and commands."""

from __future__ import annotations

from shlex import quote

from netlab.diagnose.story import Story
from netlab.objects import Vxlan, WireGuard
from netlab.oracle.flow import ADDRESS, NODE, ROUTER, SERVICE, is_own
from netlab.planes import Encapsulation
from netlab.wire.packets import Packet

_TABLES = 3  # that a finding tells to list


def address_owner(story: Story, address: str) -> str:
    """``Pod default/web``, ``node node-1``, ``Service default/web``, an interface, "itself", or no owner."""
    if is_own(address):
        return "itself"
    endpoint = story.endpoints.at(address)
    if endpoint.kind == SERVICE:
        return f"Service {endpoint.name}"
    if endpoint.kind == ROUTER:
        return endpoint.name
    if endpoint.kind != ADDRESS:
        return f"{'node' if endpoint.kind == NODE else 'Pod' if endpoint.kind == 'pod' else 'external host'} {endpoint.name}"
    owners = story.topology.owners(address)
    if owners:
        return f"{owners[0][1]} of {owners[0][0]}"
    return "nobody in this lab has it"


def namespace_target(story: Story, netns: str) -> str:
    """A namespace as a command's argument: a Pod, ``node/NAME``, ``external/NAME``, else the namespace."""
    for node in story.cluster.nodes:
        if node.netns == netns:
            return f"node/{node.name}"
    for pod in story.cluster.pods:
        if pod.netns == netns:
            return str(pod) if pod.namespace != "default" else pod.name
    for host in story.cluster.external:
        if host.netns == netns:
            return f"external/{host.name}"
    return netns


def look_route(netns: str, packet: Packet, interface: str) -> tuple[str, ...]:
    """The command that shows the kernel's route for a received packet."""
    if is_own(packet.target):
        return ()  # a loopback address has no route worth a look
    if not interface:
        return (f"ip -n {netns} route get {packet.target}",)
    return (f"ip -n {netns} route get {packet.target} from {packet.source} iif {interface}",)


def look_tunnel(story: Story, device: tuple[str, str], packet: Packet) -> tuple[str, ...]:
    """The commands that show where a tunnel's device sends a packet."""
    (netns, dev), tunnel = device, story.topology.tunnels[device]
    if isinstance(tunnel, Vxlan):
        return f"bridge -n {netns} fdb show dev {dev}", f"ip -n {netns} neigh show dev {dev}"
    routed = () if isinstance(tunnel, WireGuard) else look_route(netns, packet, "")
    return (look_tunnels(netns, story.tunnel), *routed)


def look_tunnels(netns: str, kind: str) -> str:
    """The command that shows the tunnels' devices of a namespace; ``kind`` as the encapsulation is called in texts."""
    if kind == Encapsulation.WIREGUARD.value:
        return f"ip netns exec {netns} wg show"
    return f"ip -n {netns} -d link show type {kind.lower()}"


def look_tables(story: Story, netns: str) -> tuple[str, ...]:
    """The commands that list the tables of a namespace: the foreign ones, else the lab's."""
    foreign = (f"{rule.family} {rule.table}" for rule in story.recording.foreign if rule.netns == netns)
    tables = list(dict.fromkeys(foreign)) or story.book.tables(netns)
    return tuple(f"ip netns exec {netns} nft -a list table {table}" for table in tables[:_TABLES])


def probe_arguments(story: Story) -> str:
    """The probe as a command's arguments: ``client 10.244.2.2:80``."""
    probe = story.recording.probe
    address = f"[{probe.address}]" if ":" in probe.address else probe.address
    protocol = "" if probe.protocol == "TCP" else f"/{probe.protocol}"
    target = f"{address}:{probe.port}{protocol}" if probe.port else probe.address
    return (
        f"{namespace_target(story, probe.netns)} {quote(target)}"  # some shells take [ for the beginning of a pattern
    )
