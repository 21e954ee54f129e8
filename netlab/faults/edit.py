"""Changes of States and documents that several faults make."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any, TypeVar

from netlab.faults.fault import OPEN, Objects
from netlab.objects import NftChain, NftTable, Obj, State, Sysctl

T = TypeVar("T", bound=Obj)


def without(state: State, kind: type[T], which: Callable[[T], bool]) -> State:
    """The State less the objects of a class that fit."""
    return state.without(*(obj.key for obj in state.only(kind) if which(obj)))


def changed(state: State, kind: type[T], which: Callable[[T], bool], change: Callable[[T], T]) -> State:
    """The State with the objects of a class that fit changed; the key may change too."""
    before = [obj for obj in state.only(kind) if which(obj)]
    return state.without(*(obj.key for obj in before)).replace(*map(change, before)) if before else state


def set_sysctl(state: State, netns: str, **values: str) -> State:
    """The State with sysctls of a namespace; ``__`` in a name stands for a dot."""
    return state.replace(*(Sysctl(netns, name.replace("__", "."), value, why=OPEN) for name, value in values.items()))


def chain(netns: str, family: str, table: str, name: str, base: str, *rules: str) -> tuple[Obj, Obj]:
    """A table with one base chain, as another program leaves it: ``base`` is ``filter hook forward priority 0``."""
    kind, _, more = base.partition(" ")
    text = f"type {kind} {more}" + (" policy accept;" if "policy" not in base else "")
    return (
        NftTable(netns, family, table, why=OPEN),
        NftChain(netns, family, table, chain=name, rules=rules, base=text, why=OPEN),
    )


def edited(objects: Objects, kind: str, at: str, change: Callable[[dict[str, Any]], None]) -> Objects:
    """The documents with the object ``namespace/name`` of a kind changed in its ``spec``."""

    def of(body: dict[str, Any]) -> dict[str, Any]:
        body = copy.deepcopy(body)
        change(body.setdefault("spec", {}))
        return body

    return tuple(
        replace(each, body=of(each.body)) if each.kind == kind and f"{each.namespace}/{each.name}" == at else each
        for each in objects
    )


def first(items: Iterable[T | str]) -> Any:
    """The first of some; None where there is none."""
    return next(iter(items), None)
