"""How the traced packet is told from all others: by what no translation of addresses changes.

TCP: the initial sequence number, which we choose; UDP and ICMP: the first four bytes of the payload.  The same mark in
three languages: classic BPF for the AF_PACKET sockets, nft text for the trace rules, Python for what was dropped.  All
find it plain, inside VXLAN and Geneve (whatever the UDP port) and IPIP, and in the packet that an ICMP error is about.

A UDP answer carries no mark: it is known by the port that the probe was sent from, or the ports that it was sent to.

Devices of IPIP and WireGuard have no Ethernet header: a packet whose bytes 12 and 13 are no EtherType of IP or ARP, and
whose first byte is that of an IP header, is taken for one.

Limits: outer headers have no options (the kernel's own tunnels write none), and inner frames no VLAN tags.
"""

from __future__ import annotations

from collections.abc import Iterable

from netlab.kernel.capture import filter as cbpf
from netlab.kernel.capture.filter import NO, YES, Filter
from netlab.planes import udp_ports
from netlab.tuples import NamedTuple
from netlab.values import dataclass

#: UDP ports of VXLAN and Geneve, whatever the lab's data plane is.
TUNNELS = tuple(sorted(udp_ports()))
_WINDOW = 65535  # bytes of a TCP connection that are followed
_ARP, _IPV4, _IPV6 = 0x0806, 0x0800, 0x86DD
_ICMP, _IPIP, _TCP, _UDP, _FRAGMENT, _ICMP6 = 1, 4, 6, 17, 44, 58
_ETHERNET, _VXLAN, _UDP_HEADER, _IPV4_HEADER, _IPV6_HEADER = 14, 8, 8, 20, 40


@dataclass(frozen=True, slots=True)
class Mark:
    """``port``: the probe's own (UDP); ``answers``: ports that an answer may come from (UDP); ``v6``: its family."""

    protocol: str
    number: int
    v6: bool
    port: int = 0
    answers: tuple[int, ...] = ()
    tunnels: tuple[int, ...] = TUNNELS

    @property
    def after(self) -> int:
        """TCP: the sequence number after the SYN, which the answer acknowledges."""
        return (self.number + 1) & 0xFFFFFFFF


# -- classic BPF ------------------------------------------------------------------------------------------------------


def program(mark: Mark) -> bytes:
    """What the AF_PACKET sockets let through: the packet, its answer, ICMP errors about one of both, all ARP and
    neighbour discovery, later fragments.
    """
    code = Filter()
    _frame(code, mark, 0)
    code.label("elsewhere")
    code.far("bare")
    code.label("ipip")
    _ipv4(code, mark, _ETHERNET + _IPV4_HEADER, tunnel=False)
    for at, label in ((50, "inner4"), (70, "inner6")):
        code.label(label)
        _frame(code, mark, at)
    code.label("bare")
    code.op(cbpf.LOAD_BYTE, 0)
    code.jump(cbpf.EQUAL, 0x45, "bare4")
    code.jump(cbpf.ABOVE, 0x6F, NO)
    code.jump(cbpf.ABOVE, 0x5F, "bare6", NO)
    code.label("bare4")
    _ipv4(code, mark, 0, tunnel=False)
    code.label("bare6")
    _ipv6(code, mark, 0, tunnel=False)
    return code.done()


def _frame(code: Filter, mark: Mark, at: int) -> None:
    """An Ethernet frame at an offset."""
    v4, v6 = code.fresh(), code.fresh()
    code.op(cbpf.LOAD_HALF, at + 12)
    code.jump(cbpf.EQUAL, _ARP, YES)
    code.jump(cbpf.EQUAL, _IPV4, v4)
    code.jump(cbpf.EQUAL, _IPV6, v6, NO if at else "elsewhere")
    code.label(v4)
    _ipv4(code, mark, at + _ETHERNET, tunnel=not at)
    code.label(v6)
    _ipv6(code, mark, at + _ETHERNET, tunnel=not at)


