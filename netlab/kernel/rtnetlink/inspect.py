"""Everything that the kernel has in a lab's namespaces, as rows: the tables of ``netlab get links`` and its like.

``dump`` reads the part that a State can hold.  Here pyroute2 reads the whole, except the neighbours that ``ip``
hides too (NOARP).  A row is plain data with stable field names, so ``-o json`` prints it as it is.

Limits: namespaces are read one after another, so rows of two namespaces may be some milliseconds apart.
"""

from __future__ import annotations

import contextlib
import fnmatch
import json
import os
import socket
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from netlab.kernel.host import netns as ns
from netlab.kernel.host.procfs import Sysctls
from netlab.kernel.nftables import drift as nft
from netlab.kernel.nftables import libnft
from netlab.kernel.rtnetlink.linkrows import Link, link
from netlab.kernel.rtnetlink.route import TYPES
from netlab.kernel.rtnetlink.values import SCOPE_NAMES as _SCOPES
from netlab.objects.links import FALLBACKS
from netlab.tuples import NamedTuple

Row = dict[str, Any]
Names = Mapping[int, str]

_TYPES = {number: name for name, number in TYPES.items()} | {3: "broadcast", 4: "anycast", 5: "multicast"}
_TABLES = {253: "default", 254: "main", 255: "local"}
# As /etc/iproute2/rt_protos has them: hosts without that file must give the same words.
_PROTOCOLS = {0: "unspec", 1: "redirect", 2: "kernel", 3: "boot", 4: "static", 9: "ra", 11: "zebra", 12: "bird"}
_PROTOCOLS |= {16: "dhcp", 18: "keepalived", 42: "babel", 186: "bgp", 188: "ospf"}
_NOARP, _PERMANENT = 64, 128
_NUD = {1: "INCOMPLETE", 2: "REACHABLE", 4: "STALE", 8: "DELAY", 16: "PROBE", 32: "FAILED", 64: "NOARP"}
_NUD[_PERMANENT] = "PERMANENT"
_NTF = {0x01: "use", 0x02: "self", 0x04: "master", 0x08: "proxy", 0x10: "extern_learn", 0x20: "offload", 0x80: "router"}
_IFA_PERMANENT, _IFA_SECONDARY = 0x80, 0x01
_IFA_FLAGS = {0x02: "nodad", 0x08: "dadfailed", 0x20: "deprecated", 0x40: "tentative", 0x200: "noprefixroute"}
_RTNH = {1: "dead", 2: "pervasive", 4: "onlink", 8: "offload", 16: "linkdown", 32: "unresolved"}
_SKIP_STATISTICS = 8  # RTEXT_FILTER_SKIP_STATS: three quarters of a link's message


class Space(NamedTuple):
    """A namespace that is being read: its name, a descriptor, and a pyroute2 socket in it."""

    netns: str
    fd: int
    route: Any


def inspect(kind: str, netnses: Sequence[str], sysctls: Mapping[str, Sequence[str]] | None = None) -> list[Row]:
    """The rows of one kind (a key of ``KINDS``, ``links`` or ``sysctls``) in these namespaces, in their order.

    ``sysctls``: for ``sysctls`` alone, the wanted names by namespace; ``*`` and ``?`` match as in a shell.
    Namespaces that went away meanwhile are left out.
    """
    return ns.aside(lambda: _rows(kind, netnses, sysctls or {}))


def _rows(kind: str, netnses: Sequence[str], sysctls: Mapping[str, Sequence[str]]) -> list[Row]:
    with contextlib.ExitStack() as stack:
        spaces = [space for netns in netnses if (space := _open(netns, stack))]
        if kind == "links":
            return _links(spaces)
        if kind == "sysctls":
            private = stack.enter_context(contextlib.closing(Sysctls()))
            return [row for space in spaces for row in _sysctls(space, private, sysctls.get(space.netns, ()))]
        return [{"netns": space.netns, **row} for space in spaces for row in KINDS[kind](space)]


def _open(netns: str, stack: contextlib.ExitStack) -> Space | None:
    from pyroute2 import IPRoute  # 0.2 s, paid by this verb alone

    try:
        fd = ns.open_named(netns)
    except OSError:
        return None
    stack.callback(os.close, fd)
    with ns.inside(fd):
        return Space(netns, fd, stack.enter_context(IPRoute()))


