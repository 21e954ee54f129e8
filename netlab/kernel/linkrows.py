"""One link's message as a row: the names and words of ``ip -d link`` and ``bridge -d link``."""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass
from typing import Any

from netlab.kernel import rtnl
from netlab.kernel.netlink import attr_dict, attrs, text

_OPERSTATES = ("UNKNOWN", "NOTPRESENT", "DOWN", "LOWERLAYERDOWN", "TESTING", "DORMANT", "UP")
_IFLA_QDISC, _IFLA_OPERSTATE = 6, 16
_FLAGS = {0x1: "UP", 0x2: "BROADCAST", 0x8: "LOOPBACK", 0x10: "POINTOPOINT", 0x80: "NOARP", 0x100: "PROMISC"}
_FLAGS |= {0x200: "ALLMULTI", 0x1000: "MULTICAST", 0x10000: "LOWER_UP"}
# if_link.h, IFLA_BR_*: what a lab's bridge may differ in.
_BRIDGE = {5: "stp_state", 7: "vlan_filtering", 23: "mcast_snooping", 36: "nf_call_iptables", 37: "nf_call_ip6tables"}
# if_link.h, IFLA_BRPORT_*; the words are bridge(8)'s.
_PORT = {1: "state", 4: "hairpin", 5: "guard", 8: "learning", 9: "flood", 10: "proxy_arp", 33: "isolated"}
_PORT_STATES = ("disabled", "listening", "learning", "forwarding", "blocking")


@dataclass(frozen=True, slots=True)
class Decoded:
    """A row, and what is only a number yet: indexes of the master and of the peer or lower device, where that is.

    ``foreign``: the peer is in another namespace.
    """

    row: dict[str, Any]
    master: int
    link: int
    foreign: bool


def link_row(payload: memoryview) -> Decoded:
    """Decode one RTM_NEWLINK message."""
    index, flags = struct.unpack_from("=iI", payload, 4)
    at = attr_dict(payload, 16)
    info = attr_dict(at[rtnl.IFLA_LINKINFO]) if rtnl.IFLA_LINKINFO in at else {}
    kind = text(info[rtnl.INFO_KIND]) if rtnl.INFO_KIND in info else ""
    if not kind:
        kind = "loopback" if flags & 0x8 else "ether"
    state = at[_IFLA_OPERSTATE][0] if _IFLA_OPERSTATE in at else 0
    row: dict[str, Any] = {
        "name": text(at[rtnl.IFLA_IFNAME]),
        "index": index,
        "type": kind,
        "mtu": _u32(at[rtnl.IFLA_MTU]),
        "mac": bytes(at[rtnl.IFLA_ADDRESS]).hex(":") if rtnl.IFLA_ADDRESS in at else "",
        "state": _OPERSTATES[state] if state < len(_OPERSTATES) else str(state),
        "flags": [word for bit, word in _FLAGS.items() if flags & bit],
        "qdisc": text(at[_IFLA_QDISC]) if _IFLA_QDISC in at else "",
        "alias": text(at[rtnl.IFLA_IFALIAS]) if rtnl.IFLA_IFALIAS in at else "",
        "altnames": [text(value) for _, value in attrs(at[rtnl.IFLA_PROP_LIST])] if rtnl.IFLA_PROP_LIST in at else [],
        "details": _details(kind, info),
    }
    if rtnl.INFO_SLAVE_DATA in info and text(info[rtnl.INFO_SLAVE_KIND]) == "bridge":
        row["port"] = _port(attr_dict(info[rtnl.INFO_SLAVE_DATA]))
    return Decoded(
        row,
        _u32(at[rtnl.IFLA_MASTER]) if rtnl.IFLA_MASTER in at else 0,
        _u32(at[rtnl.IFLA_LINK]) if rtnl.IFLA_LINK in at else 0,
        rtnl.IFLA_LINK_NETNSID in at,
    )


def _details(kind: str, info: dict[int, memoryview]) -> dict[str, Any]:
    if rtnl.INFO_DATA not in info:
        return {}
    data = attr_dict(info[rtnl.INFO_DATA])
    if kind == "vxlan":
        local = data.get(rtnl.VXLAN_LOCAL, data.get(rtnl.VXLAN_LOCAL6))
        return {
            "id": _u32(data[rtnl.VXLAN_ID]) if rtnl.VXLAN_ID in data else 0,
            "local": _ip(local) if local is not None else "",
            "dstport": struct.unpack("!H", data[rtnl.VXLAN_PORT])[0] if rtnl.VXLAN_PORT in data else 0,
            "learning": bool(data[rtnl.VXLAN_LEARNING][0]) if rtnl.VXLAN_LEARNING in data else True,
            "lower_index": _u32(data[rtnl.VXLAN_LINK]) if rtnl.VXLAN_LINK in data else 0,
        }
    if kind == "bridge":
        return {
            word: int.from_bytes(bytes(data[number])[:1], "little")
            for number, word in _BRIDGE.items()
            if number in data
        }
    return {}


def _port(data: dict[int, memoryview]) -> dict[str, Any]:
    found: dict[str, Any] = {word: bool(data[number][0]) for number, word in _PORT.items() if number in data}
    if 1 in data:
        state = data[1][0]
        found["state"] = _PORT_STATES[state] if state < len(_PORT_STATES) else str(state)
    return found


def _ip(raw: memoryview) -> str:
    return socket.inet_ntop(socket.AF_INET if len(raw) == 4 else socket.AF_INET6, bytes(raw))


def _u32(raw: memoryview) -> int:
    number: int = struct.unpack("=I", raw)[0]
    return number
