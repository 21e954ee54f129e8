"""Attributes of links that netlab never sets and somebody changed: reading them, and setting them back.

A link's message carries the attributes of the bridge, the port and the VXLAN device, and whether it has an XDP program.
Forwarding entries are read in any case. So this costs no request. Numbers are those of linux/if_link.h.

Limits: no dump has programs that were attached by a BPF link (tcx).
"""

from __future__ import annotations

import struct
from collections.abc import Mapping

from netlab.kernel.rtnetlink.codec import RawLink, Request
from netlab.kernel.rtnetlink.neighbour import (
    AF_BRIDGE,
    NDA_LLADDR,
    NDMSG,
    NEWNEIGH,
    NTF_MASTER,
    NTF_SELF,
    NUD_PERMANENT,
)
from netlab.kernel.rtnetlink.socket import CREATE, REPLACE, attr, attr_dict, attr_u32
from netlab.kernel.rtnetlink.values import INFO_DATA, NESTED, SETLINK, ifinfo, link_info, mac_bytes
from netlab.objects import Deviation

_IFF_NOARP, _IFF_MULTICAST = 0x80, 0x1000
_IFLA_PROTO_DOWN, IFLA_XDP = 39, 43
_XDP_FD, _XDP_ATTACHED, _XDP_FLAGS = 1, 2, 3
_XDP_MODES = {1: "drv", 2: "skb", 3: "hw", 4: "multi"}
_NO_XDP = struct.pack("=HHB3x", 5, _XDP_ATTACHED, 0)
BARE = ("ipip", "wireguard")  # kinds without link-layer addresses: no ARP, no multicast
_SIMPLE = ("veth",)  # kinds of which there are many, and that have no attributes of their own, nor protodown

