"""The order in which a namespace's nftables operations can be typed, a shell line at a time.

A transaction declares first and fills afterwards (``nftsteps``), but an operation's own lines do both.  So whatever rules
and elements lead to is made before them, and goes after them; nftables admits no circle of chains, so there is an order.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from netlab.objects.base import Floor, Key, Op, Verb
from netlab.objects.nft import NftChain, NftObject, NftSet, NftTable

_CHAIN = re.compile(r"\b(?:jump|goto) ([^\s,;}]+)")
_SET = re.compile(r"@([^\s,;}]+)")


def typed(operations: Sequence[Op]) -> tuple[Op, ...]:
    """The operations in an order in which each one's shell lines find what they refer to."""
    rules = [op for op in operations if op.obj.floor is Floor.NFT]
    if not rules:
        return tuple(operations)
    rest = [op for op in operations if op.obj.floor is not Floor.NFT]
    lower = [op for op in rest if op.verb is Verb.DELETE or op.obj.floor < Floor.NFT]
    upper = [op for op in rest if op.verb is not Verb.DELETE and op.obj.floor > Floor.NFT]
    tables: dict[tuple[str, str], list[Op]] = {}
    for op in rules:
        assert isinstance(op.obj, NftObject)
        tables.setdefault((op.obj.netns, op.obj.place), []).append(op)
    return (*lower, *(op for of_table in tables.values() for op in _of_table(of_table)), *upper)


def _of_table(operations: Iterable[Op]) -> Iterator[Op]:
    gone: dict[Key, Op] = {}
    made: dict[Key, Op] = {}
    for op in operations:
        (gone if op.verb is Verb.DELETE else made)[op.obj.key] = op
    last = _referred_first(gone)[::-1]
    yield from (op for op in last if isinstance(op.obj, NftTable) or op.obj.key in made)
    yield from (op for op in made.values() if isinstance(op.obj, NftTable))
    yield from (op for op in _referred_first(made) if not isinstance(op.obj, NftTable))
    yield from (op for op in last if not isinstance(op.obj, NftTable) and op.obj.key not in made)


def _referred_first(operations: Mapping[Key, Op]) -> list[Op]:
    """Chains, sets and maps after those that their rules and elements name."""
    by_name = {(type(op.obj), _name(op)): key for key, op in operations.items()}
    ordered: dict[Key, Op] = {}
    entered: set[Key] = set()

    def enter(key: Key) -> None:
        if key in entered:
            return
        entered.add(key)
        op = operations[key]
        for referred in _referred(op):
            if referred in by_name:
                enter(by_name[referred])
        ordered[key] = op

    for key in operations:
        enter(key)
    return list(ordered.values())


def _name(op: Op) -> str:
    obj = op.obj
    return obj.chain if isinstance(obj, NftChain) else obj.set if isinstance(obj, NftSet) else ""


def _referred(op: Op) -> Iterator[tuple[type, str]]:
    obj = op.obj
    for text in obj.rules if isinstance(obj, NftChain) else sorted(obj.elements) if isinstance(obj, NftSet) else ():
        yield from ((NftChain, name) for name in _CHAIN.findall(text))
        yield from ((NftSet, name) for name in _SET.findall(text))
