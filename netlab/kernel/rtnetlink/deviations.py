"""Attributes of links that netlab never sets and somebody did: read, and set back.

A link's message carries the attributes of the bridge, the port and the VXLAN device, and whether
an XDP program is on it; so none of this costs a request.  Numbers are those of linux/if_link.h.

Limits: programs that were attached by a BPF link (tcx) are in no dump.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Mapping

from netlab.kernel.rtnetlink import requests as rtnl
from netlab.kernel.rtnetlink.raw import RawLink
from netlab.kernel.rtnetlink.socket import attr, attr_dict, attr_u32
from netlab.objects import Odd

IFF_NOARP, IFF_MULTICAST = 0x80, 0x1000
IFLA_OPERSTATE, IFLA_PROTO_DOWN, IFLA_XDP = 16, 39, 43
_XDP_FD, _XDP_ATTACHED, _XDP_FLAGS = 1, 2, 3
_XDP_MODES = {1: "drv", 2: "skb", 3: "hw", 4: "multi"}
_NO_XDP = struct.pack("=HHB3x", 5, _XDP_ATTACHED, 0)
_SIMPLE = ("veth",)  # kinds of which there are many, and that have no attributes of their own, nor protodown

# number: word, struct format, what a new one has.
_BRIDGE = {
    5: ("stp_state", "I", 0),
    7: ("vlan_filtering", "B", 0),
    23: ("mcast_snooping", "B", 1),
}
_PORT = {
    5: ("guard", "B", 0),
    6: ("root_block", "B", 0),
    9: ("flood", "B", 1),
    10: ("proxy_arp", "B", 0),
    11: ("proxy_arp_wifi", "B", 0),
    27: ("mcast_flood", "B", 1),
    28: ("mcast_to_unicast", "B", 0),
    29: ("vlan_tunnel", "B", 0),
    30: ("bcast_flood", "B", 1),
    32: ("neigh_suppress", "B", 0),
    39: ("locked", "B", 0),
}
_SWITCH = ("off", "on")
_HERE: list[int] = []  # those of a port's that this kernel knows; learned from the first port
_FORWARDING = 3  # IFLA_BRPORT_STATE
PORT_STATE = 1
# A VXLAN device's that are no field of the object; all are 0 where nobody asked for them.
_VXLAN = {5: "ttl", 6: "tos", 11: "proxy", 12: "rsc", 13: "l2miss", 14: "l3miss", 25: "external", 29: "df"}
_VXLAN_FLAGS = ("proxy", "rsc", "l2miss", "l3miss", "external")
_DF = ("unset", "set", "inherit")


def link_odds(flags: int, at: Mapping[int, memoryview], kind: str, info: Mapping[int, memoryview]) -> tuple[Odd, ...]:
    """What differs from a new link of that kind."""
    plain = flags & (IFF_NOARP | IFF_MULTICAST) == IFF_MULTICAST and at.get(IFLA_XDP, _NO_XDP) == _NO_XDP
    if plain and kind in _SIMPLE:
        return ()
    found = []
    if flags & IFF_NOARP:
        found.append(Odd("arp", "off", "on"))
    if not flags & IFF_MULTICAST:
        found.append(Odd("multicast", "off", "on"))
    if IFLA_PROTO_DOWN in at and at[IFLA_PROTO_DOWN][0]:
        found.append(Odd("protodown", "on", "off"))
    if IFLA_XDP in at:
        attached = attr_dict(at[IFLA_XDP]).get(_XDP_ATTACHED)
        if attached is not None and attached[0]:
            mode = _XDP_MODES.get(attached[0], "")
            found.append(Odd({"skb": "xdpgeneric", "drv": "xdpdrv", "hw": "xdpoffload"}.get(mode, "xdp"), "on", "off"))
    if kind == "bridge" and rtnl.INFO_DATA in info:
        found += _differing(_BRIDGE, attr_dict(info[rtnl.INFO_DATA]), "type bridge")
    return tuple(found)


def port_odds(data: Mapping[int, memoryview]) -> tuple[Odd, ...]:
    """What differs from a new port of a bridge, but for its state."""
    if not _HERE:
        _HERE.extend(number for number in _PORT if number in data)
    try:
        if [data[number][0] for number in _HERE] == [_PORT[number][2] for number in _HERE]:
            return ()
    except KeyError:
        pass
    return tuple(_differing(_PORT, data, "type bridge_slave"))


def port_state(link: RawLink, bridge: RawLink) -> tuple[Odd, ...]:
    """A port that could forward and does not: without carrier, or with its bridge down, no port does.

    The bridge goes by the port's operational state, which follows the carrier some time later.
    """
    state = link.port.get(PORT_STATE, _FORWARDING)
    if state == _FORWARDING or not (link.up and link.works and bridge.up) or state > 4:
        return ()
    return (Odd("state", str(state), str(_FORWARDING), "type bridge_slave"),)


def _differing(table: Mapping[int, tuple[str, str, int]], data: Mapping[int, memoryview], group: str) -> list[Odd]:
    found = []
    for number, (word, form, usual) in table.items():
        if number in data:
            raw = data[number]
            value = raw[0] if form == "B" else struct.unpack(f"={form}", raw)[0]
            if value != usual:
                words = _SWITCH if table is _PORT else ("0", "1")
                found.append(
                    Odd(word, words[1] if value == 1 else str(value) if value else words[0], words[usual], group)
                )
    return found


def vxlan_options(data: Mapping[int, bytes]) -> str:
    """The options of ``ip link add type vxlan`` that somebody gave the device beside netlab's."""
    words = []
    for number, word in _VXLAN.items():
        value = data[number][0] if number in data else 0
        if value:
            words.append(
                word if word in _VXLAN_FLAGS else f"df {_DF[value % 3]}" if word == "df" else f"{word} {value}"
            )
    if 2 in data or 16 in data:  # GROUP, GROUP6
        raw = data.get(2) or data.get(16) or b""
        words.append(f"remote {socket.inet_ntop(socket.AF_INET if len(raw) == 4 else socket.AF_INET6, raw)}")
    return " ".join(words)