# -- links ------------------------------------------------------------------------------------------------------------


def _decoded(space: Space) -> dict[int, Link]:
    return {message["index"]: link(message) for message in space.route.get_links(ext_mask=_SKIP_STATISTICS)}


def _names(space: Space) -> Names:
    return {
        message["index"]: message.get("IFLA_IFNAME") for message in space.route.get_links(ext_mask=_SKIP_STATISTICS)
    }


def _links(spaces: Sequence[Space]) -> list[Row]:
    by_netns = {space.netns: _decoded(space) for space in spaces}
    by_indexes: dict[tuple[int, int], list[tuple[str, Link]]] = {}
    for netns, links in by_netns.items():
        for index, each in links.items():
            by_indexes.setdefault((index, each.link), []).append((netns, each))
    rows: list[Row] = []
    for netns, links in by_netns.items():
        for each in links.values():
            if each.row["name"] in FALLBACKS and "UP" not in each.row["flags"]:
                continue  # a module put it into every namespace
            row = {"netns": netns, **each.row}
            row["master"] = links[each.master].row["name"] if each.master in links else ""
            row["peer"] = _peer(netns, each, by_indexes) if each.row["type"] == "veth" else ""
            if not row["peer"] and each.link in links:
                row["lower"] = links[each.link].row["name"]
            if each.device in links:
                row["details"]["dev"] = links[each.device].row["name"]
            rows.append(row)
    return rows


def _peer(netns: str, end: Link, by_indexes: Mapping[tuple[int, int], list[tuple[str, Link]]]) -> str:
    """The other end as ``netns/name``: the two ends name each other's index; ``?`` where it is in another lab."""
    ends = [
        f"{where}/{other.row['name']}"
        for where, other in by_indexes.get((end.link, end.row["index"]), ())
        if other.row["type"] == "veth" and (where != netns) == end.foreign and other is not end
    ]
    return ends[0] if len(ends) == 1 else "?"


# -- addresses and routes ---------------------------------------------------------------------------------------------


def _addresses(space: Space) -> Iterable[Row]:
    names = _names(space)
    for message in space.route.get_addr():
        family, length = message["family"], message["prefixlen"]
        if family not in (socket.AF_INET, socket.AF_INET6):
            continue
        flags = message.get("IFA_FLAGS") or message["flags"]
        far = message.get("IFA_ADDRESS")
        local = message.get("IFA_LOCAL") or far
        words = _words(_IFA_FLAGS, flags)
        if flags & _IFA_SECONDARY:
            words.insert(0, "secondary" if family == socket.AF_INET else "temporary")
        if not flags & _IFA_PERMANENT:
            words.append("dynamic")
        yield {
            "dev": names.get(message["index"], str(message["index"])),
            "address": f"{local}/{length}",
            "family": _family(family),
            "scope": _SCOPES.get(message["scope"], str(message["scope"])),
            "peer": f"{far}/{length}" if far != local else "",
            "broadcast": message.get("IFA_BROADCAST") or "",
            "flags": words,
        }


def _routes(space: Space) -> Iterable[Row]:
    names = _names(space)
    for family in (socket.AF_INET, socket.AF_INET6):
        for message in space.route.get_routes(family=family):
            yield _route(message, names)


def _route(message: Any, names: Names) -> Row:
    family, length = message["family"], message["dst_len"]
    whole, nothing = (32, "0.0.0.0") if family == socket.AF_INET else (128, "::")
    dst = message.get("RTA_DST")
    table = message.get("RTA_TABLE") or message["table"]
    row: Row = {
        "dst": (dst or nothing) + ("" if length == whole else f"/{length}") if dst or length else "default",
        "type": _TYPES.get(message["type"], str(message["type"])),
        **_hop(message, names, message.get("RTA_OIF") or 0),
        "src": message.get("RTA_PREFSRC") or "",
        "scope": _SCOPES.get(message["scope"], str(message["scope"])),
        "protocol": _PROTOCOLS.get(message["proto"], str(message["proto"])),
        "metric": message.get("RTA_PRIORITY") or 0,
        "table": _TABLES.get(table, str(table)),
        "flags": _words(_RTNH, message["flags"]),
        "family": _family(family),
    }
    metrics = message.get("RTA_METRICS")
    if metrics and metrics.get("RTAX_MTU") is not None:
        row["mtu"] = metrics.get("RTAX_MTU")
    if hops := message.get("RTA_MULTIPATH"):
        row["nexthops"] = [
            _hop(hop, names, hop["oif"]) | {"weight": hop["hops"] + 1, "flags": _words(_RTNH, hop["flags"])}
            for hop in hops
        ]
    return row


