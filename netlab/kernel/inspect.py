"""Everything that the kernel has in a lab's namespaces, as rows: what ``netlab get links`` and its like show.

``dump`` reads what a State can hold and leaves out the rest; here nothing is left out but what ``ip`` itself does not
show unasked (the permanent-by-nature NOARP neighbours).  A row is plain data with stable field names, so ``-o json``
prints it as it is.  Decoding is pure: functions from a message's payload to a row.

Limits: read namespace after namespace, so rows of two namespaces may be some milliseconds apart.
"""

from __future__ import annotations

import contextlib
import fnmatch
import json
import os
import socket
import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from netlab.kernel import libnft, nft, rtnl
from netlab.kernel import netns as ns
from netlab.kernel.dump import FALLBACKS
from netlab.kernel.linkrows import Decoded, link_row
from netlab.kernel.linux import Handle, Handles
from netlab.kernel.netlink import attr_dict, attr_u32
from netlab.kernel.procfs import Sysctls

Row = dict[str, Any]

_TYPES = {number: name for name, number in rtnl.TYPES.items()} | {3: "broadcast", 4: "anycast"}
_TYPES[5] = "multicast"
_SCOPES = {number: name for name, number in rtnl.SCOPES.items()}
_TABLES = {253: "default", 254: "main", 255: "local"}
# As /etc/iproute2/rt_protos has them: hosts without that file must give the same words.
_PROTOCOLS = {
    0: "unspec",
    1: "redirect",
    2: "kernel",
    3: "boot",
    4: "static",
    9: "ra",
    11: "zebra",
    12: "bird",
    16: "dhcp",
    18: "keepalived",
    42: "babel",
    186: "bgp",
    188: "ospf",
}
_NUD = {1: "INCOMPLETE", 2: "REACHABLE", 4: "STALE", 8: "DELAY", 16: "PROBE", 32: "FAILED", 64: "NOARP"}
_NUD[128] = "PERMANENT"
_NUD_NOARP = 64
_NTF = {0x01: "use", 0x02: "self", 0x04: "master", 0x08: "proxy", 0x10: "extern_learn", 0x20: "offload", 0x80: "router"}
_IFA_FLAGS = {
    0x02: "nodad",
    0x08: "dadfailed",
    0x20: "deprecated",
    0x40: "tentative",
    0x200: "noprefixroute",
}
_IFA_PERMANENT, _IFA_SECONDARY = 0x80, 0x01
_RTNH = {1: "dead", 2: "pervasive", 4: "onlink", 8: "offload", 16: "linkdown", 32: "unresolved"}
_RTA_METRICS, _RTA_MULTIPATH, _RTA_VIA, _RTAX_MTU = 8, 9, 18, 2
_NDA_VLAN, _NDA_VNI, _NDA_MASTER = 5, 7, 9


def inspect(kind: str, places: Sequence[str], sysctls: Mapping[str, Sequence[str]] | None = None) -> list[Row]:
    """The rows of one kind (a key of ``KINDS``) in these namespaces, in their order.

    ``sysctls``: for ``sysctls`` alone, which of them by namespace; ``*`` and ``?`` in a name match as in a shell.
    Namespaces that went away meanwhile are left out.
    """
    worker, handles, private = ns.Worker(), Handles(), Sysctls()

    def look() -> list[Row]:
        try:
            opened = []
            for place in places:
                with contextlib.suppress(OSError):
                    opened.append(handles.get(place))
            if kind == "links":
                return _links(opened)
            rows: list[Row] = []
            for handle in opened:
                if kind == "sysctls":
                    rows += _sysctls(handle, private, (sysctls or {}).get(handle.netns, ()))
                else:
                    rows += KINDS[kind](handle)
            return rows
        finally:
            handles.close()
            private.close()

    try:
        return worker.run(look)
    finally:
        worker.close()


# -- links ------------------------------------------------------------------------------------------------------------

_LINK_REQUEST = rtnl.ifinfo() + attr_u32(rtnl.IFLA_EXT_MASK, 8)  # without statistics


def _decoded(handle: Handle) -> dict[int, Decoded]:
    rows = [link_row(payload) for _, payload in handle.socket.dump(rtnl.GETLINK, _LINK_REQUEST)]
    return {one.row["index"]: one for one in rows}


