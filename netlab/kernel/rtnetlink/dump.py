"""Everything of one namespace that a State can hold, but sysctls, offloads, tables and listeners.

Pairing the two ends of a veth needs the dumps of all namespaces of a lab, so it comes after (``kernel.read``).
"""

from __future__ import annotations

from netlab.kernel.rtnetlink.codec import NamespaceDump
from netlab.kernel.rtnetlink.codecs import ADDRESSES, FDB, NEIGHBOURS, QDISCS, ROUTES, RULES
from netlab.kernel.rtnetlink.link import links
from netlab.kernel.rtnetlink.socket import NetlinkSocket

# Devices that some modules put into every new namespace: never anybody's work.
FALLBACKS = frozenset(
    ("lo", "tunl0", "gre0", "gretap0", "erspan0", "sit0", "ip6tnl0", "ip6gre0", "ip_vti0", "ip6_vti0", "teql0")
)


def dump(sock: NetlinkSocket, netns: str) -> NamespaceDump:
    """The contents of the socket's namespace."""
    found = links(sock)
    here = NamespaceDump(netns, found, {index: link.name for index, link in found.items()})
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
