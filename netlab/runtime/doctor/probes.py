"""The table of what is tried, in the order in which it is shown.

Each attempt runs in a network namespace that ends with the child process; it returns a detail for the reader, or raises
what the kernel answered.  An attempt of the kernel's features is made only where it loads no module.
"""

from __future__ import annotations

import errno
import os
import re
import socket
import struct
import sys
from collections.abc import Callable
from functools import cache

from netlab.kernel.ebpf.drops import DropSource
from netlab.kernel.host import sockdiag
from netlab.kernel.host.features import VLAN_FILTERING, requests
from netlab.kernel.host.procfs import Sysctls
from netlab.kernel.nftables import libnft
from netlab.kernel.rtnetlink.codec import Request
from netlab.kernel.rtnetlink.socket import NETLINK_NETFILTER, NetlinkSocket, attr_dict, text
from netlab.planes import ROWS
from netlab.runtime.agent import linux
from netlab.runtime.host.requirements import SBIN, has_library
from netlab.runtime.state.sudo import maps_all_users
from netlab.tuples import NamedTuple

LINKS, RULES, SOCKETS, KERNEL = "links", "rules", "sockets and packets", "kernel"
NFT, OVERLAY = "nft", "overlay mounts"
BR_NETFILTER = "/proc/sys/net/bridge/bridge-nf-call-iptables"
_SCTP = 132
_GET_NEIGHTBL, _NDTA_NAME, _NDTA_THRESH3 = 66, 1, 4
_GET_CONNTRACK = 1 << 8 | 1


class Probe(NamedTuple):
    """``modules``: those that the attempt makes the kernel load; ``words``: a lab whose rules have them needs this."""

    group: str
    name: str
    attempt: Callable[[], str]
    modules: tuple[str, ...] = ()
    words: str = ""


def _made(feature: str) -> Callable[[], str]:
    """The attempt to make a link or a qdisc."""

    def attempt() -> str:
        with NetlinkSocket() as sock:
            for refusal in sock.batch(_made_all()[feature]):
                raise OSError(refusal.errno, refusal.message or os.strerror(refusal.errno))
        return ""

    return attempt


@cache
def _made_all() -> dict[str, list[Request]]:
    return requests(_LINKS, _QDISCS)


def _nft(statements: str, table: str = "inet") -> Callable[[], str]:
    """The attempt to commit a table with these chains and sets."""

    def attempt() -> str:
        libnft.run(f"add table {table} doctor\ntable {table} doctor {{ {statements}\n}}\ndelete table {table} doctor\n")
        return ""

    return attempt


def _chain(rule: str, kind: str = "filter", hook: str = "forward", table: str = "inet") -> Callable[[], str]:
    return _nft(f"chain c {{ type {kind} hook {hook} priority 0; {rule}; }};", table)


def _nft_version() -> str:
    from subprocess import run

    paths = {"PATH": os.environ.get("PATH", "") + SBIN}
    done = run(["nft", "-v"], capture_output=True, text=True, check=True, env=os.environ | paths)
    version = re.search(r"\d[\w.]*", done.stdout)
    return f"version {version[0]}" if version else ""


def _libnftables() -> str:
    if not has_library("libnftables.so.1"):
        raise OSError(errno.ENOENT, "libnftables.so.1 is missing: netlab runs nft for each change, which is slower")
    return ""


def _bridge_netfilter() -> str:
    if not os.path.exists(BR_NETFILTER):
        raise OSError(errno.ENOENT, "no rule sees packets between Pods of one bridge")
    return ""


def _sysctl() -> str:
    sysctls = Sysctls()
    sysctls.enter()
    sysctls.write("net.ipv4.ip_forward", "1")
    if sysctls.read("net.ipv4.ip_forward") != "1":
        raise OSError(errno.EIO, "net.ipv4.ip_forward does not keep its value")
    return ""


def _ipv6() -> str:
    socket.socket(socket.AF_INET6, socket.SOCK_DGRAM).close()
    sysctls = Sysctls()
    sysctls.enter()
    sysctls.write("net.ipv6.conf.all.disable_ipv6", "0")
    return ""


def _socket(family: int, kind: int, protocol: int) -> Callable[[], str]:
    def attempt() -> str:
        socket.socket(family, kind, protocol).close()
        return ""

    return attempt


def _socket_listing() -> str:
    for protocol in ("TCP", "UDP"):
        sockdiag.listening(protocol)
    return ""


def _conntrack_listing() -> str:
    with NetlinkSocket(NETLINK_NETFILTER, plain=True) as sock:
        sock.dump(_GET_CONNTRACK, struct.pack("=BBH", socket.AF_INET, 0, 0))
    return ""


