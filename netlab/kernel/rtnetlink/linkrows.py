"""One link's message as a row: the names and words of ``ip -d link`` and ``bridge -d link``."""

from __future__ import annotations

from typing import Any

from netlab.kernel.rtnetlink.deviation import BARE
from netlab.tuples import NamedTuple

_FLAGS = {0x1: "UP", 0x2: "BROADCAST", 0x8: "LOOPBACK", 0x10: "POINTOPOINT", 0x80: "NOARP", 0x100: "PROMISC"}
_FLAGS |= {0x200: "ALLMULTI", 0x1000: "MULTICAST", 0x10000: "LOWER_UP"}
# The attributes in which a lab's bridge, and a port of it, may differ; the words are bridge(8)'s.
_BRIDGE = ("stp_state", "vlan_filtering", "mcast_snooping", "nf_call_iptables", "nf_call_ip6tables")
_PORT = {"MODE": "hairpin", "GUARD": "guard", "LEARNING": "learning", "UNICAST_FLOOD": "flood"}
_PORT |= {"PROXYARP": "proxy_arp", "ISOLATED": "isolated"}
_PORT_STATES = ("disabled", "listening", "learning", "forwarding", "blocking")


class Link(NamedTuple):
    """A row, and the indexes that still need a name: of the master, of the peer or lower link, of a tunnel's device.

    ``foreign``: the peer or lower link is in another namespace.
    """

    row: dict[str, Any]
    master: int
    link: int
    device: int
    foreign: bool


def link(message: Any) -> Link:
    """Read one RTM_NEWLINK message of pyroute2's."""
    info = message.get("IFLA_LINKINFO") or {}
    data = info.get("IFLA_INFO_DATA") or {}
    kind = info.get("IFLA_INFO_KIND") or ("loopback" if message["flags"] & 0x8 else "ether")
    row: dict[str, Any] = {
        "name": message.get("IFLA_IFNAME"),
        "index": message["index"],
        "type": kind,
        "mtu": message.get("IFLA_MTU"),
        "mac": "" if kind in BARE else message.get("IFLA_ADDRESS") or "",
        "state": message.get("IFLA_OPERSTATE") or "UNKNOWN",
        "flags": [word for bit, word in _FLAGS.items() if message["flags"] & bit],
        "qdisc": message.get("IFLA_QDISC") or "",
        "alias": message.get("IFLA_IFALIAS") or "",
        "altnames": _altnames(message),
        "details": _DETAILS[kind](data) if kind in _DETAILS and data else {},
    }
    if info.get("IFLA_INFO_SLAVE_KIND") == "bridge" and (port := info.get("IFLA_INFO_SLAVE_DATA")):
        row["port"] = _port(port)
    return Link(
        row,
        message.get("IFLA_MASTER") or 0,
        message.get("IFLA_LINK") or 0,
        data.get("IFLA_VXLAN_LINK") or 0 if kind == "vxlan" else 0,
        message.get("IFLA_LINK_NETNSID") is not None,
    )


def _altnames(message: Any) -> list[str]:
    properties = message.get("IFLA_PROP_LIST")
    return list(properties.get_attrs("IFLA_ALT_IFNAME")) if properties else []


def _vxlan(data: Any) -> dict[str, Any]:
    return {
        "id": data.get("IFLA_VXLAN_ID") or 0,
        "local": data.get("IFLA_VXLAN_LOCAL") or data.get("IFLA_VXLAN_LOCAL6") or "",
        "dstport": data.get("IFLA_VXLAN_PORT") or 0,
        "learning": bool(data.get("IFLA_VXLAN_LEARNING")),
    }


def _bridge(data: Any) -> dict[str, Any]:
    values = {word: data.get(f"IFLA_BR_{word.upper()}") for word in _BRIDGE}
    return {word: value for word, value in values.items() if value is not None}


def _geneve(data: Any) -> dict[str, Any]:
    return {
        "id": data.get("IFLA_GENEVE_ID") or 0,
        "remote": data.get("IFLA_GENEVE_REMOTE") or data.get("IFLA_GENEVE_REMOTE6") or "",
        "dstport": data.get("IFLA_GENEVE_PORT") or 0,
    }


def _ipip(data: Any) -> dict[str, Any]:
    return {word: data.get(f"IFLA_IPIP_{word.upper()}") or "" for word in ("local", "remote")}


_DETAILS = {"vxlan": _vxlan, "geneve": _geneve, "ipip": _ipip, "bridge": _bridge}


def _port(data: Any) -> dict[str, Any]:
    state = data.get("IFLA_BRPORT_STATE") or 0
    values = {word: data.get(f"IFLA_BRPORT_{attribute}") for attribute, word in _PORT.items()}
    row: dict[str, Any] = {"state": _PORT_STATES[state] if state < len(_PORT_STATES) else str(state)}
    return row | {word: bool(value) for word, value in values.items() if value is not None}
