"""A look at a few objects of a namespace, each by its name: the cost does not grow with the Pods of a node."""

from __future__ import annotations

from collections.abc import Sequence

from netlab.kernel.host.procfs import Sysctls
from netlab.kernel.nftables import drift as nft
from netlab.kernel.rtnetlink.codec import Handle, NamespaceDump
from netlab.kernel.rtnetlink.codecs import ADDRESSES
from netlab.kernel.rtnetlink.link import named
from netlab.objects import Addr, Floor, Obj, Sysctl
from netlab.tuples import NamedTuple


class Sight(NamedTuple):
    """``links``: of those that are there, whether packets pass; ``addressed``: devices that have any address."""

    sysctls: dict[str, str]
    links: dict[str, bool]
    addressed: frozenset[str]
    tables: frozenset[tuple[str, str]]


def look(handle: Handle, sysctls: Sysctls, wanted: Sequence[Obj]) -> Sight:
    """What there is of the wanted objects.  The calling thread is in the namespace."""
    sysctls.enter()
    values = {obj.path: sysctls.read(obj.path) for obj in wanted if isinstance(obj, Sysctl)}
    here = NamespaceDump(handle.netns, {}, {})
    links = {}
    for obj in wanted:
        if obj.floor is Floor.LINK and (link := named(handle.socket, obj.name)):
            here.names[link.number] = obj.name
            # Without a carrier no packet passes; a bridge has none as long as it has no ports.
            links[obj.name] = link.up and (link.works or link.kind == "bridge")
    addressed = set()
    if any(isinstance(obj, Addr) for obj in wanted):
        for _, payload in handle.socket.dump(ADDRESSES.DUMP, ADDRESSES.SELECT):
            if address := ADDRESSES.decode(payload, here):
                addressed.add(address.dev)
    there = {path: value for path, value in values.items() if value is not None}
    return Sight(there, links, frozenset(addressed), _tables())


def _tables() -> frozenset[tuple[str, str]]:
    try:
        return frozenset(nft.tables())
    except OSError:  # a kernel without nf_tables
        return frozenset()
