"""Connection tracking entries that outlive their Pods and Services.

A flow is translated by its first packet; later packets follow its entry. A TCP connection ends when its server is gone.
A UDP client that keeps its port would go on sending to an address that is gone. So netlab removes UDP entries as
kube-proxy does: when their endpoint goes, and when a Service gets its first endpoint after packets had passed
untranslated.

Entries of TCP connections stay, as with kube-proxy. But an attempt without a reply (SYN_SENT) also leaves an entry, for
two minutes, and the next connection from the same source port would follow it to an endpoint that is gone. No
connection uses such an entry, so it goes with its endpoint.

An address may belong to another Pod later, and the permissions of the former Pod must not pass on to it. So where rules
contain an address whose Pod comes or goes, all entries with that address are removed (as Calico's Felix does).
"""

from __future__ import annotations

import contextlib
import re
import socket
import struct
from collections.abc import Collection, Iterable, Iterator

from netlab.kernel.rtnetlink.socket import NETLINK_NETFILTER, NetlinkSocket, attr_dict
from netlab.objects import Conntrack, NftChain, NftSet, Op, Verb
from netlab.objects.base import LEARNED
from netlab.objects.learned import dnat_targets
from netlab.tuples import NamedTuple

_CTNETLINK = 1
_GET, _DELETE = 1, 2
_ORIGINAL, _REPLY, _ID = 1, 2, 12
_TUPLE_IP, _TUPLE_PROTO = 1, 2
_STATUS, _STATUS_MASK, _DST_NAT = 3, 26, 0x20  # CTA_STATUS, CTA_STATUS_MASK, IPS_DST_NAT
_NESTED = 0x8000
_ACK = 4
_UDP = 17
_PROTOCOLS = {"tcp": 6, "udp": _UDP}
_INFO, _INFO_TCP, _STATE = 4, 1, 1  # CTA_PROTOINFO, _TCP, _TCP_STATE
_SYN_SENT = 1
_ADDRESSES = {1: socket.AF_INET, 2: socket.AF_INET, 3: socket.AF_INET6, 4: socket.AF_INET6}  # CTA_IP_V4_SRC and so on
_REFUSED = re.compile(r"(\S+) \. udp \. (\d+) ")


Raw = bytes | memoryview


class Stale(NamedTuple):
    """What to look for: ``servers`` that are gone, as (protocol, address, port), and ``services`` that were not
    translated, as (address, port) of UDP; and ``addresses`` that changed hands.
    """

    servers: frozenset[tuple[int, str, int]] = frozenset()
    services: frozenset[tuple[str, int]] = frozenset()
    addresses: frozenset[str] = frozenset()


def _stale(ops: Iterable[Op], moved: Collection[str]) -> Stale:
    """What operations on one namespace's rules make stale; ``moved`` are the addresses of Pods that come or go."""
    addresses: set[str] = set()
    servers: set[tuple[int, str, int]] = set()
    services: set[tuple[str, int]] = set()
    for op in ops:
        obj, before = op.obj, op.obj if op.verb is Verb.DELETE else op.have
        if isinstance(before, NftChain):
            kept = set() if op.verb is Verb.DELETE or not isinstance(obj, NftChain) else set(_targets(obj))
            servers.update(address for address in _targets(before) if address not in kept)
        elif moved and isinstance(obj, NftSet):
            had = before.elements if isinstance(before, NftSet) else frozenset()
            has = frozenset() if op.verb is Verb.DELETE else obj.elements
            addresses.update(address for address in (each.split(" ", 1)[0] for each in had ^ has) if address in moved)
        if isinstance(before, NftSet) and before.data == "verdict" and isinstance(obj, NftSet):
            gone = before.elements if op.verb is Verb.DELETE else before.elements - obj.elements
            services.update((service[1], int(service[2])) for element in gone if (service := _REFUSED.match(element)))
    return Stale(frozenset(servers), frozenset(services), frozenset(addresses))


def _targets(chain: NftChain) -> Iterable[tuple[int, str, int]]:
    for protocol, server in dnat_targets(chain):
        address, _, port = server.rpartition(":")
        yield _PROTOCOLS[protocol], address.strip("[]"), int(port)


def translated(netns: str) -> Iterator[Conntrack]:
    """The entries of the calling thread's namespace that choose the server of the next packet.  They are those of UDP,
    and those of TCP without a reply.  An established connection keeps its server, and one that ended is tracked anew.
    """
    # An older kernel has no filter by status; what is not translated is left out below as well.
    status = struct.pack("!I", _DST_NAT)
    body = _attr(_STATUS, status) + _attr(_STATUS_MASK, status)
    with NetlinkSocket(NETLINK_NETFILTER, plain=True) as sock, contextlib.suppress(OSError):
        for _, payload in sock.dump(_CTNETLINK << 8 | _GET, struct.pack("=BBH", 0, 0, 0) + body):
            if (entry := _translated(netns, payload)) is not None:
                yield entry


