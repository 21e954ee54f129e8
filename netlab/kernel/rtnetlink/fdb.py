"""Forwarding entries of VXLAN devices and bridges.  Numbers are those of linux/neighbour.h."""

from __future__ import annotations

import struct

from netlab.kernel.rtnetlink.codec import Codec, Handle, NamespaceDump, Payload, Request
from netlab.kernel.rtnetlink.neighbour import (
    DELNEIGH,
    GETNEIGH,
    NDA_DST,
    NDA_LLADDR,
    NDMSG,
    NEWNEIGH,
    NUD_NOARP,
    NUD_PERMANENT,
)
from netlab.kernel.rtnetlink.socket import APPEND, CREATE, NetlinkSocket, attr, attr_dict, attr_u32
from netlab.kernel.rtnetlink.values import address_text, mac_bytes, packed, u32
from netlab.objects import Fdb, Verb

_AF_BRIDGE = 7
_NDA_VLAN, _NDA_PORT, _NDA_VNI, _NDA_IFINDEX, _NDA_MASTER = 5, 6, 7, 8, 9
_NTF_SELF, _NTF_MASTER = 0x02, 0x04


class FdbCodec(Codec[Fdb]):
    """Entries that somebody made: those of VXLAN devices, and of bridges all but the links' own MACs."""

    DUMP, SELECT = GETNEIGH, NDMSG.pack(_AF_BRIDGE, 0, 0, 0, 0)

    def encode(self, obj: Fdb, verb: Verb, handle: Handle) -> Request:
        place = _NTF_SELF if obj.dst or obj.own else _NTF_MASTER
        body = NDMSG.pack(_AF_BRIDGE, handle.links[obj.dev], NUD_PERMANENT, place, 0)
        body += attr(NDA_LLADDR, mac_bytes(obj.mac)) + (attr(NDA_DST, packed(obj.dst)) if obj.dst else b"")
        body += attr(_NDA_VLAN, struct.pack("=H", obj.vlan)) if obj.vlan else b""
        if obj.extra:
            words = obj.extra.split()
            extra = dict(zip(words[::2], words[1::2], strict=True))
            body += attr(_NDA_PORT, struct.pack("!H", int(extra["port"]))) if "port" in extra else b""
            body += attr_u32(_NDA_VNI, int(extra["vni"])) if "vni" in extra else b""
        return (DELNEIGH, 0, body) if verb is Verb.DELETE else (NEWNEIGH, CREATE | APPEND, body)

    def read(self, sock: NetlinkSocket, dump: NamespaceDump) -> list[Fdb]:
        if not {"vxlan", "bridge"} & {link.kind for link in dump.links.values()}:
            return []
        dump.macs = frozenset(link.mac for link in dump.links.values())
        return super().read(sock, dump)

    def decode(self, payload: Payload, dump: NamespaceDump) -> Fdb | None:
        _, index, state, flags, _ = NDMSG.unpack_from(payload)
        if not state & (NUD_PERMANENT | NUD_NOARP) or index not in dump.names:
            return None
        kind = dump.links[index].kind
        if flags & _NTF_SELF and kind != "vxlan":
            return None  # a multicast group that the link listens to
        at = attr_dict(payload, 12)
        mac = bytes(at[NDA_LLADDR]).hex(":")
        word = "permanent" if state & NUD_PERMANENT else "static"
        if NDA_DST in at:
            extra = _extra(at, dump.names)
            return Fdb(dump.netns, dump.names[index], mac, address_text(at[NDA_DST]), extra, word)
        if _NDA_MASTER not in at or (word == "permanent" and mac in dump.macs):
            return None
        vlan = struct.unpack("=H", at[_NDA_VLAN])[0] if _NDA_VLAN in at else 0
        return Fdb(dump.netns, dump.names[index], mac, "", "", word, vlan, kind == "bridge")


def _extra(at: dict[int, memoryview], names: dict[int, str]) -> str:
    words = [f"port {struct.unpack('!H', at[_NDA_PORT])[0]}"] if _NDA_PORT in at else []
    words += [f"vni {u32(at[_NDA_VNI])}"] if _NDA_VNI in at else []
    words += [f"via {names.get(u32(at[_NDA_IFINDEX]), '?')}"] if _NDA_IFINDEX in at else []
    return " ".join(words)
