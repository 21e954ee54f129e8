"""What the kernel learned of a path from ICMP messages, and keeps for some minutes."""

from __future__ import annotations

import contextlib
import os
import struct
from typing import NamedTuple

from netlab.kernel.rtnetlink import requests as rtnl
from netlab.kernel.rtnetlink.socket import NetlinkSocket, attr, attr_dict

_METRICS, _MTU, _CACHEINFO = 8, 2, 12  # RTA_METRICS, RTAX_MTU, RTA_CACHEINFO


class PathMtu(NamedTuple):
    """``mtu`` in bytes, 0 where nothing is learned; ``expires`` in seconds."""

    mtu: int = 0
    expires: int = 0


def path_mtu(address: str) -> PathMtu:
    """The path MTU to an address that the kernel of the calling thread's namespace learned."""
    target = rtnl.packed(address)
    body = struct.pack("=BBBBBBBBI", rtnl.family(address), len(target) * 8, 0, 0, 0, 0, 0, 0, 0)
    with contextlib.closing(NetlinkSocket(plain=True)) as sock:
        try:
            answer = sock.ask(rtnl.GETROUTE, body + attr(rtnl.RTA_DST, target))
        except OSError:  # no route
            answer = None
    if answer is None:
        return PathMtu()
    at = attr_dict(answer[1], 12)
    metrics = attr_dict(at[_METRICS], 0) if _METRICS in at else {}
    if _MTU not in metrics or _CACHEINFO not in at:
        return PathMtu()
    (ticks,) = struct.unpack_from("=i", at[_CACHEINFO], 8)
    if ticks <= 0:  # a route's own MTU, which nobody learned
        return PathMtu()
    return PathMtu(struct.unpack("=I", metrics[_MTU])[0], ticks // os.sysconf("SC_CLK_TCK"))