def _hop(message: Any, names: Names, index: int) -> Row:
    via = message.get("RTA_VIA")  # a gateway of the other family
    gateway = via["addr"] if via else message.get("RTA_GATEWAY")
    return {"via": gateway or "", "dev": names.get(index, str(index) if index else "")}


# -- neighbours and forwarding entries --------------------------------------------------------------------------------


def _neighbours(space: Space) -> Iterable[Row]:
    names = _names(space)
    for message in space.route.get_neighbours():
        state, address = message["state"], message.get("NDA_DST")
        if state & _NOARP or address is None:
            continue
        yield {
            "address": address,
            "dev": names.get(message["ifindex"], str(message["ifindex"])),
            "mac": message.get("NDA_LLADDR") or "",
            "state": "|".join(_words(_NUD, state)) or "NONE",
            "flags": _words(_NTF, message["flags"]),
        }


def _fdb(space: Space) -> Iterable[Row]:
    names = _names(space)
    for message in space.route.fdb("dump"):
        yield {
            "mac": message.get("NDA_LLADDR") or "",
            "dev": names.get(message["ifindex"], str(message["ifindex"])),
            "dst": message.get("NDA_DST") or "",
            "vlan": message.get("NDA_VLAN") or 0,
            "vni": message.get("NDA_VNI") or 0,
            "master": names.get(message.get("NDA_MASTER") or 0, ""),
            "state": _fdb_state(message["state"]),
            "flags": _words(_NTF, message["flags"]),
        }


def _fdb_state(state: int) -> str:
    """bridge(8)'s words: an entry of the bridge's own is permanent, an administrator's static, others learned."""
    if state & _PERMANENT:
        return "permanent"
    if state & _NOARP:
        return "static"
    return "stale" if state & 4 else "learned"


# -- sysctls ----------------------------------------------------------------------------------------------------------


def _sysctls(space: Space, private: Sysctls, wanted: Iterable[str]) -> list[Row]:
    values: dict[str, str] = {}
    with ns.inside(space.fd):
        private.enter()
        for pattern in wanted:
            for name in _expanded(pattern) if set(pattern) & set("*?[") else [pattern]:
                with contextlib.suppress(OSError, UnicodeDecodeError):  # some can only be written
                    value = private.read(name)
                    if value is not None:
                        values[name] = value
    return [{"netns": space.netns, "name": name, "value": value} for name, value in values.items()]


_SWAP = str.maketrans("./", "/.")


def _expanded(pattern: str) -> list[str]:
    """The names of the calling thread's namespace that a pattern matches; a '/' stands for a dot in a link's name."""
    names = []
    for folder, _, files in os.walk("/proc/sys/net"):
        base = folder.removeprefix("/proc/sys/").translate(_SWAP)
        names += [f"{base}.{name}" for name in files]
    return sorted(fnmatch.filter(names, pattern))


# -- nftables ---------------------------------------------------------------------------------------------------------


def _nft(space: Space) -> list[Row]:
    with ns.inside(space.fd):
        try:
            if not nft.tables():
                return []
        except OSError:  # a kernel without nf_tables has no tables
            return []
        return _nft_rows(json.loads(libnft.run("list ruleset", libnft.JSON))["nftables"])


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


def _family(number: int) -> str:
    return "IPv4" if number == socket.AF_INET else "IPv6"


def _words(words: Mapping[int, str], bits: int) -> list[str]:
    return [word for bit, word in words.items() if bits & bit]


KINDS: dict[str, Callable[[Space], Iterable[Row]]] = {
    "addresses": _addresses,
    "routes": _routes,
    "neighbours": _neighbours,
    "fdb": _fdb,
    "nft": _nft,
}
