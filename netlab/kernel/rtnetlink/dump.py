"""Everything of one namespace that a State can hold, but sysctls, offloads, tables and listeners.

Pairing the two ends of a veth needs the dumps of all namespaces of a lab, so it comes after (``kernel.read``).
"""

from __future__ import annotations

import time

from netlab.kernel.rtnetlink.codec import Handle, NamespaceDump
from netlab.kernel.rtnetlink.codecs import ADDRESSES, FDB, NEIGHBOURS, QDISCS, ROUTES, RULES
from netlab.kernel.rtnetlink.link import links
from netlab.kernel.rtnetlink.socket import NetlinkSocket

_PAUSES = (0.01,) * 10 + (0.1,) * 49  # seconds: 5 in all for a new address


def dump(handle: Handle) -> NamespaceDump:
    """The contents of a namespace, once the kernel has done its part for new IPv6 addresses.

    An address that was waited for in vain is not waited for again: somebody has deleted its route.
    """
    for pause in _PAUSES:
        here = _dump(handle.socket, handle.netns)
        if here.unsettled <= handle.routeless:
            return here
        time.sleep(pause)
    handle.routeless |= here.unsettled
    return here


def _dump(sock: NetlinkSocket, netns: str) -> NamespaceDump:
    raw_links = links(sock)
    here = NamespaceDump(netns, raw_links, {index: link.name for index, link in raw_links.items()})
    rules = RULES.read(sock, here)  # first: they lead to tables of routes, which tell whether addresses are whole
    routes = ROUTES.read(sock, here)
    here.objects += ADDRESSES.read(sock, here)
    here.objects += routes
    here.objects += ROUTES.foreign(here)
    qdiscs = QDISCS.read(sock, here)
    here.objects += NEIGHBOURS.read(sock, here)
    here.objects += FDB.read(sock, here)
    here.objects += rules
    here.objects += qdiscs
    return here
