"""Qdiscs that somebody added: netlab makes none.  Numbers are those of linux/pkt_sched.h."""

from __future__ import annotations

import struct

from netlab.kernel.rtnetlink.codec import Codec, Handle, NamespaceDump, Payload, Request
from netlab.kernel.rtnetlink.socket import attr_dict, text
from netlab.objects import Qdisc, Verb

_DELQDISC = 37
_TCMSG = struct.Struct("=BxxxiIII")
_TCA_KIND = 1
_NO_QDISC = ("noqueue", "noop")
_ROOT, _INGRESS = 0xFFFFFFFF, 0xFFFFFFF1


class QdiscCodec(Codec[Qdisc]):
    """Root qdiscs, clsact and ingress.  The kernel's own default has the handle 0."""

    DUMP, SELECT = 38, _TCMSG.pack(0, 0, 0, 0, 0)

    def encode(self, obj: Qdisc, verb: Verb, handle: Handle) -> Request:
        """Remove a qdisc with its filters and programs."""
        parent = _ROOT if obj.place == "root" else _INGRESS
        return _DELQDISC, 0, _TCMSG.pack(0, handle.links[obj.dev], 0, parent, 0)

    def decode(self, payload: Payload, dump: NamespaceDump) -> Qdisc | None:
        _, index, handle, parent, _ = _TCMSG.unpack_from(payload)
        if not handle or parent not in (_ROOT, _INGRESS) or index not in dump.names:
            return None
        kind = text(attr_dict(payload, 20)[_TCA_KIND])
        return (
            Qdisc(dump.netns, dump.names[index], "root" if parent == _ROOT else kind, kind)
            if kind not in _NO_QDISC
            else None
        )
