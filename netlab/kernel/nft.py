"""nftables tables of a namespace, read by netlink: enough to tell who has been there."""

from __future__ import annotations

import struct

from netlab.kernel.netlink import NETLINK_NETFILTER, NetlinkSocket, attr_dict, text

_SUBSYS_NFTABLES = 10
_GETTABLE = 1
_TABLE_NAME = 1
_FAMILIES = {1: "inet", 2: "ip", 3: "arp", 5: "netdev", 7: "bridge", 10: "ip6"}


def tables(sock: NetlinkSocket | None = None) -> list[tuple[str, str]]:
    """The tables, as (family, name), of the namespace that the calling thread is in.

    Raises OSError(EOPNOTSUPP or EINVAL) where the kernel has no nf_tables.
    """
    own = sock is None
    sock = sock or NetlinkSocket(NETLINK_NETFILTER)
    try:
        found = []
        for _, payload in sock.dump(_SUBSYS_NFTABLES << 8 | _GETTABLE, struct.pack("=BBH", 0, 0, 0)):
            family = _FAMILIES.get(payload[0], str(payload[0]))
            found.append((family, text(attr_dict(payload, 4)[_TABLE_NAME])))
        return found
    finally:
        if own:
            sock.close()
