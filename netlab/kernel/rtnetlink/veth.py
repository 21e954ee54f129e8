"""Veth pairs: links with two ends."""

from __future__ import annotations

from collections.abc import Sequence

from netlab.kernel.rtnetlink.codec import Handle, NamespaceDump, RawLink
from netlab.kernel.rtnetlink.link import LinkCodec, identity
from netlab.kernel.rtnetlink.socket import attr, attr_u32
from netlab.objects import Obj, Veth
from netlab.objects.links import End

IFLA_NET_NS_FD = 28  # the namespace that a new link is in: its descriptor
_VETH_INFO_PEER = 1


class VethCodec(LinkCodec):
    """The pair in one request: names, MACs, MTUs and indexes of both ends, the peer's namespace."""

    kind = "veth"
    PAIRED = True

    def data(self, link: Obj, handle: Handle, peers: Sequence[Handle]) -> bytes:
        assert isinstance(link, Veth)
        peer = identity(link.peer, peers[0].reserve(link.peer)) + attr_u32(IFLA_NET_NS_FD, peers[0].fd)
        return attr(_VETH_INFO_PEER, peer)

    def decode(self, link: RawLink, ends: Sequence[End], dump: NamespaceDump) -> Veth:
        return Veth(dump.netns, *ends)