def _ipv4(code: Filter, mark: Mark, at: int, *, tunnel: bool) -> None:
    """An IPv4 packet at an offset; ``tunnel``: another packet may be inside."""
    code.op(cbpf.LOAD_HALF, at + 6)
    code.jump(cbpf.BITS, 0x1FFF, YES)
    code.op(cbpf.X_IPV4_HEADER, at)
    code.op(cbpf.LOAD_BYTE, at + 9)
    if tunnel:
        code.jump(cbpf.EQUAL, _IPIP, "ipip")
    _transport(code, mark, at, v6=False, tunnel="inner4" if tunnel else "")
    code.ends()


def _ipv6(code: Filter, mark: Mark, at: int, *, tunnel: bool) -> None:
    """An IPv6 packet at an offset."""
    code.op(cbpf.LOAD_BYTE, at + 6)
    code.jump(cbpf.EQUAL, _FRAGMENT, YES)
    _transport(code, mark, at + _IPV6_HEADER, v6=True, tunnel="inner6" if tunnel else "")
    code.ends()


class _Loads(NamedTuple):
    """Behind an IPv4 header places are relative to X, which has its length."""

    word: int
    half: int
    byte: int


_DIRECT = _Loads(cbpf.LOAD_WORD, cbpf.LOAD_HALF, cbpf.LOAD_BYTE)
_BEHIND_X = _Loads(cbpf.X_WORD, cbpf.X_HALF, cbpf.X_BYTE)


def _transport(code: Filter, mark: Mark, at: int, *, v6: bool, tunnel: str) -> None:
    """What follows the IP header; the protocol's number is loaded.  Ends in YES or NO, or runs on to the end."""
    load = _DIRECT if v6 else _BEHIND_X
    icmp, tcp, udp = code.fresh(), code.fresh(), code.fresh()
    code.jump(cbpf.EQUAL, _ICMP6 if v6 else _ICMP, icmp)
    if mark.protocol == "TCP":
        code.jump(cbpf.EQUAL, _TCP, tcp)
    code.jump(cbpf.EQUAL, _UDP, udp, NO)
    code.label(icmp)
    _icmp(code, mark, load, at, v6=v6)
    if mark.protocol == "TCP":
        code.label(tcp)
        _numbers(code, mark, load, at)
        _nothing(code)
    code.label(udp)
    if tunnel:
        code.op(load.half, at + 2)
        _ports(code, mark.tunnels, tunnel)
    if mark.protocol == "UDP":
        _marked_udp(code, mark, load, at, mark.answers)
    _nothing(code)


def _nothing(code: Filter) -> None:
    code.jump(cbpf.ABOVE, 0, NO, NO)


def _numbers(code: Filter, mark: Mark, load: _Loads, at: int) -> None:
    """YES for TCP's sequence or acknowledgement number, else it goes on."""
    for offset, first in ((4, mark.number), (8, mark.after)):
        onward = code.fresh()
        code.op(load.word, at + offset)
        code.op(cbpf.SUBTRACT, first)
        code.jump(cbpf.ABOVE, _WINDOW, onward, YES)
        code.label(onward)


def _marked_udp(code: Filter, mark: Mark, load: _Loads, at: int, answers: Iterable[int]) -> None:
    """YES for a datagram by its ports or its mark, else it goes on."""
    code.op(load.half, at + 2)
    _ports(code, (mark.port,), YES)
    code.op(load.half, at)
    _ports(code, (mark.port, *answers), YES)
    code.op(load.word, at + _UDP_HEADER)
    code.jump(cbpf.EQUAL, mark.number, YES)


