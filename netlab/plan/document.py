"""Operations and foreign objects as documents: with their device and target, and lines that show and mend them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from netlab.objects import Op, Verb
from netlab.objects.base import Floor, Key, Obj
from netlab.objects.links import Veth
from netlab.objects.nftorder import typed
from netlab.output.changes import Drift, Foreign, LinkEnd, Operation
from netlab.plan import render

_TABLES = "ip netns exec {netns} nft -a list "
#: The line that shows an object, by its kind and of its fields; {six} is "-6 " of IPv6.  "" where no line does.
LOOK = {
    "netns": "ip -n {netns} -d link show dev lo",
    "sysctl": "ip netns exec {netns} sysctl {path}",
    "file": "cat /etc/netns/{netns}/{file}",
    "listener": "ip netns exec {netns} ss -nlptu",
    "process": "",
    "veth": "",  # two lines
    "bridge": "ip -n {netns} -d link show dev {name}",
    "vxlan": "ip -n {netns} -d link show dev {name}",
    "stitch": "ip -n {netns} -d link show dev {name}",
    "geneve": "ip -n {netns} -d link show dev {name}",
    "ipip": "ip -n {netns} -d link show dev {name}",
    "wireguard": "ip netns exec {netns} wg show {name}",
    "wireguard-peer": "ip netns exec {netns} wg show {dev}",
    "link": "ip -n {netns} -d link show dev {name}",
    "port": "bridge -n {netns} -d link show dev {dev}",
    "addr": "ip -n {netns} addr show dev {dev}",
    "route": "ip {six}-n {netns} route show table {table} {dst}",
    "neigh": "ip -n {netns} neigh show {address} dev {dev}",
    "fdb": "bridge -n {netns} fdb show dev {dev}",
    "rule": "ip {six}-n {netns} rule",
    "path-mtu": "ip {six}-n {netns} route get {address}",
    "conntrack": "ip netns exec {netns} conntrack -L -p {protocol} -d {address}",
    "xfrm": "ip -n {netns} xfrm policy",
    "qdisc": "tc -n {netns} qdisc show dev {dev}",
    "nft": _TABLES + "table {place}",
    "nft-chain": _TABLES + "chain {place} {chain}",
    "nft-set": _TABLES + "{word} {place} {set}",
}


def look(obj: Obj) -> tuple[str, ...]:
    """The lines that show what the kernel has of an object: of a veth, one for each end."""
    if isinstance(obj, Veth):
        return tuple(f"ip -n {end.netns} -d link show dev {end.name}" for end in (obj.end, obj.peer))
    return (LOOK[obj.kind].format_map(_Fields(obj)),) if LOOK.get(obj.kind) else ()


class _Fields(dict[str, Any]):
    def __init__(self, obj: Obj) -> None:
        super().__init__()
        self._obj = obj

    def __missing__(self, name: str) -> Any:
        if name == "six":
            return (
                "-6 "
                if getattr(self._obj, "v6", False)
                or ":" in getattr(self._obj, "dst", getattr(self._obj, "address", ""))
                else ""
            )
        return getattr(self._obj, name)


def operations(ops: Sequence[Op]) -> tuple[Operation, ...]:
    """The operations of a plan, in the order in which nft takes them."""
    return tuple(Operation(**_fields(op)) for op in typed(ops))


def drifts(ops: Sequence[Op]) -> tuple[Drift, ...]:
    """The operations of a drift."""
    mends: dict[Key, tuple[str, ...]] = {op.obj.key: render.mending(op) for op in ops if op.verb is not Verb.DELETE}
    return tuple(
        Drift(
            **_fields(op),
            look=look(op.obj),
            # What is removed to be made anew is mended by both.
            mend=(*render.mending(op), *(mends.get(op.obj.key, ()) if op.verb is Verb.DELETE else ())),
        )
        for op in typed(ops)
    )


def foreign(objects: Iterable[Obj], texts: Mapping[Key, tuple[str, ...]]) -> tuple[Foreign, ...]:
    """What other programs made; ``texts``: what the kernel has of them."""
    return tuple(
        Foreign(
            kind=obj.kind,
            netns=obj.netns,
            name=obj.name,
            commands=render.removal(obj),
            look=look(obj),
            text=texts.get(obj.key) or tuple(obj.explain().splitlines()),
            **_target(obj),
        )
        for obj in objects
    )


def _fields(op: Op) -> dict[str, Any]:
    obj, mark = op.obj, op.obj.why.mark
    return {
        "verb": op.verb.value,
        "kind": obj.kind,
        "netns": obj.netns,
        "name": obj.name,
        "why": obj.why.message,
        "source": str(mark) if mark else None,
        "file": mark.file if mark else None,
        "line": mark.line if mark else None,
        "commands": tuple(text for text in op.explain().splitlines() if not text.startswith("#")),
        **_target(obj),
    }


_TARGET = ("dst", "via", "address", "mac", "master", "place")  # fields of objects that lead somewhere


def _target(obj: Obj) -> dict[str, Any]:
    """The device of an object and what it leads to, as keys of a document."""
    fields = {name: getattr(obj, name, None) or None for name in _TARGET}
    return {
        "dev": obj.name if obj.floor is Floor.LINK else getattr(obj, "dev", None) or getattr(obj, "link", None) or None,
        "peer": LinkEnd(netns=obj.peer.netns, dev=obj.peer.name) if isinstance(obj, Veth) else None,
        "table": fields.pop("place"),
        **fields,
    }