def _overlay() -> str:
    """A layer over a folder of the host, as a Pod has it; in a mount namespace that ends with this process."""
    linux.unshare(linux.CLONE_NEWNS)
    linux.mount("none", "/", flags=linux.MS_REC | linux.MS_PRIVATE)
    linux.mount("netlab", "/tmp", "tmpfs", linux.MS_NOSUID | linux.MS_NODEV)
    for name in ("upper", "work", "root"):
        os.mkdir(f"/tmp/{name}")
    options = "lowerdir=/usr,upperdir=/tmp/upper,workdir=/tmp/work" + ("" if maps_all_users() else ",userxattr")
    try:
        linux.mount("netlab", "/tmp/root", "overlay", linux.MS_NOSUID | linux.MS_NODEV, options)
    finally:
        linux.umount("/tmp")
    return ""


def _drops() -> str:
    source = DropSource({})
    source.close()
    return ""


def _neighbours() -> str:
    """The limit of the neighbour table, which is one for the whole machine; netlink shows it in any namespace."""
    with NetlinkSocket(plain=True) as sock:
        for _, part in sock.dump(_GET_NEIGHTBL, struct.pack("=BBH", socket.AF_INET, 0, 0)):
            attributes = attr_dict(part, 4)
            if text(attributes[_NDTA_NAME]) == "arp_cache" and _NDTA_THRESH3 in attributes:
                return str(int.from_bytes(attributes[_NDTA_THRESH3][:4], sys.byteorder))
    raise OSError(errno.ENOENT, "the kernel does not name the limit")


_SETS = "set s { type ipv4_addr; flags interval; }; map m { type ipv4_addr . inet_proto . inet_service : verdict; }"
_SETS_RULE = "ip saddr @s ip daddr . meta l4proto . th dport vmap @m"
_MODULES = {"ipip": ("ipip",), VLAN_FILTERING: ("bridge",), "netem": ("sch_netem",), "tbf": ("sch_tbf",)}
#: The kinds of links of all data planes, and those that a lab may have beside them.
_LINKS = tuple(dict.fromkeys((*(kind for row in ROWS.values() for kind in row.needs), "vrf", VLAN_FILTERING)))
_QDISCS = ("tbf", "netem")

PROBES = (
    Probe(KERNEL, "sysctls", _sysctl),
    Probe(KERNEL, "IPv6", _ipv6, ("ipv6",)),
    Probe(KERNEL, OVERLAY, _overlay, ("overlay",)),
    *(Probe(LINKS, name, _made(name), _MODULES.get(name, (name,))) for name in (*_LINKS, *_QDISCS)),
    Probe(RULES, NFT, _nft_version, ("nfnetlink",)),  # nft opens its socket for -v, too
    Probe(RULES, "libnftables", _libnftables),
    Probe(
        RULES,
        "rules and sets",
        _nft(f"{_SETS}; chain c {{ type filter hook forward priority 0; {_SETS_RULE}; }};"),
        ("nfnetlink", "nf_tables"),
    ),
    Probe(RULES, "connection tracking", _chain("ct state new accept"), ("nf_conntrack", "nft_ct"), r"\bct "),
    Probe(
        RULES,
        "NAT",
        _chain("dnat to 192.0.2.1", "nat", "prerouting", "ip"),
        ("nft_chain_nat", "nft_nat"),
        r"\b[ds]nat\b",
    ),
    Probe(
        RULES,
        "masquerading",
        _chain("masquerade", "nat", "postrouting", "ip"),
        ("nft_chain_nat", "nft_masq"),
        r"\bmasquerade\b",
    ),
    Probe(RULES, "random choice", _chain("numgen random mod 2 == 1 accept"), ("nft_numgen",), r"\bnumgen\b"),
    Probe(
        RULES, "reject", _chain("reject with icmpx admin-prohibited"), ("nft_reject", "nft_reject_inet"), r"\breject\b"
    ),
    Probe(
        RULES, "fib", _chain("fib daddr oif missing accept", hook="prerouting"), ("nft_fib", "nft_fib_inet"), r"\bfib\b"
    ),
    Probe(RULES, "br_netfilter", _bridge_netfilter),
    Probe(SOCKETS, "packet sockets", _socket(socket.AF_PACKET, socket.SOCK_RAW, 0), ("af_packet",)),
    Probe(SOCKETS, "listing of sockets", _socket_listing, ("inet_diag", "tcp_diag", "udp_diag")),
    Probe(SOCKETS, "listing of connections", _conntrack_listing, ("nfnetlink", "nf_conntrack", "nf_conntrack_netlink")),
    Probe(SOCKETS, "SCTP", _socket(socket.AF_INET, socket.SOCK_STREAM, _SCTP), ("sctp",)),
    Probe(SOCKETS, "drop events", _drops),
    Probe(KERNEL, "neighbour table", _neighbours),
)
