"""Whose an address is, and what a namespace is called: the words that findings share."""

from __future__ import annotations

from shlex import quote

from netlab.diagnose.story import Story
from netlab.oracle.endpoints import Endpoints
from netlab.oracle.flow import ADDRESS, NODE, SERVICE, is_own
from netlab.wire.packets import Packet


def who(story: Story, address: str) -> str:
    """``Pod default/web``, ``node node-1``, ``Service default/web``; an interface that has it; itself; or nobody."""
    if is_own(address):
        return "itself"
    known = Endpoints(story.cluster).at(address)
    if known.kind == SERVICE:
        return f"Service {known.name}"
    if known.kind != ADDRESS:
        return f"{'node' if known.kind == NODE else 'Pod' if known.kind == 'pod' else 'external host'} {known.name}"
    owners = story.known.owners(address)
    if owners:
        return f"{owners[0][1]} of {owners[0][0]}"
    return "nobody in this lab has it"


def called(story: Story, netns: str) -> str:
    """What a command calls whoever acts from a namespace: a Pod, ``node/NAME``, ``external/NAME``; else the namespace."""
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
    """How the kernel is asked which route it takes for a packet that comes in."""
    if not interface:
        return (f"ip -n {netns} route get {packet.target}",)
    return (f"ip -n {netns} route get {packet.target} from {packet.source} iif {interface}",)


def asked(story: Story) -> str:
    """The question as a command takes it: ``client 10.244.2.2:80``."""
    probe = story.recording.probe
    address = f"[{probe.address}]" if ":" in probe.address else probe.address
    protocol = "" if probe.protocol == "TCP" else f"/{probe.protocol}"
    target = f"{address}:{probe.port}{protocol}" if probe.port else probe.address
    return f"{called(story, probe.netns)} {quote(target)}"  # some shells take [ for the beginning of a pattern
