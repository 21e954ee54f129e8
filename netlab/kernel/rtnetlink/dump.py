"""Everything of one namespace that a State can hold, but sysctls, offloads, tables and listeners.

Pairing the two ends of a veth needs the dumps of all namespaces of a lab, so it comes after (``kernel.read``).
"""

from __future__ import annotations

import time

from netlab.kernel.rtnetlink.codec import NamespaceDump
from netlab.kernel.rtnetlink.codecs import ADDRESSES, FDB, NEIGHBOURS, QDISCS, ROUTES, RULES
from netlab.kernel.rtnetlink.link import links
from netlab.kernel.rtnetlink.socket import NetlinkSocket

_PAUSE, _PAUSES = 0.01, 500  # seconds: how long a new address is waited for


def dump(sock: NetlinkSocket, netns: str) -> NamespaceDump:
    """The contents of the socket's namespace, once the kernel has done its part for new IPv6 addresses."""
    for _ in range(_PAUSES):
        here = _dump(sock, netns)
        if not here.unsettled:
            break
        time.sleep(_PAUSE)
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
