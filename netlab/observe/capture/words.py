"""A frame in words, one line: ``10.244.1.2 > 10.244.2.2  ICMP echo request id 7 seq 1  ttl 63``.

scapy takes the frames apart.  It is imported here, at module level, since whoever imports this module is about to decode:
half a second that only the verb pays which prints packets.
"""

from __future__ import annotations

from typing import Any

from scapy.layers.dns import DNS, dnstypes
from scapy.layers.inet import ICMP, IP, TCP, UDP, ICMPerror, IPerror, icmptypes
from scapy.layers.inet6 import ICMPv6ND_NA, ICMPv6ND_NS, IPerror6, IPv6, _ICMPv6, icmp6types
from scapy.layers.l2 import ARP, Ether
from scapy.layers.sctp import SCTP
from scapy.layers.vxlan import VXLAN
from scapy.packet import bind_layers

from netlab.observe.packetid import VXLAN_PORTS

for _port in VXLAN_PORTS:
    bind_layers(UDP, VXLAN, dport=_port)
_FLAGS = (
    ("S", "SYN"),
    ("A", "ACK"),
    ("P", "PSH"),
    ("F", "FIN"),
    ("R", "RST"),
    ("U", "URG"),
    ("E", "ECE"),
    ("C", "CWR"),
)
_UNREACHABLE = {
    0: "network unreachable",
    1: "host unreachable",
    2: "protocol unreachable",
    3: "port unreachable",
    4: "fragmentation needed",
    9: "network prohibited",
    10: "host prohibited",
    13: "prohibited",
}
_UNREACHABLE6 = {0: "no route", 1: "prohibited", 3: "address unreachable", 4: "port unreachable"}


def words(data: bytes, ethernet: bool = True) -> str:
    """What a frame is; never raises, whatever the bytes."""
    try:
        packet = Ether(data) if ethernet else (IPv6(data) if data[:1] and data[0] >> 4 == 6 else IP(data))
        return _packet(packet)
    except Exception:  # noqa: BLE001 - a reader of strange bytes must not be ended by them
        return f"{len(data)} bytes that cannot be read"


def _packet(packet: Any) -> str:
    if ARP in packet:
        return _arp(packet[ARP])
    if IPv6 in packet and (IP not in packet or packet.layers().index(IPv6) < packet.layers().index(IP)):
        ip = packet[IPv6]
        return _ip(ip, ip.hlim, "hlim")
    if IP in packet:
        ip = packet[IP]
        return _ip(ip, ip.ttl, "ttl")
    kind = getattr(packet, "type", 0)
    return f"{packet.src} > {packet.dst}  ethertype 0x{kind:04x}, {len(packet)} bytes"


def _arp(arp: Any) -> str:
    if arp.op == 1:
        return f"ARP who has {arp.pdst}? tell {arp.psrc}"
    if arp.op == 2:
        return f"ARP {arp.psrc} is at {arp.hwsrc}"
    return f"ARP operation {arp.op}"


def _ip(ip: Any, hops: int, called: str) -> str:
    """An IP packet.  Ports stand at the addresses, as ``ss`` and ``conntrack`` have them."""
    body = ip.payload
    offset = getattr(ip, "frag", 0)
    if isinstance(ip, IP) and offset:
        return f"{ip.src} > {ip.dst}  fragment at byte {offset * 8}  {called} {hops}"
    if isinstance(body, (TCP, UDP, SCTP)):
        source, target = f"{_host(ip.src)}:{body.sport}", f"{_host(ip.dst)}:{body.dport}"
    else:
        source, target = ip.src, ip.dst
    more = "  more fragments" if isinstance(ip, IP) and ip.flags.MF else ""
    return f"{source} > {target}  {_body(body, ip)}{more}  {called} {hops}"


def _host(address: str) -> str:
    return f"[{address}]" if ":" in address else address