def _translated(netns: str, payload: Raw) -> Conntrack | None:
    attrs = attr_dict(payload, 4)
    original, reply = attrs.get(_ORIGINAL), attrs.get(_REPLY)
    if original is None or reply is None:
        return None
    client, to, server = _end(original, source=True), _end(original, source=False), _end(reply, source=True)
    if client is None or to is None or server is None or server == to:
        return None
    if server[0] != _UDP and not _unanswered(attrs.get(_INFO, b"")):
        return None
    protocol = next(name for name, number in _PROTOCOLS.items() if number == server[0])
    shown = f"[{server[1]}]:{server[2]}" if ":" in server[1] else f"{server[1]}:{server[2]}"
    return Conntrack(netns, protocol, *client[1:], *to[1:], shown, bytes(original), why=LEARNED)


def forget_entry(entry: Conntrack) -> None:
    """Remove an entry of the calling thread's namespace, which may have ended meanwhile."""
    family = socket.AF_INET6 if 3 in attr_dict(attr_dict(entry.raw, 0).get(_TUPLE_IP, b""), 0) else socket.AF_INET
    with NetlinkSocket(NETLINK_NETFILTER) as sock, contextlib.suppress(OSError):
        header = struct.pack("=BBH", family, 0, 0)
        sock.ask(_CTNETLINK << 8 | _DELETE, header + _attr(_ORIGINAL | _NESTED, entry.raw), _ACK)


def forget_stale(ops: Iterable[Op], moved: Collection[str]) -> None:
    """Remove the entries of the calling thread's namespace that these operations make stale (see ``_stale``).

    An entry leads to a server that is gone if its replies would come from there although its packets go elsewhere.
    It was never translated if both are the Service's own address (UDP alone).  A kernel without ctnetlink has no entries.
    """
    wanted = _stale(ops, moved)
    if not any(wanted):
        return
    with NetlinkSocket(NETLINK_NETFILTER) as sock:
        for family in (socket.AF_INET, socket.AF_INET6):
            header = struct.pack("=BBH", family, 0, 0)
            with contextlib.suppress(OSError):
                for _, payload in list(sock.dump(_CTNETLINK << 8 | _GET, header)):
                    _remove_stale(sock, header, payload, wanted)


def forget_all() -> None:
    """Remove every entry of the namespace that the calling thread is in.

    For a namespace that tracks no more: a later connection from the same port would be taken for the old one.
    """
    with NetlinkSocket(NETLINK_NETFILTER) as sock, contextlib.suppress(OSError):  # a kernel may be without ctnetlink
        sock.ask(_CTNETLINK << 8 | _DELETE, struct.pack("=BBH", 0, 0, 0), _ACK)


def _remove_stale(sock: NetlinkSocket, header: bytes, payload: Raw, wanted: Stale) -> None:
    attrs = attr_dict(payload, 4)
    original, reply = attrs.get(_ORIGINAL), attrs.get(_REPLY)
    if original is None or reply is None:
        return
    if not (_moved(original, reply, wanted) or _leads_nowhere(original, reply, attrs.get(_INFO, b""), wanted)):
        return
    body = _attr(_ORIGINAL | _NESTED, bytes(original)) + (_attr(_ID, bytes(attrs[_ID])) if _ID in attrs else b"")
    with contextlib.suppress(OSError):  # it may have ended meanwhile
        sock.ask(_CTNETLINK << 8 | _DELETE, header + body, _ACK)


def _leads_nowhere(original: Raw, reply: Raw, info: Raw, wanted: Stale) -> bool:
    to, server = _end(original, source=False), _end(reply, source=True)
    if to is None or server is None:
        return False
    if server in wanted.servers and server != to:
        return server[0] == _UDP or _unanswered(info)
    return to[0] == _UDP and to[1:] in wanted.services


def _unanswered(info: Raw) -> bool:
    """Whether TCP's first packet had no answer."""
    state = attr_dict(attr_dict(info, 0).get(_INFO_TCP, b""), 0).get(_STATE, b"\0")
    return state[0] == _SYN_SENT


def _moved(original: Raw, reply: Raw, wanted: Stale) -> bool:
    if not wanted.addresses:
        return False
    parts = (part for raw in (original, reply) for part in attr_dict(attr_dict(raw, 0).get(_TUPLE_IP, b""), 0).items())
    return any(
        kind in _ADDRESSES and socket.inet_ntop(_ADDRESSES[kind], bytes(raw)) in wanted.addresses for kind, raw in parts
    )


def _end(raw: Raw, *, source: bool) -> tuple[int, str, int] | None:
    """(protocol, address, port) of one end of a tuple; None where it is neither UDP's nor TCP's."""
    parts = attr_dict(raw, 0)
    proto = attr_dict(parts.get(_TUPLE_PROTO, b""), 0)
    number = proto.get(1, b"\0")[0]
    if number not in _PROTOCOLS.values():
        return None
    address = attr_dict(parts.get(_TUPLE_IP, b""), 0)
    four, six, port = (1, 3, 2) if source else (2, 4, 3)
    raw_address = address.get(four) or address.get(six)
    if raw_address is None or port not in proto:
        return None
    text = socket.inet_ntop(socket.AF_INET if len(raw_address) == 4 else socket.AF_INET6, raw_address)
    return number, text, struct.unpack("!H", proto[port])[0]


def _attr(kind: int, data: bytes) -> bytes:
    return struct.pack("=HH", len(data) + 4, kind) + data + b"\0" * (-len(data) % 4)
