"""IPsec policies that somebody added.  Numbers are those of linux/xfrm.h.

Limits: reading them costs a socket, so Pods are not asked for theirs (4 % of reading a lab of 1,000).
"""

from __future__ import annotations

import errno
import socket
import struct

from netlab.kernel.rtnetlink.socket import NetlinkSocket
from netlab.kernel.rtnetlink.values import address_text
from netlab.objects import XfrmPolicy

_NETLINK_XFRM = 6
_DELPOLICY, _GETPOLICY, _GETSPDINFO = 0x14, 0x15, 0x25
_DIRECTIONS = ("in", "out", "fwd")
_SELECTOR, _INDEX, _DIR, _ACTION = 56, 156, 160, 161


def present() -> bool:
    """Whether this kernel has IPsec's socket by now: opening one would load the module."""
    try:
        with open("/proc/thread-self/net/netlink", encoding="ascii") as stream:
            return any(line.split()[1:3] == ["6", "0"] for line in stream)
    except (OSError, IndexError):
        return False


def policies(netns: str) -> list[XfrmPolicy]:
    """The IPsec policies of the namespace that the calling thread is in."""
    with NetlinkSocket(_NETLINK_XFRM) as sock:
        try:
            reply = sock.ask(_GETSPDINFO, b"\0\0\0\0")
        except OSError as error:
            if error.errno == errno.EOPNOTSUPP:  # a 32-bit process on a 64-bit kernel may not ask
                return []
            raise
        if reply is None or not any(struct.unpack_from("=III", reply[1], 8)):  # flags, XFRMA_SPD_INFO: in, out, fwd
            return []
        return [_policy(netns, payload) for _, payload in sock.dump(_GETPOLICY, bytes(64)) if payload[_DIR] < 3]


def _policy(netns: str, payload: memoryview) -> XfrmPolicy:
    family, dst_len, src_len = struct.unpack_from("=HBB", payload, 40)
    family = family or socket.AF_INET
    size = 4 if family == socket.AF_INET else 16
    dst, src = (address_text(payload[at : at + size]) for at in (0, 16))
    (index,) = struct.unpack_from("=I", payload, _INDEX)
    words = f"src {src}/{src_len} dst {dst}/{dst_len} action {'block' if payload[_ACTION] else 'allow'}"
    raw = bytes(payload[:_SELECTOR]) + struct.pack("=IBxxx", index, payload[_DIR])
    return XfrmPolicy(netns, _DIRECTIONS[payload[_DIR]], index, words, raw)


def remove_policy(policy: XfrmPolicy) -> None:
    """Take a policy away, in the namespace that the calling thread is in.  A missing policy is no error."""
    with NetlinkSocket(_NETLINK_XFRM) as sock:
        sock.batch([(_DELPOLICY, 0, policy.raw)])
