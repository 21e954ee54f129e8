"""A look at a few objects of a namespace, each by its name: the cost does not grow with the Pods of a node."""

from __future__ import annotations

import socket
from collections.abc import Iterable, Iterator, Sequence

from netlab.kernel.host.procfs import Sysctls
from netlab.kernel.rtnetlink.codec import Handle, NamespaceDump
from netlab.kernel.rtnetlink.codecs import ADDRESSES, FDB, NEIGHBOURS, PORTS, ROUTES
from netlab.kernel.rtnetlink.fdb import NDA_IFINDEX
from netlab.kernel.rtnetlink.link import named
from netlab.kernel.rtnetlink.neighbour import AF_BRIDGE, GETNEIGH, NDMSG
from netlab.kernel.rtnetlink.route import GETROUTE, RTA_OIF, RTMSG, TYPES
from netlab.kernel.rtnetlink.socket import attr_u32
from netlab.objects import Fdb, Floor, Key, Neigh, Obj, Port, Route, Sysctl
from netlab.objects.ip import MAIN
from netlab.objects.links import End


def look(handle: Handle, sysctls: Sysctls, wanted: Sequence[Obj]) -> dict[Key, object]:
    """What there is of the wanted objects, by key: of a link the End in this namespace, of others the object.

    The calling thread is in the namespace.
    """
    sysctls.enter()
    have: dict[Key, object] = {}
    for obj in wanted:
        if isinstance(obj, Sysctl):
            value = sysctls.read(obj.path)  # None: this kernel has no such sysctl
            have[obj.key] = obj if value is None else Sysctl(obj.netns, obj.path, value, obj.link)
    here = NamespaceDump(handle.netns, {}, {})
    for name in dict.fromkeys(_links(wanted)):
        if link := named(handle.socket, name):
            here.links[link.number] = link
            here.names[link.number] = name
    by_name = {link.name: link for link in here.links.values()}
    for obj in wanted:
        if obj.floor is Floor.LINK and (link := by_name.get(obj.name)):
            # Without a carrier no packet passes; a bridge has none as long as it has no ports.
            up = link.up and (link.works or link.kind == "bridge")
            have[obj.key] = End(handle.netns, link.name, link.mac, link.mtu, link.number, up=up)
        elif isinstance(obj, Port) and (link := by_name.get(obj.dev)) and (port := PORTS.decode(link, here)):
            have[port.key] = port
    for seen in _dumped(handle, here, wanted):
        have[seen.key] = seen
    return have


def _links(wanted: Iterable[Obj]) -> Iterator[str]:
    for obj in wanted:
        name = obj.name if obj.floor is Floor.LINK else getattr(obj, "dev", "")
        if name:
            yield name
        if isinstance(obj, Port):
            yield obj.master


def _dumped(handle: Handle, here: NamespaceDump, wanted: Sequence[Obj]) -> Iterator[Obj]:
    """Addresses, and the routes, neighbours and forwarding entries of the devices that should have any."""
    sock = handle.socket
    indexes = {name: index for index, name in here.names.items()}
    for _, payload in sock.dump(ADDRESSES.DUMP, ADDRESSES.SELECT):
        if address := ADDRESSES.decode(payload, here):
            yield address
    asked = {(":" in obj.dst, obj.dev, obj.type) for obj in wanted if isinstance(obj, Route)}
    for v6, dev, kind in sorted(asked):
        if dev and dev not in indexes:
            continue
        family = socket.AF_INET6 if v6 else socket.AF_INET
        body = RTMSG.pack(family, 0, 0, 0, MAIN, 0, 0, TYPES[kind], 0)
        body += attr_u32(RTA_OIF, indexes[dev]) if dev else b""
        for _, payload in sock.dump(GETROUTE, body):
            if route := ROUTES.decode(payload, here):
                yield route
    for nouns, codec, where in ((Neigh, NEIGHBOURS, 0), (Fdb, FDB, AF_BRIDGE)):
        for dev in sorted({obj.dev for obj in wanted if isinstance(obj, nouns)} & indexes.keys()):
            body = NDMSG.pack(where, 0, 0, 0, 0) + attr_u32(NDA_IFINDEX, indexes[dev])
            for _, payload in sock.dump(GETNEIGH, body):
                if seen := codec.decode(payload, here):
                    yield seen
