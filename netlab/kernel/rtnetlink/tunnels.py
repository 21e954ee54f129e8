"""Geneve, IPIP and WireGuard devices.  Numbers are those of linux/if_link.h and linux/if_tunnel.h."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import replace

from netlab.kernel.rtnetlink.codec import Handle, NamespaceDump, RawLink, Request
from netlab.kernel.rtnetlink.link import LinkCodec, identity
from netlab.kernel.rtnetlink.socket import CREATE, attr, attr_dict, attr_str, attr_u32
from netlab.kernel.rtnetlink.values import IFLA_LINKINFO, INFO_KIND, NEWLINK, address_text, packed, u32
from netlab.objects import Geneve, Ipip, Obj, WireGuard
from netlab.objects.links import FALLBACKS, End

GENEVE_ID, GENEVE_REMOTE = 1, 2
_GENEVE_PORT, _GENEVE_REMOTE6 = 5, 7
# Attributes that are no field of the object; all are 0 where nobody asked for them.
_GENEVE_OPTIONS = {3: "ttl", 4: "tos", 8: "udpcsum", 12: "ttl inherit", 13: "df"}
IPTUN_LOCAL = 2
_IPTUN_OPTIONS = {4: "ttl", 5: "tos"}
_IPTUN_REMOTE, _IPTUN_PMTUDISC = 3, 10


class GeneveCodec(LinkCodec):
    """The kernel derives the MTU of a new one, whatever it was given."""

    kind = "geneve"
    MTU_LATER = True

    def data(self, link: Obj, handle: Handle, peers: Sequence[Handle]) -> bytes:
        assert isinstance(link, Geneve)
        number = _GENEVE_REMOTE6 if ":" in link.remote else GENEVE_REMOTE
        return (
            attr_u32(GENEVE_ID, link.vni)
            + attr(number, packed(link.remote))
            + attr(_GENEVE_PORT, struct.pack("!H", link.port))
        )

    def decode(self, link: RawLink, ends: Sequence[End], dump: NamespaceDump) -> Geneve:
        at = attr_dict(link.data)
        remote = at.get(GENEVE_REMOTE) or at.get(_GENEVE_REMOTE6)
        return Geneve(
            *ends[0].device(),
            vni=u32(at[GENEVE_ID]) if GENEVE_ID in at else 0,
            remote=address_text(remote) if remote else "",
            port=struct.unpack("!H", at[_GENEVE_PORT])[0] if _GENEVE_PORT in at else 0,
            options=_options(_GENEVE_OPTIONS, at, v6=bool(remote) and len(remote or b"") > 4),
        )


def _options(words: Mapping[int, str], at: Mapping[int, memoryview], *, v6: bool = False) -> str:
    """The options that somebody gave a tunnel beside netlab's; a checksum is the rule of IPv6."""
    there = {word: at[number][0] for number, word in words.items() if number in at and at[number][0]}
    if v6:
        there.pop("udpcsum", None)
    flags = ("udpcsum", "ttl inherit")
    return " ".join(word if word in flags else f"{word} {value}" for word, value in there.items())


class IpipCodec(LinkCodec):
    """Its link-layer address is the local address, so it has none of its own."""

    kind = "ipip"

    def requests(self, link: Obj, end: End, handle: Handle, peers: Sequence[Handle], master: int) -> list[Request]:
        """A fallback device may be there, under an index that the kernel chose: then the request sets its MTU."""
        if end.name not in FALLBACKS:
            return super().requests(link, end, handle, peers, master)
        return [(NEWLINK, CREATE, identity(end, 0) + attr(IFLA_LINKINFO, attr_str(INFO_KIND, self.kind)))]

    def data(self, link: Obj, handle: Handle, peers: Sequence[Handle]) -> bytes:
        assert isinstance(link, Ipip)
        return attr(IPTUN_LOCAL, packed(link.local))

    def decode(self, link: RawLink, ends: Sequence[End], dump: NamespaceDump) -> Ipip:
        at = attr_dict(link.data)
        words = [_options(_IPTUN_OPTIONS, at)]
        if any(at.get(_IPTUN_REMOTE, b"")):
            words.append(f"remote {address_text(at[_IPTUN_REMOTE])}")
        if _IPTUN_PMTUDISC in at and not at[_IPTUN_PMTUDISC][0]:
            words.append("nopmtudisc")
        local = address_text(at[IPTUN_LOCAL]) if any(at.get(IPTUN_LOCAL, b"")) else "any"
        end = replace(ends[0], mac="")
        if link.name in FALLBACKS:  # it gets IPv6 when it first goes up, if at all: nobody's work
            end = replace(end, addrgen="none")
        return Ipip(*end.device(), local=local, options=" ".join(word for word in words if word))


class WireGuardCodec(LinkCodec):
    """Its port and its keys are in no message of rtnetlink: ``kernel.host.wireguard`` writes and reads them."""

    kind = "wireguard"

    def decode(self, link: RawLink, ends: Sequence[End], dump: NamespaceDump) -> WireGuard:
        state = dump.wireguard.get(link.name)
        return WireGuard(
            *replace(ends[0], mac="").device(), port=state.port if state else 0, keyed=bool(state and state.public)
        )
