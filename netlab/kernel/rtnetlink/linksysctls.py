"""Sysctls of single links that netlab never sets and somebody did.

A link's message carries all of them, in both families (IFLA_INET_CONF, IFLA_INET6_CONF), so reading them costs no
request.  Numbers are those of linux/ip.h and ipv6.h.

``conf/all`` is in no message: ``kernel.host.hardening`` reads some of it.
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import lru_cache
from operator import itemgetter

from netlab.kernel.rtnetlink.codec import NamespaceDump
from netlab.objects import Floor, Obj, Sysctl
from netlab.objects.links import ends

# Those that decide a packet's way: (number in the kernel's array, counted from 0; name below conf/<link>/).
_V4 = {0: "forwarding", 2: "proxy_arp", 3: "accept_redirects", 5: "send_redirects", 7: "rp_filter", 12: "arp_filter"}
_V4 |= {17: "arp_announce", 18: "arp_ignore", 22: "accept_local", 23: "src_valid_mark"}
_V4 |= {24: "proxy_arp_pvlan", 25: "route_localnet", 28: "ignore_routes_with_linkdown"}
_V6 = {0: "forwarding", 1: "hop_limit", 3: "accept_ra", 22: "proxy_ndp", 26: "disable_ipv6"}
_V6_MTU = 2
_DISABLE_IPV6 = list(_V6.values()).index("disable_ipv6")
_Values = tuple[int, ...]
_SPECS: tuple[tuple[str, dict[int, str], struct.Struct], ...] = (
    ("net.ipv4", _V4, struct.Struct("=29i")),
    ("net.ipv6", _V6, struct.Struct("=27i")),
)


def conf(raw: memoryview | None, family: int) -> _Values:
    """The values of one family (0: IPv4, 1: IPv6) out of a link's message; nothing where it has none."""
    return _picked(bytes(raw), family) if raw is not None else ()


def disabled(values: _Values) -> bool:
    """Whether IPv6 is off on the link."""
    return bool(values[_DISABLE_IPV6])


@lru_cache(4096)
def _picked(raw: bytes, family: int) -> _Values:
    form = _SPECS[family][2]
    if len(raw) < form.size:  # a kernel of before 2016
        return ()
    values = form.unpack_from(raw)
    picked = _PICK[family](values)
    return (*picked, values[_V6_MTU]) if family else picked


_PICK: tuple[Callable[[_Values], _Values], ...] = (itemgetter(*_V4), itemgetter(*_V6))


def sysctls(
    dumps: Mapping[str, NamespaceDump], like: Mapping[str, Collection[Obj]], lab: Iterable[Obj]
) -> list[Sysctl]:
    """Sysctls of single links with another value than the lab sets, or than a new link of this host has.

    The value of a new link is the one that lo has in most of the lab's namespaces: the host gave it to new namespaces
    before the lab wrote any. ``like`` are the wanted objects by namespace; ``lab`` are all of the lab.
    """
    own_ends: set[tuple[str, str]] | None = None
    wishes = {netns: _wishes(there) for netns, there in like.items()}
    deviating: list[Sysctl] = []
    for family, (base, names, _) in enumerate(_SPECS):
        usual = _usual(dumps, wishes, family)
        if not usual:
            continue
        for netns, dump in dumps.items():
            wish = wishes.get(netns, {})
            here, default = usual, usual
            if wish:
                forwards = wish.get(f"{base}.conf.all.forwarding")
                here = (int(forwards), *usual[1:]) if forwards else usual
                lo = dump.links[1].conf[family]
                if lo and lo[0] != here[0]:  # all of them at once, which is told as what it is
                    here = (lo[0], *usual[1:])
                default = tuple(
                    int(wish.get(f"{base}.conf.default.{name}", value))
                    for name, value in zip(names.values(), here, strict=True)
                )
            for index, link in dump.links.items():
                have = link.conf[family]
                should = here if index == 1 else default
                if have == ((*should, link.mtu) if family else should) or not have:
                    continue
                if own_ends is None:
                    own_ends = {end for obj in lab if obj.floor is Floor.LINK for end in ends(obj)}
                if index != 1 and (netns, link.name) not in own_ends:
                    continue
                name = link.name.replace(".", "/")
                pairs = list(zip(names.values(), have, should, strict=False))
                pairs += [("mtu", have[-1], link.mtu)] if family else []
                for word, value, wanted in pairs:
                    path = f"{base}.conf.{name}.{word}"
                    if value != wanted and path not in wish and f"{base}.conf.{link.name}.{word}" not in wish:
                        deviating.append(Sysctl(netns, path, str(value), link.name, str(wanted)))
    return deviating


def _wishes(objects: Iterable[Obj]) -> dict[str, str]:
    wishes = {}
    for sysctl in objects:
        if isinstance(sysctl, Sysctl):
            if sysctl.path == "net.ipv4.ip_forward":
                wishes["net.ipv4.conf.all.forwarding"] = sysctl.value
            elif ".conf." in sysctl.path:
                wishes[sysctl.path] = sysctl.value
    return wishes


def _usual(dumps: Mapping[str, NamespaceDump], wishes: Mapping[str, Mapping[str, str]], family: int) -> _Values:
    """Value by value, what most of the lo have; of forwarding, most of those where the lab says nothing of it."""
    base, names, _ = _SPECS[family]
    everybody: Counter[_Values] = Counter()
    ends: Counter[_Values] = Counter()
    for netns, dump in dumps.items():
        lo = dump.links.get(1)
        if lo is not None and lo.conf[family]:
            everybody[lo.conf[family]] += 1
            if netns not in wishes or f"{base}.conf.all.forwarding" not in wishes[netns]:
                ends[lo.conf[family]] += 1
    values_of_most = []
    for position, name in enumerate(names.values()):
        votes: Counter[int] = Counter()
        for values, count in (ends if name == "forwarding" and ends else everybody).items():
            votes[values[position]] += count
        values_of_most += [value for value, _ in votes.most_common(1)]
    return tuple(values_of_most)