def _names(handle: Handle) -> dict[int, str]:
    return {index: one.row["name"] for index, one in _decoded(handle).items()}


def _links(handles: Sequence[Handle]) -> list[Row]:
    found = {handle.netns: _decoded(handle) for handle in handles}
    by_indexes: dict[tuple[int, int], list[tuple[str, Decoded]]] = {}
    for netns, links in found.items():
        for one in links.values():
            by_indexes.setdefault((one.row["index"], one.link), []).append((netns, one))
    rows: list[Row] = []
    for netns, links in found.items():
        for one in links.values():
            if one.row["name"] in FALLBACKS and "UP" not in one.row["flags"]:
                continue  # a module put it into every namespace
            master = links.get(one.master)
            row = {"netns": netns, **one.row, "master": master.row["name"] if master else ""}
            row["peer"] = ""
            if one.row["type"] == "veth":
                row["peer"] = _peer(netns, one, by_indexes)
            elif one.link in links:
                row["lower"] = links[one.link].row["name"]
            lower = row["details"].pop("lower_index", 0)
            if lower in links:
                row["details"]["dev"] = links[lower].row["name"]
            rows.append(row)
    return rows


def _peer(netns: str, one: Decoded, by_indexes: Mapping[tuple[int, int], list[tuple[str, Decoded]]]) -> str:
    """The other end as ``netns/name``: its index is ours' link and the other way round; ``?`` where it is elsewhere."""
    ends = [
        (where, other)
        for where, other in by_indexes.get((one.link, one.row["index"]), ())
        if other.row["type"] == "veth" and (where != netns) == one.foreign and other is not one
    ]
    return f"{ends[0][0]}/{ends[0][1].row['name']}" if len(ends) == 1 else "?"


# -- addresses --------------------------------------------------------------------------------------------------------


def _addresses(handle: Handle) -> list[Row]:
    names, rows = _names(handle), []
    for _, payload in handle.socket.dump(rtnl.GETADDR, struct.pack("=BBBBi", 0, 0, 0, 0, 0)):
        family, length, low, scope, index = struct.unpack_from("=BBBBi", payload)
        if family not in (socket.AF_INET, socket.AF_INET6):
            continue
        at = attr_dict(payload, 8)
        flags = _u32(at[rtnl.IFA_FLAGS]) if rtnl.IFA_FLAGS in at else low
        local = at.get(rtnl.IFA_LOCAL, at.get(rtnl.IFA_ADDRESS))
        assert local is not None  # the kernel has no address without one
        far = at.get(rtnl.IFA_ADDRESS, local)
        said = [word for bit, word in _IFA_FLAGS.items() if flags & bit]
        if flags & _IFA_SECONDARY:
            said.insert(0, "secondary" if family == socket.AF_INET else "temporary")
        if not flags & _IFA_PERMANENT:
            said.append("dynamic")
        rows.append(
            {
                "netns": handle.netns,
                "dev": names.get(index, str(index)),
                "address": f"{_ip(local)}/{length}",
                "family": "IPv4" if family == socket.AF_INET else "IPv6",
                "scope": _SCOPES.get(scope, str(scope)),
                "peer": f"{_ip(far)}/{length}" if far != local else "",
                "broadcast": _ip(at[rtnl.IFA_BROADCAST]) if rtnl.IFA_BROADCAST in at else "",
                "flags": said,
            }
        )
    return rows


# -- routes -----------------------------------------------------------------------------------------------------------


def _routes(handle: Handle) -> list[Row]:
    names, rows = _names(handle), []
    for family in (socket.AF_INET, socket.AF_INET6):
        request = struct.pack("=BBBBBBBBI", family, 0, 0, 0, 0, 0, 0, 0, 0)
        for _, payload in handle.socket.dump(rtnl.GETROUTE, request):
            rows.append({"netns": handle.netns, **_route(payload, names)})
    return rows


