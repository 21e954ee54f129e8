"""A frame in words, one line, as ``netlab trace`` has them: ``SYN 10.244.1.2:40000 > 10.244.2.2:80 ttl 64``.

Headers are read by ``wire.packets``, in 20 us.  DNS is scapy's to read, which is imported when the first question
comes: half a second, while the rings hold what arrives.
"""

from __future__ import annotations

import contextlib
from typing import Any

from netlab.diagnose import packettext
from netlab.wire import packets
from netlab.wire.packets import Packet

_DNS = frozenset((53, 5353))
# RFC 9260; a packet is called by its first chunk.
_CHUNKS = {
    0: "DATA",
    1: "INIT",
    2: "INIT ACK",
    3: "SACK",
    4: "HEARTBEAT",
    5: "HEARTBEAT ACK",
    6: "ABORT",
    7: "SHUTDOWN",
}
_CHUNKS |= {8: "SHUTDOWN ACK", 9: "ERROR", 10: "COOKIE ECHO", 11: "COOKIE ACK", 14: "SHUTDOWN COMPLETE"}
_RESULTS = {2: "server failure", 3: "no such name", 5: "refused"}


def read(data: bytes, ethernet: bool = True) -> Packet:
    """The packet in a frame."""
    return packets.frame(data) if ethernet else packets.network(data)


def words(packet: Packet) -> str:
    """A packet as text: the outer headers of a tunnel first, the inner packet in brackets."""
    if packet.inner is not None:
        return f"{packettext.outer(packet)} [{words(packet.inner)}]"
    text = packettext.shown(packet)
    if packet.about is not None:
        return f"{text}, {packettext.about(packet)}"
    more = _behind(packet)
    return f"{text}  {more}" if more else text


def _behind(packet: Packet) -> str:
    """A summary of the payload of DNS and HTTP."""
    if not packet.payload or packet.offset:
        return ""
    if packet.protocol == packets.TCP:
        first = packet.payload[:80].split(b"\r\n")[0]
        is_http = first.startswith((b"GET ", b"HEAD ", b"POST ", b"PUT ", b"DELETE ", b"HTTP/1"))
        return first.decode() if is_http and first.isascii() else ""
    if packet.protocol == packets.SCTP:
        return _CHUNKS.get(packet.type, f"chunk {packet.type}")
    with contextlib.suppress(Exception):  # whatever the bytes are, reading them must not end a capture
        if packet.protocol == packets.UDP and _DNS & {packet.sport, packet.dport}:
            return _dns(packet.payload)
    return ""


def _dns(payload: bytes) -> str:
    """``A? web.default.svc.cluster.local.``; of a reply its records, or how many there are."""
    from scapy.layers.dns import DNS, dnstypes

    dns: Any = DNS(payload)
    if not dns.qdcount or not dns.qd:
        return "DNS"
    asked = dns.qd[0]
    kind, name = dnstypes.get(asked.qtype, asked.qtype), asked.qname.decode(errors="replace")
    if not dns.qr:
        return f"DNS {kind}? {name}"
    result = _RESULTS.get(dns.rcode, f"code {dns.rcode}") if dns.rcode else ""
    if not result:
        records = [dns.an[index] for index in range(dns.ancount)]
        values = [str(record.rdata) for record in records if record.type in (1, 28)]
        result = ", ".join(values) or (f"{dns.ancount} records" if records else "nothing")
    return f"DNS {kind} {name} is {result}" if dns.ancount else f"DNS {kind} {name}: {result}"
