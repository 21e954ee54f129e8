"""Forwarding entries of VXLAN devices and bridges.  Numbers are those of linux/neighbour.h."""

from __future__ import annotations

import struct

from netlab.kernel.rtnetlink import deviation
from netlab.kernel.rtnetlink.codec import Codec, Handle, NamespaceDump, Payload, Request
from netlab.kernel.rtnetlink.neighbour import (
    AF_BRIDGE,
    DELNEIGH,
    GETNEIGH,
    NDA_DST,
    NDA_LLADDR,
    NDMSG,
    NEWNEIGH,
    NTF_MASTER,
    NTF_SELF,
    NUD_NOARP,
    NUD_PERMANENT,
)
from netlab.kernel.rtnetlink.socket import APPEND, CREATE, NetlinkSocket, attr, attr_dict, attr_u32
from netlab.kernel.rtnetlink.values import address_text, mac_bytes, packed, u32
from netlab.objects import Fdb, Verb
from netlab.objects.base import LEARNED

_NDA_VLAN, _NDA_PORT, _NDA_VNI, _NDA_IFINDEX, _NDA_MASTER = 5, 6, 7, 8, 9


class FdbCodec(Codec[Fdb]):
    """Entries that somebody made: those of VXLAN devices, and of bridges all but the links' own.

    ``read`` also notes at a bridge or a port that its own entry is missing; what bridges learned is in
    ``dump.learned``.
    """

    DUMP, SELECT = GETNEIGH, NDMSG.pack(AF_BRIDGE, 0, 0, 0, 0)

    def encode(self, obj: Fdb, verb: Verb, handle: Handle) -> Request:
        flag = NTF_SELF if obj.dst or obj.own else NTF_MASTER
        body = NDMSG.pack(AF_BRIDGE, handle.links[obj.dev], NUD_PERMANENT, flag, 0)
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
        entries = super().read(sock, dump)
        bridges = {index for index, link in dump.links.items() if link.kind == "bridge"}
        for index, link in dump.links.items():
            if (index in bridges or link.master in bridges) and link.mac not in dump.own_entries:
                lost = (deviation.lost_entry(link),)
                dump.links[index] = (
                    link._replace(port_deviations=link.port_deviations + lost)
                    if link.master
                    else link._replace(deviations=link.deviations + lost)
                )
        return entries

    def decode(self, payload: Payload, dump: NamespaceDump) -> Fdb | None:
        _, index, state, flags, _ = NDMSG.unpack_from(payload)
        if index not in dump.names:
            return None
        if not state & (NUD_PERMANENT | NUD_NOARP):
            if not flags & NTF_SELF:
                dump.learned.append(_learned(payload, dump.netns, dump.names[index]))
            return None
        kind = dump.links[index].kind
        if flags & NTF_SELF and kind != "vxlan":
            return None  # a multicast group that the link listens to
        at = attr_dict(payload, 12)
        mac = bytes(at[NDA_LLADDR]).hex(":")
        word = "permanent" if state & NUD_PERMANENT else "static"
        if NDA_DST in at:
            extra = _extra(at, dump.names)
            return Fdb(dump.netns, dump.names[index], mac, address_text(at[NDA_DST]), extra, word)
        if _NDA_MASTER not in at:
            return None
        if word == "permanent" and mac == dump.links[index].mac:
            dump.own_entries.add(mac)
            return None
        vlan = struct.unpack("=H", at[_NDA_VLAN])[0] if _NDA_VLAN in at else 0
        return Fdb(dump.netns, dump.names[index], mac, "", "", word, vlan, kind == "bridge")


def _learned(payload: Payload, netns: str, dev: str) -> Fdb:
    at = attr_dict(payload, 12)
    vlan = struct.unpack("=H", at[_NDA_VLAN])[0] if _NDA_VLAN in at else 0
    return Fdb(netns, dev, bytes(at[NDA_LLADDR]).hex(":"), state="dynamic", vlan=vlan, why=LEARNED)


def _extra(at: dict[int, memoryview], names: dict[int, str]) -> str:
    words = [f"port {struct.unpack('!H', at[_NDA_PORT])[0]}"] if _NDA_PORT in at else []
    words += [f"vni {u32(at[_NDA_VNI])}"] if _NDA_VNI in at else []
    words += [f"via {names.get(u32(at[_NDA_IFINDEX]), '?')}"] if _NDA_IFINDEX in at else []
    return " ".join(words)