def _route(payload: memoryview, names: Mapping[int, str]) -> Row:
    family, length, _, _, table, proto, scope, kind, flags = struct.unpack_from("=BBBBBBBBI", payload)
    at = attr_dict(payload, 12)
    whole = 32 if family == socket.AF_INET else 128
    if rtnl.RTA_DST in at:
        dst = _ip(at[rtnl.RTA_DST]) + ("" if length == whole else f"/{length}")
    else:
        dst = "default" if length == 0 else f"{'0.0.0.0' if whole == 32 else '::'}/{length}"
    table = _u32(at[rtnl.RTA_TABLE]) if rtnl.RTA_TABLE in at else table
    row: Row = {
        "dst": dst,
        "type": _TYPES.get(kind, str(kind)),
        **_hop(at, names),
        "src": _ip(at[rtnl.RTA_PREFSRC]) if rtnl.RTA_PREFSRC in at else "",
        "scope": _SCOPES.get(scope, str(scope)),
        "protocol": _PROTOCOLS.get(proto, str(proto)),
        "metric": _u32(at[rtnl.RTA_PRIORITY]) if rtnl.RTA_PRIORITY in at else 0,
        "table": _TABLES.get(table, str(table)),
        "flags": [word for bit, word in _RTNH.items() if flags & bit],
        "family": "IPv4" if whole == 32 else "IPv6",
    }
    if _RTA_METRICS in at:
        metrics = attr_dict(at[_RTA_METRICS])
        if _RTAX_MTU in metrics:
            row["mtu"] = _u32(metrics[_RTAX_MTU])
    if _RTA_MULTIPATH in at:
        row["nexthops"] = _hops(at[_RTA_MULTIPATH], names)
    return row


def _hop(at: Mapping[int, memoryview], names: Mapping[int, str]) -> Row:
    via = _ip(at[rtnl.RTA_GATEWAY]) if rtnl.RTA_GATEWAY in at else ""
    if _RTA_VIA in at:  # a gateway of the other family
        via = _ip(at[_RTA_VIA][2:])
    index = _u32(at[rtnl.RTA_OIF]) if rtnl.RTA_OIF in at else 0
    return {"via": via, "dev": names.get(index, str(index) if index else "")}


def _hops(raw: memoryview, names: Mapping[int, str]) -> list[Row]:
    hops, offset = [], 0
    while offset + 8 <= len(raw):
        size, flags, weight, index = struct.unpack_from("=HBBi", raw, offset)
        if size < 8:
            break
        hop = _hop(attr_dict(raw[offset + 8 : offset + size]), names)
        hop |= {"dev": names.get(index, str(index)), "weight": weight + 1}
        hops.append(hop | {"flags": [word for bit, word in _RTNH.items() if flags & bit]})
        offset += (size + 3) & ~3
    return hops


# -- neighbours and forwarding entries --------------------------------------------------------------------------------


def _neighbours(handle: Handle) -> list[Row]:
    names, rows = _names(handle), []
    for _, payload in handle.socket.dump(rtnl.GETNEIGH, rtnl._NDMSG.pack(0, 0, 0, 0, 0)):
        index, state, flags = struct.unpack_from("=iHB", payload, 4)
        at = attr_dict(payload, 12)
        if state & _NUD_NOARP or payload[0] not in (socket.AF_INET, socket.AF_INET6) or rtnl.NDA_DST not in at:
            continue
        rows.append(
            {
                "netns": handle.netns,
                "address": _ip(at[rtnl.NDA_DST]),
                "dev": names.get(index, str(index)),
                "mac": _mac(at.get(rtnl.NDA_LLADDR)),
                "state": "|".join(word for bit, word in _NUD.items() if state & bit) or "NONE",
                "flags": [word for bit, word in _NTF.items() if flags & bit],
            }
        )
    return rows


def _fdb(handle: Handle) -> list[Row]:
    names, rows = _names(handle), []
    request = rtnl._NDMSG.pack(rtnl.AF_BRIDGE, 0, 0, 0, 0)
    for _, payload in handle.socket.dump(rtnl.GETNEIGH, request):
        index, state, flags = struct.unpack_from("=iHB", payload, 4)
        at = attr_dict(payload, 12)
        master = _u32(at[_NDA_MASTER]) if _NDA_MASTER in at else 0
        rows.append(
            {
                "netns": handle.netns,
                "mac": _mac(at.get(rtnl.NDA_LLADDR)),
                "dev": names.get(index, str(index)),
                "dst": _ip(at[rtnl.NDA_DST]) if rtnl.NDA_DST in at else "",
                "vlan": struct.unpack("=H", at[_NDA_VLAN])[0] if _NDA_VLAN in at else 0,
                "vni": _u32(at[_NDA_VNI]) if _NDA_VNI in at else 0,
                "master": names.get(master, "") if master else "",
                "state": _fdb_state(state),
                "flags": [word for bit, word in _NTF.items() if flags & bit],
            }
        )
    return rows


