"""Neighbours.  Numbers are those of linux/neighbour.h."""

from __future__ import annotations

import struct

from netlab.kernel.rtnetlink.codec import Codec, Handle, NamespaceDump, Payload, Request
from netlab.kernel.rtnetlink.socket import CREATE, REPLACE, attr, attr_dict
from netlab.kernel.rtnetlink.values import address_text, family, mac_bytes, packed
from netlab.objects import Neigh, Verb
from netlab.objects.base import LEARNED, OBSERVED

NEWNEIGH, DELNEIGH, GETNEIGH = 28, 29, 30
NDMSG = struct.Struct("=BxxxiHBB")
NDA_DST, NDA_LLADDR = 1, 2
NUD_NOARP, NUD_PERMANENT = 0x40, 0x80
AF_BRIDGE = 7
NTF_SELF, NTF_MASTER = 0x02, 0x04
_UNICAST = 1  # RTN_UNICAST


class NeighbourCodec(Codec[Neigh]):
    """Permanent neighbours; the others are kept in ``dump.learned``."""

    DUMP, SELECT = GETNEIGH, NDMSG.pack(0, 0, 0, 0, 0)

    def encode(self, obj: Neigh, verb: Verb, handle: Handle) -> Request:
        body = NDMSG.pack(family(obj.address), handle.links[obj.dev], NUD_PERMANENT, 0, 0)
        body += attr(NDA_DST, packed(obj.address))
        if verb is Verb.DELETE:
            return DELNEIGH, 0, body
        return NEWNEIGH, CREATE | REPLACE, body + attr(NDA_LLADDR, mac_bytes(obj.mac))

    def decode(self, payload: Payload, dump: NamespaceDump) -> Neigh | None:
        _, index, state, _, type_ = NDMSG.unpack_from(payload)
        if index not in dump.names or (state & NUD_NOARP and (type_ != _UNICAST or index == 1)):
            return None  # the kernel has such entries for groups, and for addresses of its own
        at = attr_dict(payload, 12)
        if NDA_LLADDR not in at or len(at[NDA_LLADDR]) != 6:
            return None
        mac = bytes(at[NDA_LLADDR]).hex(":")
        why = OBSERVED if state & NUD_PERMANENT else LEARNED
        neigh = Neigh(dump.netns, dump.names[index], address_text(at[NDA_DST]), mac, why=why)
        if why is OBSERVED:
            return neigh
        dump.learned.append(neigh)
        return None
