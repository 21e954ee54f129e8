"""What a learner hands in, as data, and what a grader takes of it: objects of the kernel, never commands.

A hand-in has the observed objects of the lab at the end of each step of the exercise.  The grader makes them in a fresh
lab by the code that makes every lab.  Processes, listeners, files and namespaces are always the fresh lab's.  Rules of
nftables are texts for a compiler that also reads files, so the fresh lab's own are taken, or none: a hand-in only says
which of them are still there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

from netlab.errors import BadInput
from netlab.escape import terminal
from netlab.objects import (
    Addr,
    Bridge,
    Fdb,
    File,
    Geneve,
    Ipip,
    Key,
    Listener,
    Neigh,
    Netns,
    NftChain,
    NftSet,
    NftTable,
    Obj,
    Port,
    Process,
    Qdisc,
    Route,
    Rule,
    State,
    Sysctl,
    Veth,
    Vxlan,
)
from netlab.objects.links import ends
from netlab.output.learn import HandInState
from netlab.plain import dump, load

VERSION = 1
FILE_MOST = 16 << 20  # bytes; that of a lab of twenty Pods has 100 KiB
_RULES = (NftTable, NftChain, NftSet)
_OWN = (Netns, Process, Listener, File, *_RULES)
_KINDS: dict[str, type[Obj]] = {
    each.kind: each for each in (Addr, Bridge, Fdb, Geneve, Ipip, Neigh, Port, Qdisc, Route, Rule, Sysctl, Veth, Vxlan)
}
#: Kinds of manifests that make no process: their objects are applied as the learner applied them.
MANIFESTS = frozenset(
    [
        "NetworkPolicy",
        "AdminNetworkPolicy",
        "BaselineAdminNetworkPolicy",
        "ClusterNetworkPolicy",
        "Namespace",
        "Service",
        "Endpoints",
        "EndpointSlice",
    ]
)


class Applied(Protocol):
    """What was done to the documents of a running lab."""

    @property
    def extra(self) -> tuple[tuple[str, ...], ...]: ...

    @property
    def deleted(self) -> tuple[str, ...]: ...

    @property
    def labels(self) -> Mapping[str, Mapping[str, str | None]]: ...


def handed(step: int, seen: Iterable[Obj], learned: Iterable[Obj], applied: Applied) -> HandInState:
    """The observed objects at the end of step ``step`` (from 0), and what was applied before."""
    seen = tuple(seen)
    return HandInState(
        step=step,
        manifests=applied.extra,
        deleted=applied.deleted,
        labels=applied.labels,
        objects=tuple(_dumped(obj) for obj in seen if obj.kind in _KINDS),
        learned=tuple(_dumped(obj) for obj in learned if obj.kind in _KINDS),
        rules=tuple(sorted((obj.netns, obj.name) for obj in seen if isinstance(obj, _RULES))),
        other=tuple(f"{obj.kind} {obj.name} in {obj.netns}" for obj in seen
                    if obj.kind not in _KINDS and not isinstance(obj, _OWN)),
    )  # fmt: skip


def _dumped(obj: Obj) -> Mapping[str, Any]:
    return {"kind": obj.kind, **{key: value for key, value in dump(obj).items() if key not in ("why", "_key")}}


def state_of(given: HandInState, fresh: State) -> State:
    """The state to make: the handed objects, and the fresh lab's namespaces, processes and rules that are still there.

    Raises BadInput for an object of another kind, of another namespace, or with fields that such an object has not.
    """
    rules = {*map(tuple, given.rules)}
    own = [
        obj
        for obj in fresh.values()
        if isinstance(obj, _OWN) and (not isinstance(obj, _RULES) or (obj.netns, obj.name) in rules)
    ]
    if len(given.objects) > 10 * len(fresh) + 1000:
        raise BadInput(f"{len(given.objects)} objects are too many for this lab, which has {len(fresh)}")
    return State([*own, *_objects(given.objects, fresh)])


def learned_of(given: HandInState, fresh: State) -> tuple[Obj, ...]:
    """The neighbours and forwarding entries that the kernel had learned: they are shown to the checks, and not made."""
    return tuple(_objects(given.learned, fresh))


def _objects(data: Sequence[Mapping[str, Any]], fresh: State) -> Iterable[Obj]:
    inside, keys = fresh.netns(), dict[Key, None]()
    settings = {obj.key for obj in fresh.only(Sysctl)}
    for each in data:
        fields = dict(each)
        kind = _KINDS.get(str(fields.pop("kind", "")))
        if kind is None:
            raise BadInput(f"an object of kind {_shown(each.get('kind'))} is no object that a hand-in may have")
        known = {"netns", *kind.__dataclass_fields__} - {"why", "_key"}
        if unknown := sorted(set(fields) - known):
            raise BadInput(f"an object of kind {kind.kind} has no field {_shown(unknown[0])}")
        try:
            obj = load(kind, fields)
        except (ValueError, TypeError, KeyError) as wrong:
            raise BadInput(f"an object of kind {kind.kind} is wrong: {_shown(wrong)}") from None
        places = {where for where, _ in ends(obj)} if isinstance(obj, Veth) else {obj.netns}
        if outside := sorted(places - inside):
            raise BadInput(
                f"{kind.kind} {_shown(obj.name)} is in {_shown(outside[0])}, which is no namespace of this lab"
            )
        if isinstance(obj, Sysctl) and obj.key not in settings:
            raise BadInput(f"sysctl {_shown(obj.path)} in {obj.netns} is none that this lab sets")
        if obj.key in keys:
            raise BadInput(f"{kind.kind} {_shown(obj.name)} in {obj.netns} is there twice")
        keys[obj.key] = None
        yield obj


def _shown(value: object) -> str:
    return terminal(str(value))[:80]