def _icmp(code: Filter, mark: Mark, load: _Loads, at: int, *, v6: bool) -> None:
    """Of echoes ours, of errors those about it, and everything else: neighbour discovery, redirects."""
    echoes = (128, 129) if v6 else (8, 0)
    errors = (1, 2, 3, 4) if v6 else (3, 11, 12)
    echo, error = code.fresh(), code.fresh()
    code.op(load.byte, at)
    for kind in echoes:
        code.jump(cbpf.EQUAL, kind, echo)
    for kind in errors:
        code.jump(cbpf.EQUAL, kind, error)
    code.jump(cbpf.ABOVE, 0, YES, YES)
    code.label(echo)
    if mark.protocol == "ICMP":
        code.op(load.word, at + 8)
        code.jump(cbpf.EQUAL, mark.number, YES)
    _nothing(code)
    code.label(error)
    quoted = at + 8 + (_IPV6_HEADER if v6 else _IPV4_HEADER)
    if not v6:  # its header has options: then it is taken as it is
        code.op(load.byte, at + 8)
        code.jump(cbpf.EQUAL, 0x45, "", YES)
    if mark.protocol == "TCP":
        _numbers(code, mark, load, quoted)
    elif mark.protocol == "UDP":
        _marked_udp(code, mark, load, quoted, ())
    else:
        code.op(load.word, quoted + 8)
        code.jump(cbpf.EQUAL, mark.number, YES)
    # an error about the tunnel's own packet says nothing of what is inside; it is rare
    code.op(load.byte, at + 8 + (6 if v6 else 9))
    code.jump(cbpf.EQUAL, _UDP, "", NO)
    code.op(load.half, quoted + 2)
    _ports(code, mark.tunnels, YES)
    _nothing(code)


def _ports(code: Filter, ports: Iterable[int], label: str) -> None:
    for port in dict.fromkeys(ports):
        code.jump(cbpf.EQUAL, port, label)


# -- nft --------------------------------------------------------------------------------------------------------------

#: Before everything but the putting together of fragments (-400).
PRIORITY = -399


def rules(mark: Mark, table: str, *, owner: bool) -> str:
    """The tables that switch tracing on for the packet, as nft text; with ``owner`` they go with whoever made them."""
    tunnels = ", ".join(map(str, dict.fromkeys(mark.tunnels)))
    entries = ["udp : goto of_udp", f"{_IPIP} : goto in_ipip", ("ipv6-icmp" if mark.v6 else "icmp") + " : goto of_icmp"]
    parts = [  # a chain must be there before another goes to it
        _chain("in_tunnel", _marking(_inner(mark, _UDP_HEADER + _VXLAN + _ETHERNET))),
        _chain("in_ipip", _marking([] if mark.v6 else _inner(mark, 0))),
        _chain("of_udp", [f"udp dport {{ {tunnels} }} goto in_tunnel", *_marking(_plain(mark, _UDP))]),
        _chain("of_icmp", _marking(_errors(mark))),
    ]
    if mark.protocol == "TCP":
        parts.append(_chain("of_tcp", _marking(_plain(mark, _TCP))))
        entries.append("tcp : goto of_tcp")
    for hook in ("prerouting", "output"):
        base = f"type filter hook {hook} priority {PRIORITY}; policy accept;"
        parts.append(_chain(hook, [base, f"meta l4proto vmap {{ {', '.join(entries)} }}"]))
    head = ["flags owner"] if owner else []
    body = "\n".join([*head, *parts])
    return "".join(f"table {family} {table} {{\n{body}\n}}\n" for family in ("inet", "bridge"))


def _chain(name: str, lines: Iterable[str]) -> str:
    return "\n".join((f"chain {name} {{", *lines, "}"))


def _marking(matches: Iterable[str]) -> list[str]:
    return [f"{match} meta nftrace set 1" for match in matches]


def _at(offset: int, number: int, bits: int = 32) -> str:
    """A match of the bytes at an offset behind the transport header."""
    return f"@th,{offset * 8},{bits} {number}"


