"""What the kernel learned of a path from ICMP messages, and keeps for some minutes."""

from __future__ import annotations

import contextlib
import os
import struct

from netlab.kernel.rtnetlink.route import GETROUTE, RTA_DST, RTA_METRICS, RTMSG
from netlab.kernel.rtnetlink.socket import NetlinkSocket, attr, attr_dict
from netlab.kernel.rtnetlink.values import family, packed, u32
from netlab.tuples import NamedTuple

_MTU, _CACHEINFO = 2, 12  # RTAX_MTU, RTA_CACHEINFO


class PathMtu(NamedTuple):
    """``mtu`` in bytes, 0 where nothing is learned; ``expires`` in seconds."""

    mtu: int = 0
    expires: int = 0


def path_mtu(address: str) -> PathMtu:
    """The path MTU to an address that the kernel of the calling thread's namespace learned."""
    target = packed(address)
    body = RTMSG.pack(family(address), len(target) * 8, 0, 0, 0, 0, 0, 0, 0)
    with contextlib.closing(NetlinkSocket(plain=True)) as sock:
        try:
            reply = sock.ask(GETROUTE, body + attr(RTA_DST, target))
        except OSError:  # no route
            reply = None
    if reply is None:
        return PathMtu()
    at = attr_dict(reply[1], 12)
    metrics = attr_dict(at[RTA_METRICS]) if RTA_METRICS in at else {}
    if _MTU not in metrics or _CACHEINFO not in at:
        return PathMtu()
    (ticks,) = struct.unpack_from("=i", at[_CACHEINFO], 8)
    if ticks <= 0:  # a route's own MTU, which nobody learned
        return PathMtu()
    return PathMtu(u32(metrics[_MTU]), ticks // os.sysconf("SC_CLK_TCK"))
