"""Operations as a table, a shell script, and sentences of drift."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from netlab.objects import Addr, Listener, Neigh, NftChain, NftTable, Op, Process, Sysctl, Verb
from netlab.objects.base import LEARNED, Key, Obj
from netlab.objects.links import Veth
from netlab.objects.nft import NftObject
from netlab.objects.nftorder import typed

_INDEX = re.compile(r"(?<= )index \d+ ")
HEADER = ("VERB", "KIND", "NETNS", "NAME", "WHY", "SOURCE")


def rows(operations: Iterable[Op]) -> list[tuple[str, ...]]:
    """A row an operation."""
    return [
        (
            op.verb.value,
            op.obj.kind,
            op.obj.netns,
            op.obj.name,
            op.obj.why.message,
            f"{op.obj.why.mark.file}:{op.obj.why.mark.line}" if op.obj.why.mark else "",
        )
        for op in operations
    ]


def script(lab: str, operations: Sequence[Op], *, exact: bool = False, up: str = "") -> str:
    """A shell script that does the operations when it is pasted into a root shell.

    Listeners and processes are not in it: its last line starts the agent that has them.  ``up`` are that line's words
    after ``netlab up`` (else the lab's name).
    """
    parts = [f"# lab {lab}: paste into a root shell"]
    why = ""
    for op in typed(operations):
        if isinstance(op.obj, (Listener, Process)):
            continue
        if op.obj.why.message != why:
            why = op.obj.why.message
            parts.append(f"# {why}")
        parts.append(op.explain(exact=exact))
    parts.append(
        f"netlab up {up or lab}  # starts the agent: answers on the Pods' ports, their commands; the network is there already"
    )
    return "\n".join(parts)


def drifts(operations: Sequence[Op]) -> Iterator[str]:
    """Each drifted object as ``drifted`` writes it, in an order in which the lines that mend can be typed.

    What is put into an nftables table that is made anew is there already: its lines are the table's.
    """
    made = {op.obj.key: op for op in operations if op.verb is Verb.CREATE}
    tables = {op.obj.key for op in operations if op.verb is Verb.DELETE and isinstance(op.obj, NftTable)} & made.keys()
    keys = {(made[key].obj.netns, made[key].obj.name): key for key in tables}
    contents: dict[Key, list[Op]] = {key: [] for key in tables}
    shown: list[Op] = []
    for op in typed(operations):
        table = keys.get((op.obj.netns, op.obj.place)) if isinstance(op.obj, NftObject) else None
        if table is None or op.verb is not Verb.CREATE:
            shown.append(op)
        else:
            contents[table].append(op)
    for op in shown:
        anew = made.get(op.obj.key) if op.verb is Verb.DELETE else None
        yield drifted(op, anew.obj if anew else None, contents.get(op.obj.key, ()))


def drifted(op: Op, anew: Obj | None = None, contents: Sequence[Op] = ()) -> str:
    """One drifted object as a sentence: where it is, what is wrong, what asked for it, how it is mended by hand.

    ``anew``: what is to stand in the place of one that is taken away, since it cannot be changed into that.
    ``contents``: what makes a table that is made anew, and fills it.
    """
    obj = op.obj
    source = f"  wanted by {obj.why}" if op.verb is not Verb.DELETE else "  nothing in the spec asks for it"
    if anew is not None:
        source = f"  wanted by {anew.why}"
        differences = (
            _changes(obj, anew) if type(obj) is type(anew) else [f"it is a {obj.kind}, should be a {anew.kind}"]
        )
        differences = differences or ["it goes with an address that was there before it"]
        message = f"changed: {_called(obj)}: {', '.join(differences)} (up creates it again)"
    elif op.verb is Verb.CREATE:
        message = f"missing: {_called(obj)}"
    elif obj.why is LEARNED:
        source = "  it contradicts the lab"
        message = f"learned: {_called(obj)}{_seen(obj)}"
    elif op.verb is Verb.DELETE:
        message = f"not part of the lab: {_called(obj)}"
    else:
        changes = ", ".join(_changes(op.have, obj)) if op.have else ""
        message = f"changed: {_called(obj)}{': ' + changes if changes else ''}"
    mend = [text for each in (op, *contents) for text in mending(each)]
    if not mend:
        return f"{message}\n{source}"
    return "\n".join(
        [message, source, *(f"  mend by: {text}" for text in mend[:1]), *(f"           {text}" for text in mend[1:])]
    )


def mending(op: Op) -> tuple[str, ...]:
    """The shell lines that do an operation by hand.

    Exact: they must leave no drift, and MAC addresses are compared.  Indexes are not, and another link may have taken
    one.
    """
    lines = _INDEX.sub("", op.explain(exact=True)).splitlines()
    return tuple(text for text in lines if not text.startswith("#"))


def foreign_text(obj: Obj) -> str:
    """One foreign object: where it is, and the lines that remove it."""
    first, *others = removal(obj) or ("",)
    lines = [f"foreign: {obj.kind} {obj.name} in {obj.netns} (left alone)"]
    lines += [f"  remove by: {first}"] if first else []
    return "\n".join([*lines, *(f"             {text}" for text in others)])


def removal(obj: Obj) -> tuple[str, ...]:
    """The shell lines that remove a foreign object."""
    return tuple(text for text in obj.undo().splitlines() if not text.startswith("#"))


def _seen(obj: Obj) -> str:
    """What was learned, where the object's name does not say so."""
    return f": {obj.mac}" if isinstance(obj, Neigh) else ""


def _called(obj: Obj) -> str:
    value = f"={obj.value}" if isinstance(obj, Sysctl) and obj.usual else ""
    return f"{obj.kind} {obj.name}{value}" + (f" in {obj.netns}" if obj.name != obj.netns else "")


def _value(value: Any) -> Any:
    if isinstance(value, bool):
        return "on" if value else "off"
    return value or "unset"


def _changes(have: Obj, want: Obj) -> list[str]:
    """``mtu is 1400, should be 1450`` for each field that differs."""
    parts = []
    for name in want.__dataclass_fields__:
        if not want.__dataclass_fields__[name].compare:
            continue
        there, should = getattr(have, name, None), getattr(want, name)
        if there == should:
            continue
        if isinstance(want, Veth) and name in ("end", "peer"):
            same_end = (should.netns, should.name) == (want.netns, want.name)
            if there is None and same_end:
                continue  # "kind is link" says it
            parts += [
                text if same_end else f"{should.name} in {should.netns}: {text}" for text in _fields(there, should)
            ]
        elif name == "comment" and isinstance(want, NftTable):
            parts.append(f"it {there}" if str(there).startswith("differs in ") else f"comment is {_value(there)}")
        elif name == "rules" and isinstance(want, NftChain):
            parts.append("its rules were changed")
        elif name == "content":
            parts.append("its text differs")
        elif name in ("options", "extra") and there and not should:
            parts.append(f"it has {there}")
        elif name == "deviations":
            parts += _deviations(there)
        elif name == "lacks":
            of_table = "its route of table local, type " if isinstance(want, Addr) else ""
            parts += [f"it lacks {of_table}{feature}" for feature in there or ()]
        elif name == "state" and isinstance(want, Addr):
            parts.append(f"it is {there}")
        elif name == "stopped":
            parts.append("its process is stopped")
        else:
            parts.append(f"{name.rstrip('_')} is {_value(there)}, should be {_value(should)}")
    return parts


def _deviations(there: Any) -> list[str]:
    return [deviation.message for deviation in there]


def _fields(there: Any, should: Any) -> list[str]:
    if there is None:  # the other end of a pair whose namespace is gone
        return ["it is gone"]
    return _deviations(there.deviations) + [
        f"{name} is {_value(getattr(there, name))}, should be {_value(getattr(should, name))}"
        for name, spec in should.__dataclass_fields__.items()
        if spec.compare and name != "deviations" and getattr(there, name) != getattr(should, name)
    ]
