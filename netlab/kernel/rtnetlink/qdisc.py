"""Qdiscs: netem and tbf as netlab makes them, and what others added.  Numbers are those of linux/pkt_sched.h."""

from __future__ import annotations

import struct
from collections.abc import Sequence

from netlab.kernel.rtnetlink.codec import Codec, Handle, NamespaceDump, Payload, Request
from netlab.kernel.rtnetlink.socket import CREATE, EXCL, attr, attr_dict, attr_str, attr_u32, text
from netlab.objects import Op, Qdisc, Verb
from netlab.objects.qdisc import Netem, Tbf

_NEWQDISC, _DELQDISC = 36, 37
_TCMSG = struct.Struct("=BxxxiIII")
_TCA_KIND, _TCA_OPTIONS = 1, 2
_NO_QDISC = ("noqueue", "noop")
_ROOT, _INGRESS = 0xFFFFFFFF, 0xFFFFFFF1

# netem: latency and jitter of the head count 64 ns; the kernel prefers the attributes, in nanoseconds.
_NETEM = struct.Struct("=IIIIII")  # latency, limit, loss, gap, duplicate, jitter
_PAIR = struct.Struct("=II")  # probability, correlation
_RATE = struct.Struct("=IiIi")  # rate, packet overhead, cell size, cell overhead
_CORR, _REORDER, _CORRUPT, _LOSS_MODEL, _NETEM_RATE, _ECN, _NETEM_RATE64 = 1, 3, 4, 5, 6, 7, 8
_LATENCY64, _JITTER64, _SLOT = 10, 11, 12
_EVERY = 1  # gap: each packet may be reordered

_TBF = struct.Struct("=BBHhHI BBHhHI III")  # rate, peak rate, limit, burst (in ticks), burst of the peak rate
_TBF_PARMS, _TBF_RATE64, _TBF_BURST = 1, 4, 6
_ETHERNET = 1  # the link layer: then the kernel needs no rate table
_TICK = 64  # nanoseconds
BURST_UNIT = 1024  # bytes: a burst is a multiple of it, since the kernel rounds it to ticks


class QdiscCodec(Codec[Qdisc]):
    """Root qdiscs, clsact and ingress.  The kernel's own default has the handle 0."""

    DUMP, SELECT = 38, _TCMSG.pack(0, 0, 0, 0, 0)

    def request(self, op: Op, handle: Handle) -> Sequence[Request]:
        """A qdisc that differs is made anew: a change in place would keep each parameter that is not named."""
        assert isinstance(op.obj, Qdisc)
        verbs = (Verb.DELETE, Verb.CREATE) if op.verb is Verb.UPDATE else (op.verb,)
        return [self.encode(op.obj, verb, handle) for verb in verbs]

    def encode(self, obj: Qdisc, verb: Verb, handle: Handle) -> Request:
        """Add a qdisc, or remove it with its filters and programs."""
        parent = _ROOT if obj.place == "root" else _INGRESS
        head = _TCMSG.pack(0, handle.links[obj.dev], 0, parent, 0)
        return (_DELQDISC, 0, head) if verb is Verb.DELETE else _addition(head, obj)

    def decode(self, payload: Payload, dump: NamespaceDump) -> Qdisc | None:
        _, index, handle, parent, _ = _TCMSG.unpack_from(payload)
        if not handle or parent not in (_ROOT, _INGRESS) or index not in dump.names:
            return None
        fields = attr_dict(payload, 20)
        kind = text(fields[_TCA_KIND])
        if kind in _NO_QDISC:
            return None
        read = _READ.get(kind) if parent == _ROOT else None
        setting = read(fields[_TCA_OPTIONS]) if read and _TCA_OPTIONS in fields else None
        return Qdisc(dump.netns, dump.names[index], "root" if parent == _ROOT else kind, kind, setting)


_ON_LO = _TCMSG.pack(0, 1, 0, _ROOT, 0)


def trial(kind: str) -> list[Request]:
    """The requests that add a qdisc of a kind to lo and remove it: whether this kernel has it."""
    setting = Netem(1) if kind == "netem" else Tbf(1000, BURST_UNIT, BURST_UNIT)
    return [_addition(_ON_LO, Qdisc("", "lo", "root", kind, setting)), (_DELQDISC, 0, _ON_LO)]