def restore(index: int, odd: Odd) -> rtnl.Request:
    """The request that sets one attribute back."""
    if odd.group:
        bridge = odd.group == "type bridge"
        state = {PORT_STATE: ("state", "B", _FORWARDING)}
        number, form = next(
            (n, one[1]) for n, one in (_BRIDGE if bridge else _PORT | state).items() if one[0] == odd.word
        )
        usual = _SWITCH.index(odd.usual) if odd.usual in _SWITCH else int(odd.usual)
        data = attr(number, struct.pack(f"={form}", usual))
        kinds = (rtnl.INFO_KIND, rtnl.INFO_DATA) if bridge else (rtnl.INFO_SLAVE_KIND, rtnl.INFO_SLAVE_DATA)
        info = attr(kinds[0], b"bridge\0") + attr(kinds[1], data)
        return rtnl.NEWLINK, 0, rtnl.ifinfo(index) + attr(rtnl.IFLA_LINKINFO, info)
    if odd.word == "protodown":
        return rtnl.SETLINK, 0, rtnl.ifinfo(index) + attr(IFLA_PROTO_DOWN, b"\0")
    if odd.word.startswith("xdp"):
        mode = {"xdpgeneric": 2, "xdpdrv": 4, "xdpoffload": 8}.get(odd.word, 0)
        data = attr(_XDP_FD, struct.pack("=i", -1)) + (attr_u32(_XDP_FLAGS, mode) if mode else b"")
        return rtnl.SETLINK, 0, rtnl.ifinfo(index) + attr(IFLA_XDP | rtnl.NESTED, data)
    flag, on = (IFF_NOARP, False) if odd.word == "arp" else (IFF_MULTICAST, True)
    return rtnl.SETLINK, 0, struct.pack("=BxHiII", 0, 0, index, flag if on else 0, flag)
