"""VXLAN devices, each on a lower device."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence

from netlab.kernel.rtnetlink.codec import Handle, NamespaceDump, RawLink
from netlab.kernel.rtnetlink.link import LinkCodec
from netlab.kernel.rtnetlink.socket import attr, attr_dict, attr_u8, attr_u32
from netlab.kernel.rtnetlink.values import address_text, packed, u32
from netlab.objects import Obj, Stitch, Vxlan
from netlab.objects.links import End

ID, PORT = 1, 15
_GROUP, _LINK, _LOCAL, _LEARNING, _GROUP6, _LOCAL6 = 2, 3, 4, 7, 16, 17
# Attributes that are no field of the object; all are 0 where nobody asked for them.
_OPTIONS = {5: "ttl", 6: "tos", 11: "proxy", 12: "rsc", 13: "l2miss", 14: "l3miss", 25: "external", 29: "df"}
_FLAGS = ("proxy", "rsc", "l2miss", "l3miss", "external")
_DF = ("unset", "set", "inherit")


class VxlanCodec(LinkCodec):
    """Its own attributes in both directions."""

    kind = "vxlan"

    def data(self, link: Obj, handle: Handle, peers: Sequence[Handle]) -> bytes:
        assert isinstance(link, Vxlan)
        return (
            attr_u32(ID, link.vni)
            + attr_u32(_LINK, handle.links[link.lower])
            + attr(_LOCAL6 if ":" in link.local else _LOCAL, packed(link.local))
            + attr(PORT, struct.pack("!H", link.port))
            + attr_u8(_LEARNING, int(link.learning))
        )

    def decode(self, link: RawLink, ends: Sequence[End], dump: NamespaceDump) -> Vxlan | Stitch:
        at = attr_dict(link.data)
        local = at.get(_LOCAL) or at.get(_LOCAL6)
        if link.nsid is not None and _LINK not in at and local and not at.get(_LEARNING, b"\1")[0]:
            port = struct.unpack("!H", at[PORT])[0]
            return Stitch(*ends[0].device(), vni=u32(at[ID]), local=address_text(local), port=port)
        return Vxlan(
            *ends[0].device(),
            vni=u32(at[ID]),
            local=address_text(local) if local else "",
            lower=dump.names.get(u32(at[_LINK]), "") if _LINK in at else "",
            port=struct.unpack("!H", at[PORT])[0],
            learning=bool(at[_LEARNING][0]) if _LEARNING in at else True,
            options=_options(at),
        )


class StitchCodec(VxlanCodec):
    """A device whose socket is in another namespace than the device: the request goes there, and names this one."""

    def data(self, link: Obj, handle: Handle, peers: Sequence[Handle]) -> bytes:
        assert isinstance(link, Stitch)
        return (
            attr_u32(ID, link.vni)
            + attr(_LOCAL6 if ":" in link.local else _LOCAL, packed(link.local))
            + attr(PORT, struct.pack("!H", link.port))
            + attr_u8(_LEARNING, 0)
        )


def _options(at: Mapping[int, memoryview]) -> str:
    """The options of ``ip link add type vxlan`` that somebody gave the device beside netlab's."""
    words = []
    for number, word in _OPTIONS.items():
        value = at[number][0] if number in at else 0
        if value:
            words.append(word if word in _FLAGS else f"df {_DF[value % 3]}" if word == "df" else f"{word} {value}")
    group = at.get(_GROUP) or at.get(_GROUP6)
    return " ".join([*words, f"remote {address_text(group)}"] if group else words)