def _addition(head: bytes, obj: Qdisc) -> Request:
    options = _netem(obj.setting) if isinstance(obj.setting, Netem) else _tbf(obj.setting)
    return _NEWQDISC, CREATE | EXCL, head + attr_str(_TCA_KIND, obj.type_) + attr(_TCA_OPTIONS, options)


def _netem(setting: Netem) -> bytes:
    gap = _EVERY if setting.reorder else 0
    rate = attr(_NETEM_RATE, _RATE.pack(min(setting.rate, 0xFFFFFFFF), 0, 0, 0))
    return b"".join(
        (
            _NETEM.pack(0, setting.limit, setting.loss, gap, setting.duplicate, 0),
            attr(_LATENCY64, struct.pack("=q", setting.delay)),
            attr(_JITTER64, struct.pack("=q", setting.jitter)),
            attr(_REORDER, _PAIR.pack(setting.reorder, 0)) if setting.reorder else b"",
            attr(_CORRUPT, _PAIR.pack(setting.corrupt, 0)) if setting.corrupt else b"",
            attr(_NETEM_RATE64, struct.pack("=Q", setting.rate)) if setting.rate > 0xFFFFFFFF else b"",
            rate if setting.rate else b"",
        )
    )


def _read_netem(options: memoryview) -> Netem:
    latency, limit, loss, gap, duplicate, jitter = _NETEM.unpack_from(options)
    fields = attr_dict(options, _NETEM.size)
    delay, vary = _number(fields, _LATENCY64, latency * _TICK), _number(fields, _JITTER64, jitter * _TICK)
    reorder, reorder_correlation = _pair(fields, _REORDER)
    corrupt, corrupt_correlation = _pair(fields, _CORRUPT)
    rate, *cells = _RATE.unpack_from(fields[_NETEM_RATE]) if _NETEM_RATE in fields else (0, 0, 0, 0)
    rate = _number(fields, _NETEM_RATE64, rate)
    correlated = any(fields.get(_CORR, b"")) or reorder_correlation or corrupt_correlation
    others = {
        "correlated": correlated,
        f"gap {gap}": gap > _EVERY,
        "loss by a model": _LOSS_MODEL in fields,
        "ecn": any(fields.get(_ECN, b"")),
        "with overhead": any(cells),
        "slot": any(fields.get(_SLOT, b"")),
    }
    words = " ".join(word for word, there in others.items() if there)
    return Netem(limit, delay, vary, loss, duplicate, reorder, corrupt, rate, words)


def _number(fields: dict[int, memoryview], kind: int, other: int) -> int:
    """An attribute of 64 bits; where it is missing the number of 32 bits."""
    return int(struct.unpack("=q", fields[kind])[0]) if kind in fields else other


def _pair(fields: dict[int, memoryview], kind: int) -> tuple[int, int]:
    probability, correlation = _PAIR.unpack_from(fields[kind]) if kind in fields else (0, 0)
    return probability, correlation


def _tbf(setting: Netem | Tbf | None) -> bytes:
    assert isinstance(setting, Tbf)
    rate = min(setting.rate, 0xFFFFFFFF)
    ticks = setting.burst * 10**9 // setting.rate // _TICK
    parameters = _TBF.pack(0, _ETHERNET, 0, 0, 0, rate, 0, 0, 0, 0, 0, 0, setting.limit, ticks, 0)
    more = attr(_TBF_RATE64, struct.pack("=Q", setting.rate)) if setting.rate > rate else b""
    return attr(_TBF_PARMS, parameters) + attr_u32(_TBF_BURST, setting.burst) + more


def _read_tbf(options: memoryview) -> Tbf | None:
    fields = attr_dict(options)
    if _TBF_PARMS not in fields:
        return None
    *head, limit, ticks, _ = _TBF.unpack_from(fields[_TBF_PARMS])
    rate = _number(fields, _TBF_RATE64, head[5])
    burst = round((ticks + 0.5) * _TICK * rate / 10**9 / BURST_UNIT) * BURST_UNIT
    return Tbf(rate, burst, limit)


_READ = {"netem": _read_netem, "tbf": _read_tbf}
