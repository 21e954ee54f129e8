"""The sockets of a port: which of them takes a packet, which other does not, and whether its process is alive."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from ipaddress import ip_address

from netlab.diagnose.finding import Finding
from netlab.diagnose.sightings.correlate import REQUEST
from netlab.diagnose.story import Story
from netlab.evidence.records import OUT, Socket
from netlab.wire import packets
from netlab.wire.packets import Packet

STOPPED = "process-stopped"
_ANY = ("0.0.0.0", "::")
IPV4_ALONE = "at IPv4 alone"
_MOST = 5  # ports that a sentence names


def taker(story: Story, netns: str, packet: Packet, interface: str) -> Socket | None:
    """The socket that takes a packet."""
    return next((each for each in _on_port(story, netns, packet) if _why_not(each, packet, interface) == ""), None)


def others(story: Story, netns: str, packet: Packet, interface: str) -> str:
    """What listens there and does not take the packet, as the rest of a sentence; "" if this is not known."""
    sockets = story.recording.sockets.get(netns)
    if sockets is None:
        return ""
    near = [
        f"{named(each)} listens on that port {why}"
        for each in _on_port(story, netns, packet)
        if (why := _why_not(each, packet, interface))
    ]
    if near:
        return f": {'; '.join(dict.fromkeys(near))}"
    protocol = packets.NAMES.get(packet.protocol, "")
    ports = sorted({each.port for each in sockets if _why_not(each, packet, interface) == ""})
    shown = ", ".join(map(str, ports[:_MOST])) + (f" and {len(ports) - _MOST} more" if ports[_MOST:] else "")
    return f"; what listens there is on {protocol} {shown}" if ports else f"; no {protocol} socket listens there"


def named(each: Socket) -> str:
    """``process nginx (17)``."""
    return f"process {each.process} ({each.pid})" if each.pid else "a socket"


def _on_port(story: Story, netns: str, packet: Packet) -> Iterable[Socket]:
    return (each for each in story.recording.sockets.get(netns, ()) if each.port == packet.dport)


def _why_not(each: Socket, packet: Packet, interface: str) -> str:
    """Why a socket does not take a packet that came in by an interface; "" if it does."""
    if each.device and interface and each.device != interface:
        return f"on the device {each.device} alone (SO_BINDTODEVICE), and the packet came by {interface}"
    wild = each.address in _ANY
    six = ":" in each.address and not each.address.startswith("::ffff:")
    if packet.version == 6 and not six:
        return IPV4_ALONE if wild else f"at {each.address} alone"
    if packet.version == 4 and six:
        if each.v6only or not wild:
            return "at IPv6 alone (IPV6_V6ONLY)" if wild else f"at {each.address} alone"
        return ""
    own = each.address.removeprefix("::ffff:")
    return "" if wild or ip_address(own) == ip_address(packet.target) else f"at {own} alone"


# -- processes --------------------------------------------------------------------------------------------------------


def unaccepted(story: Story) -> Iterator[Finding]:
    """The kernel accepted the connection for a process that is stopped."""
    for netns, sockets in story.recording.sockets.items():
        for each in sockets:
            if each.stopped and story.recording.probe.outcome == "open":
                message = (
                    f"the kernel of {netns} accepted the connection, and {named(each)} is stopped: it reads nothing"
                )
                yield _stopped(each, netns, message)
                return


def busy(story: Story) -> Iterator[Finding]:
    """The request's socket has a process that is stopped or does not read; or its accept queue is full."""
    if not story.arrived_at_target or story.reply:
        return
    netns = story.round_trip.request.netns
    last = next((event for event in reversed(story.request) if event.netns == netns and event.direction != OUT), None)
    if last is None or last.role != REQUEST:
        return
    each = taker(story, netns, last.packet.innermost, last.interface)
    if each is None or (story.drops and not each.stopped):
        return
    tcp = last.packet.innermost.protocol == packets.TCP
    port = f"port {each.port}/{'TCP' if tcp else 'UDP'}"
    state = f"{named(each)} is stopped" if each.stopped else f"{named(each)} does not {'accept' if tcp else 'read'}"
    look = (f"ip netns exec {netns} ss -{'t' if tcp else 'u'}lnp",)
    if tcp and each.waiting > each.room:
        message = (
            f"the accept queue of {port} in {netns} is full ({each.waiting} connections, limit {each.room}): {state}"
        )
    elif each.stopped:
        message = f"the request arrived at {netns}, and {state}, which has {port}"
    elif each.waiting and not tcp:
        message = f"the request arrived at {netns}, and {state} the datagrams that wait in the socket of {port}"
    else:
        return
    if each.stopped:
        yield _stopped(each, netns, message)
    else:
        yield Finding("queue-full" if tcp else "no-answer", message, netns, look=look, root=True)


def _stopped(each: Socket, netns: str, message: str) -> Finding:
    return Finding(
        STOPPED, message, netns, look=(f"ps -o pid,stat,args {each.pid}",), root=True, mend=(f"kill -CONT {each.pid}",)
    )
