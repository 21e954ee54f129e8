"""The owner of a namespace: the mark on its lo, read by one request."""

from __future__ import annotations

import os
import struct

from netlab.kernel.host import netns as ns
from netlab.kernel.rtnetlink.socket import NetlinkSocket, attr_dict, attr_u32, text
from netlab.names import Owner

_GETLINK, _IFLA_IFALIAS, _IFLA_EXT_MASK, _SKIP_STATS = 18, 20, 29, 8
_LO = struct.pack("=BxHiII", 0, 0, 1, 0, 0) + attr_u32(_IFLA_EXT_MASK, _SKIP_STATS)


def owners(prefix: str = "") -> dict[str, Owner | None]:
    """The names in /run/netns that begin with ``prefix``, and whose they are; None for a stranger's and for a name that
    no namespace is behind.
    """
    return ns.aside(lambda: {name: _owner(name) for name in ns.names() if name.startswith(prefix)})


def _owner(name: str) -> Owner | None:
    try:
        fd = ns.open_named(name)
    except OSError:
        return None
    try:
        with ns.inside(fd), NetlinkSocket() as sock:
            return owner_behind(sock)
    finally:
        os.close(fd)


def owner_behind(sock: NetlinkSocket) -> Owner | None:
    """The owner of a socket's namespace."""
    reply = sock.ask(_GETLINK, _LO)
    alias = attr_dict(reply[1], 16).get(_IFLA_IFALIAS) if reply else None
    return Owner.of(text(alias)) if alias is not None else None
