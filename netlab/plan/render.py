"""Operations as a table, a shell script, JSON, and sentences of drift."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from netlab.objects import File, Listener, NftChain, NftSet, NftTable, Op, Process, Sysctl, Verb
from netlab.objects.base import Obj
from netlab.objects.links import Veth

HEADER = ("VERB", "KIND", "NETNS", "NAME", "WHY", "SOURCE")


def rows(operations: Iterable[Op]) -> list[tuple[str, ...]]:
    """A row an operation."""
    return [
        (
            op.verb.value,
            op.obj.kind,
            op.obj.netns,
            op.obj.name,
            op.obj.why.says,
            f"{op.obj.why.mark.file}:{op.obj.why.mark.line}" if op.obj.why.mark else "",
        )
        for op in operations
    ]


def operation(op: Op) -> dict[str, Any]:
    """One operation as JSON has it."""
    return {
        "verb": op.verb.value,
        "kind": op.obj.kind,
        "netns": op.obj.netns,
        "name": op.obj.name,
        "why": op.obj.why.says,
        "source": str(op.obj.why.mark) if op.obj.why.mark else None,
        "commands": [text for text in op.explain().splitlines() if not text.startswith("#")],
    }


def script(lab: str, operations: Sequence[Op], *, exact: bool = False, up: str = "") -> str:
    """A shell script that does the operations when it is pasted into a root shell.

    Listeners and processes are not in it: its last line starts the agent that has them.  ``up`` are that line's words
    after ``netlab up`` (else the lab's name).
    """
    parts = [f"# lab {lab}: paste into a root shell"]
    why = ""
    for op in operations:
        if isinstance(op.obj, (Listener, Process)):
            continue
        if op.obj.why.says != why:
            why = op.obj.why.says
            parts.append(f"# {why}")
        parts.append(op.explain(exact=exact))
    parts.append(
        f"netlab up {up or lab}  # starts the agent: answers on the Pods' ports, their commands; the network is there already"
    )
    return "\n".join(parts)


def without_contents(operations: Sequence[Op]) -> tuple[Op, ...]:
    """The operations less what is put into nftables tables that are made anew: it is there, and is told with its table."""
    anew = {
        (op.obj.netns, op.obj.place) for op in operations if op.verb is Verb.DELETE and isinstance(op.obj, NftTable)
    }
    return tuple(
        op
        for op in operations
        if not (
            op.verb is Verb.CREATE
            and isinstance(op.obj, (NftTable, NftChain, NftSet))
            and (op.obj.netns, op.obj.place) in anew
        )
    )


def drifted(op: Op, anew: Obj | None = None) -> str:
    """One drifted object as a sentence: where it is, what is wrong, what asked for it, how it is mended by hand.

    ``anew``: what is to stand in the place of one that is taken away, since it cannot be changed into that.
    """
    obj = op.obj
    source = f"  wanted by {obj.why}" if op.verb is not Verb.DELETE else "  nothing in the spec asks for it"
    if anew is not None:
        source = f"  wanted by {anew.why}"
        what = _changes(obj, anew) if type(obj) is type(anew) else [f"it is a {obj.kind}, should be a {anew.kind}"]
        says = f"changed: {_called(obj)}: {', '.join(what)} (it is to be made anew)"
    elif op.verb is Verb.CREATE:
        says = f"missing: {_called(obj)}"
    elif op.verb is Verb.DELETE:
        says = f"unasked for: {_called(obj)}"
    else:
        changes = ", ".join(_changes(op.have, obj)) if op.have else ""
        says = f"changed: {_called(obj)}{': ' + changes if changes else ''}"
    # Exact: what is mended by hand must leave no drift, and MAC addresses are compared.
    mend = [text for text in op.explain(exact=True).splitlines() if not text.startswith("#")]
    if isinstance(obj, File) or not mend:
        return f"{says}\n{source}"
    return "\n".join(
        [says, source, *(f"  mend by: {text}" for text in mend[:1]), *(f"           {text}" for text in mend[1:])]
    )


def _called(obj: Obj) -> str:
    value = f"={obj.value}" if isinstance(obj, Sysctl) and obj.usual else ""
    return f"{obj.kind} {obj.name}{value}" + (f" in {obj.netns}" if obj.name != obj.netns else "")


def _value(value: Any) -> Any:
    if isinstance(value, bool):
        return "on" if value else "off"
    return value or "unset"


def _changes(have: Obj, want: Obj) -> list[str]:
    """``mtu is 1400, should be 1450`` for each field that differs."""
    found = []
    for name in want.__dataclass_fields__:
        if not want.__dataclass_fields__[name].compare:
            continue
        there, should = getattr(have, name, None), getattr(want, name)
        if there == should:
            continue
        if isinstance(want, Veth) and name in ("end", "peer"):
            told = (should.netns, should.name) == (want.netns, want.name)
            found += [text if told else f"{should.name} in {should.netns}: {text}" for text in _fields(there, should)]
        elif name == "comment" and isinstance(want, NftTable):
            found.append(f"it {there}" if str(there).startswith("differs in ") else f"comment is {_value(there)}")
        elif name == "rules" and isinstance(want, NftChain):
            found.append("its rules were changed")
        elif name == "content":
            found.append("its text differs")
        elif name in ("options", "extra") and there and not should:
            found.append(f"it has {there}")
        elif name == "odd":
            found += _odd(there)
        elif name == "lacks":
            found += [f"it lacks {one}" for one in there or ()]
        elif name == "stopped":
            found.append("its process is stopped")
        else:
            found.append(f"{name.rstrip('_')} is {_value(there)}, should be {_value(should)}")
    return found


def _odd(there: Any) -> list[str]:
    return [f"{one.word} is {one.value}, should be {one.usual}" for one in there]


def _fields(there: Any, should: Any) -> list[str]:
    return _odd(there.odd) + [
        f"{name} is {_value(getattr(there, name))}, should be {_value(getattr(should, name))}"
        for name, spec in should.__dataclass_fields__.items()
        if spec.compare and name != "odd" and getattr(there, name) != getattr(should, name)
    ]