def _fdb_state(state: int) -> str:
    """bridge(8)'s words: an entry of the bridge's own is permanent, one of an administrator static, others learned."""
    if state & rtnl.NUD_PERMANENT:
        return "permanent"
    if state & _NUD_NOARP:
        return "static"
    return "stale" if state & 4 else "learned"


# -- sysctls ----------------------------------------------------------------------------------------------------------


def _sysctls(handle: Handle, private: Sysctls, wanted: Iterable[str]) -> list[Row]:
    with ns.inside(handle.fd):
        private.enter()
        found: dict[str, str] = {}
        for path in wanted:
            for each in _expanded(path) if set(path) & set("*?[") else [path]:
                with contextlib.suppress(OSError, UnicodeDecodeError):  # some can only be written
                    value = private.read(each)
                    if value is not None:
                        found[each] = value
    return [{"netns": handle.netns, "name": path, "value": value} for path, value in found.items()]


_SWAP = str.maketrans("./", "/.")


def _expanded(pattern: str) -> list[str]:
    """The names of the calling thread's namespace that a pattern matches; a '/' stands for a dot in a link's name."""
    names = []
    for folder, _, files in os.walk("/proc/sys/net"):
        base = folder.removeprefix("/proc/sys/").translate(_SWAP)
        names += [f"{base}.{name}" for name in files]
    return sorted(fnmatch.filter(names, pattern))


# -- nftables ---------------------------------------------------------------------------------------------------------


def _nft(handle: Handle) -> list[Row]:
    with ns.inside(handle.fd):
        try:
            if not nft.tables():
                return []
        except OSError:  # a kernel without nf_tables has no tables
            return []
        listed = json.loads(libnft.run("list ruleset", json=True))["nftables"]
    return [{"netns": handle.netns, **row} for row in _nft_rows(listed)]


def _nft_rows(listed: Iterable[Mapping[str, Any]]) -> list[Row]:
    rows: list[Row] = []
    chains: dict[tuple[str, str, str], Row] = {}
    for entry in listed:
        for kind, value in entry.items():
            if kind == "rule":
                row = chains[value["family"], value["table"], value["chain"]]
                row["entries"] += 1
                rule = {"handle": value["handle"], "expr": value["expr"]}
                row["rules"].append(rule | ({"comment": value["comment"]} if "comment" in value else {}))
            elif kind in ("chain", "set", "map"):
                row = {"family": value["family"], "table": value["table"], "kind": kind, "name": value["name"]}
                if kind == "chain":
                    hook = {key: value.get(key, "") for key in ("type", "hook", "prio", "policy")}
                    row |= {**hook, "entries": 0, "rules": []}
                    chains[value["family"], value["table"], value["name"]] = row
                else:
                    elements = value.get("elem", [])
                    row |= {"type": _type(value), "hook": "", "prio": "", "policy": ""}
                    row |= {"entries": len(elements), "elements": elements}
                rows.append(row)
    return rows


def _type(value: Mapping[str, Any]) -> str:
    """A set's type as nft writes it: ``ipv4_addr . inet_service : verdict``."""
    key = value["type"]
    text = " . ".join(key) if isinstance(key, list) else str(key)
    return f"{text} : {value['map']}" if "map" in value else text


# -- small parts ------------------------------------------------------------------------------------------------------


def _ip(raw: memoryview) -> str:
    return socket.inet_ntop(socket.AF_INET if len(raw) == 4 else socket.AF_INET6, bytes(raw))


def _mac(raw: memoryview | None) -> str:
    return bytes(raw).hex(":") if raw is not None else ""


def _u32(raw: memoryview) -> int:
    number: int = struct.unpack("=I", raw)[0]
    return number


KINDS: dict[str, Callable[[Handle], list[Row]]] = {
    "addresses": _addresses,
    "routes": _routes,
    "neighbours": _neighbours,
    "fdb": _fdb,
    "nft": _nft,
}