def _plain(mark: Mark, protocol: int) -> list[str]:
    """Matches behind ``meta l4proto``, of the packet as it is."""
    if mark.protocol == "TCP" and protocol == _TCP:
        return [f"tcp sequence {{ {mark.number}, {mark.after} }}", f"tcp ackseq {mark.after}"]
    if mark.protocol == "UDP" and protocol == _UDP:
        return [_at(_UDP_HEADER, mark.number), f"udp dport {mark.port}"]
    return []


def _errors(mark: Mark, base: int = 0) -> list[str]:
    """Matches of ICMP about the packet: its header comes after ICMP's eight bytes; and of an echo itself."""
    header = base + 8 + (_IPV6_HEADER if mark.v6 else _IPV4_HEADER)
    if mark.protocol == "TCP":
        return [_at(header + 4, mark.number)]
    matches = [_at(header + 8, mark.number)]
    return [*matches, _at(base + 8, mark.number)] if mark.protocol == "ICMP" else matches


def _inner(mark: Mark, network: int) -> list[str]:
    """Matches of the packet inside a tunnel's, whose IP header is that far behind the outer one."""
    transport = network + (_IPV6_HEADER if mark.v6 else _IPV4_HEADER)
    protocol = network + (6 if mark.v6 else 9)
    number = {"TCP": _TCP, "UDP": _UDP}.get(mark.protocol, 0)
    matches = []
    if mark.protocol == "TCP":
        matches = [
            _at(transport + offset, value) for offset, value in ((4, mark.number), (4, mark.after), (8, mark.after))
        ]
    elif mark.protocol == "UDP":
        matches = [_at(transport + _UDP_HEADER, mark.number), _at(transport + 2, mark.port, 16)]
    icmp = _at(protocol, _ICMP6 if mark.v6 else _ICMP, 8)
    return [
        *(f"{_at(protocol, number, 8)} {value}" for value in matches),
        *(f"{icmp} {x}" for x in _errors(mark, transport)),
    ]


# -- Python -----------------------------------------------------------------------------------------------------------


def concerns(mark: Mark, data: bytes, *, inner: bool = False) -> bool:
    """Whether a packet, from its network header on, is the traced one or its answer; an ICMP error about it is not."""
    protocol, rest = _payload(data)
    if protocol == _TCP:
        both = (_word(rest, 4) in (mark.number, mark.after), _word(rest, 8) == mark.after)
        return mark.protocol == "TCP" and any(both)
    if protocol in (_ICMP, _ICMP6):
        return mark.protocol == "ICMP" and _word(rest, 8) == mark.number and rest[0] in (0, 8, 128, 129)
    if protocol == _IPIP and not inner:
        return concerns(mark, rest, inner=True)
    if protocol != _UDP or len(rest) < _UDP_HEADER:
        return False
    if not inner and int.from_bytes(rest[2:4], "big") in mark.tunnels:
        return concerns(mark, rest[_UDP_HEADER + _VXLAN + _ETHERNET :], inner=True)
    port = int.from_bytes(rest[2:4], "big")
    return mark.protocol == "UDP" and (_word(rest, _UDP_HEADER) == mark.number or port == mark.port)


def _payload(data: bytes) -> tuple[int, bytes]:
    """The transport protocol's number and its bytes; 0 where there are none, as in a later fragment."""
    if len(data) >= _IPV4_HEADER and data[0] >> 4 == 4:
        if int.from_bytes(data[6:8], "big") & 0x1FFF:
            return 0, b""
        return data[9], data[(data[0] & 15) * 4 :]
    if len(data) >= _IPV6_HEADER + 8 and data[0] >> 4 == 6:
        if data[6] == _FRAGMENT:
            first = not int.from_bytes(data[42:44], "big") & 0xFFF8
            return (data[40], data[48:]) if first else (0, b"")
        return data[6], data[_IPV6_HEADER:]
    return 0, b""


def _word(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 4], "big") if len(data) >= at + 4 else -1