def _body(body: Any, ip: Any) -> str:
    if isinstance(body, TCP):
        return _tcp(body, ip)
    if isinstance(body, UDP):
        if VXLAN in body and body.payload.__class__ is VXLAN:
            return f"VXLAN {body[VXLAN].vni} | {_packet(body[VXLAN].payload)} |"
        return _dns(body[DNS]) if DNS in body else f"UDP {max(0, body.len - 8)} bytes"
    if isinstance(body, ICMP):
        return _icmp(body)
    if isinstance(body, SCTP):
        return f"SCTP {body.payload.name.removeprefix('SCTPChunk')}" if body.payload else "SCTP"
    if isinstance(body, _ICMPv6):
        return _icmp6(body)
    if isinstance(ip, IPv6) and isinstance(getattr(body, "payload", None), _ICMPv6):  # behind a hop-by-hop header
        return _icmp6(body.payload)
    number = ip.nh if isinstance(ip, IPv6) else ip.proto
    return f"protocol {number}, {len(body)} bytes"


def _tcp(tcp: Any, ip: Any) -> str:
    said = ",".join(word for letter, word in _FLAGS if letter in str(tcp.flags)) or "no flags"
    size = (ip.plen if isinstance(ip, IPv6) else ip.len - ip.ihl * 4) - tcp.dataofs * 4
    text = f"TCP {said} seq {tcp.seq}"
    if "A" in str(tcp.flags):
        text += f" ack {tcp.ack}"
    first = bytes(tcp.payload)[:60].split(b"\r\n")[0]
    if first.startswith((b"GET ", b"POST ", b"PUT ", b"HEAD ", b"HTTP/1")) and first.isascii():
        text += f" {first.decode()!r}"
    return f"{text} {size} bytes" if size > 0 else text


def _icmp(icmp: Any) -> str:
    if icmp.type in (0, 8):
        return f"ICMP echo {'request' if icmp.type == 8 else 'reply'} id {icmp.id} seq {icmp.seq}"
    text = icmptypes.get(icmp.type, f"type {icmp.type}")
    if icmp.type == 3:
        text = _UNREACHABLE.get(icmp.code, f"unreachable, code {icmp.code}")
        if icmp.code == 4:
            text += f", MTU {icmp.nexthopmtu}"
    about = ""
    if IPerror in icmp and ICMPerror not in icmp:
        quoted = icmp[IPerror]
        port = getattr(quoted.payload, "dport", None)
        about = f" (about {quoted.src} > {quoted.dst}{f':{port}' if port else ''})"
    elif IPerror in icmp:
        about = f" (about {icmp[IPerror].src} > {icmp[IPerror].dst})"
    return f"ICMP {text}{about}"


def _icmp6(icmp: Any) -> str:
    if isinstance(icmp, ICMPv6ND_NS):
        return f"ICMPv6 who has {icmp.tgt}?"
    if isinstance(icmp, ICMPv6ND_NA):
        return f"ICMPv6 {icmp.tgt} is here"
    if icmp.type in (128, 129):
        return f"ICMPv6 echo {'request' if icmp.type == 128 else 'reply'} id {icmp.id} seq {icmp.seq}"
    text = icmp6types.get(icmp.type, f"type {icmp.type}").lower()
    if icmp.type == 1:
        text = _UNREACHABLE6.get(icmp.code, f"unreachable, code {icmp.code}")
    elif icmp.type == 2:
        text += f", MTU {icmp.mtu}"
    about = f" (about {icmp[IPerror6].src} > {icmp[IPerror6].dst})" if IPerror6 in icmp else ""
    return f"ICMPv6 {text}{about}"


def _dns(dns: Any) -> str:
    asked = dns.qd[0] if dns.qdcount and dns.qd else None
    name = asked.qname.decode(errors="replace") if asked is not None else "?"
    kind = dnstypes.get(asked.qtype, asked.qtype) if asked is not None else "?"
    if not dns.qr:
        return f"DNS {kind}? {name}"
    result = {0: f"{dns.ancount} answers", 2: "server failure", 3: "no such name", 5: "refused"}
    return f"DNS answer {kind} {name}: {result.get(dns.rcode, f'code {dns.rcode}')}"