# number: word, struct format, what a new one has.
_BRIDGE = {
    4: ("ageing_time", "I", 30000),  # 1/100 s
    5: ("stp_state", "I", 0),
    7: ("vlan_filtering", "B", 0),
    22: ("mcast_router", "B", 1),
    23: ("mcast_snooping", "B", 1),
    25: ("mcast_querier", "B", 0),
    36: ("nf_call_iptables", "B", 0),
    37: ("nf_call_ip6tables", "B", 0),
    38: ("nf_call_arptables", "B", 0),
    39: ("vlan_default_pvid", "H", 1),  # it can change while no VLAN is filtered, so it is set back after that
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
HAIRPIN, LEARNING, ISOLATED = 4, 8, 33  # a port's own fields; the kernel calls the first its mode
_SWITCH = ("off", "on")
_PRESENT: list[int] = []  # the attributes of a port that this kernel has; learned from the first port
_FORWARDING = 3  # IFLA_BRPORT_STATE
_STATE = 1
PORT_FIELDS = (_STATE, HAIRPIN, LEARNING, ISOLATED)


def link_deviations(
    flags: int, at: Mapping[int, memoryview], kind: str, info: Mapping[int, memoryview]
) -> tuple[Deviation, ...]:
    """Differences from a new link of that kind."""
    plain = flags & (_IFF_NOARP | _IFF_MULTICAST) == _IFF_MULTICAST and at.get(IFLA_XDP, _NO_XDP) == _NO_XDP
    if plain and kind in _SIMPLE:
        return ()
    deviations = []
    bare = kind in BARE
    if bool(flags & _IFF_NOARP) != bare:
        deviations.append(Deviation("arp", *(("on", "off") if bare else ("off", "on"))))
    if bool(flags & _IFF_MULTICAST) == bare:
        deviations.append(Deviation("multicast", *(("on", "off") if bare else ("off", "on"))))
    if _IFLA_PROTO_DOWN in at and at[_IFLA_PROTO_DOWN][0]:
        deviations.append(Deviation("protodown", "on", "off"))
    if IFLA_XDP in at:
        attached = attr_dict(at[IFLA_XDP]).get(_XDP_ATTACHED)
        if attached is not None and attached[0]:
            mode = _XDP_MODES.get(attached[0], "")
            deviations.append(
                Deviation({"skb": "xdpgeneric", "drv": "xdpdrv", "hw": "xdpoffload"}.get(mode, "xdp"), "on", "off")
            )
    if kind == "bridge" and INFO_DATA in info:
        deviations += _differing(_BRIDGE, attr_dict(info[INFO_DATA]), "type bridge")
    return tuple(deviations)


def port_deviations(data: Mapping[int, memoryview]) -> tuple[Deviation, ...]:
    """Differences from a new port of a bridge, but for its state."""
    if not _PRESENT:
        _PRESENT.extend(number for number in _PORT if number in data)
    try:
        if [data[number][0] for number in _PRESENT] == [_PORT[number][2] for number in _PRESENT]:
            return ()
    except KeyError:
        pass
    return tuple(_differing(_PORT, data, "type bridge_slave"))


def port_state(link: RawLink, bridge: RawLink) -> tuple[Deviation, ...]:
    """A port that could forward and does not: without carrier, or with its bridge down, no port does.

    The bridge goes by the port's operational state, which follows the carrier some time later.
    """
    state = link.port.get(_STATE, _FORWARDING)
    if state == _FORWARDING or not (link.up and link.works and bridge.up) or state > 4:
        return ()
    return (Deviation("state", str(state), str(_FORWARDING), "type bridge_slave"),)


def lost_entry(link: RawLink) -> Deviation:
    """The bridge has no forwarding entry for a port's MAC address, or for its own: frames to it are flooded."""
    return Deviation(link.mac, "missing", f"{'master' if link.master else 'self'} permanent", "fdb")


def _differing(
    table: Mapping[int, tuple[str, str, int]], data: Mapping[int, memoryview], group: str
) -> list[Deviation]:
    deviations = []
    for number, (word, form, usual) in table.items():
        if number in data:
            raw = data[number]
            value = raw[0] if form == "B" else struct.unpack(f"={form}", raw)[0]
            if value != usual:
                there, should = (
                    _SWITCH[number] if table is _PORT and number < len(_SWITCH) else str(number)
                    for number in (value, usual)
                )
                deviations.append(Deviation(word, there, should, group))
    return deviations


def restore(index: int, attribute: Deviation) -> Request:
    """The request that sets one attribute back."""
    if attribute.group == "fdb":
        flag = NTF_SELF if attribute.usual.startswith("self") else NTF_MASTER
        body = NDMSG.pack(AF_BRIDGE, index, NUD_PERMANENT, flag, 0) + attr(NDA_LLADDR, mac_bytes(attribute.word))
        return NEWNEIGH, CREATE | REPLACE, body
    if attribute.group:
        bridge = attribute.group == "type bridge"
        state = {_STATE: ("state", "B", _FORWARDING)}
        number, form = next(
            (number, form)
            for number, (word, form, _) in (_BRIDGE if bridge else _PORT | state).items()
            if word == attribute.word
        )
        usual = _SWITCH.index(attribute.usual) if attribute.usual in _SWITCH else int(attribute.usual)
        data = attr(number, struct.pack(f"={form}", usual))
        return link_info(index, "bridge", data, port=not bridge)
    if attribute.word == "protodown":
        return SETLINK, 0, ifinfo(index) + attr(_IFLA_PROTO_DOWN, b"\0")
    if attribute.word.startswith("xdp"):
        mode = {"xdpgeneric": 2, "xdpdrv": 4, "xdpoffload": 8}.get(attribute.word, 0)
        data = attr(_XDP_FD, struct.pack("=i", -1)) + (attr_u32(_XDP_FLAGS, mode) if mode else b"")
        return SETLINK, 0, ifinfo(index) + attr(IFLA_XDP | NESTED, data)
    on = attribute.usual == "on"
    flag, on = (_IFF_NOARP, not on) if attribute.word == "arp" else (_IFF_MULTICAST, on)
    return SETLINK, 0, struct.pack("=BxHiII", 0, 0, index, flag if on else 0, flag)
