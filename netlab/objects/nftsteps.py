"""A namespace's operations on nftables objects as transactions, each a list of steps in an order that holds.

As few transactions as keep any packet from meeting half of a change: a small change is a small transaction, and other
counters live on.  A step is one thing done to one object; it is put into nft's words here, and into the kernel's messages
by ``kernel.nftables.compile``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from enum import Enum

from netlab.objects.base import Op, Verb
from netlab.objects.nft import NftChain, NftObject, NftSet, NftTable
from netlab.tuples import NamedTuple


class Act(Enum):
    """The kinds of steps."""

    DECLARE = "declare"  # make it, empty
    FLUSH = "flush"  # empty it
    FILL = "fill"  # put a chain's rules in
    PUT = "put"  # put a set's elements in
    TAKE = "take"  # take them out
    DELETE = "delete"


class Step(NamedTuple):
    """One act; ``elements`` are those that it is about."""

    act: Act
    obj: NftObject
    elements: frozenset[str] = frozenset()

    def words(self) -> list[str]:
        """The step in nft's language."""
        obj = self.obj
        if self.act is Act.DECLARE:
            return obj.statements()
        if self.act is Act.DELETE:
            return obj.removal()[-1:]
        if self.act is Act.FLUSH:
            return obj.removal()[:-1]
        if self.act is Act.FILL:
            return obj.contents()
        assert isinstance(obj, NftSet)
        return obj.adding(self.elements) if self.act is Act.PUT else obj.taking(self.elements)


def text(steps: Iterable[Step]) -> str:
    """Steps in nft's language."""
    return "".join(f"{statement}\n" for step in steps for statement in step.words())


def transaction(ops: Sequence[Op]) -> list[Step]:
    """The steps of one namespace's operations, in an order in which each finds what it refers to.

    First what leads to chains that go (elements, rules) goes; then declarations, then contents; chains, sets and
    tables are deleted when nothing leads to them any more.
    """
    declared: list[Step] = []
    taken: list[Step] = []
    filled: list[Step] = []
    added: list[Step] = []
    deleted: list[Step] = []
    gone_tables: list[Step] = []
    gone = {op.obj.place for op in ops if op.verb is Verb.DELETE and isinstance(op.obj, NftTable)}
    for op in sorted(ops, key=lambda op: _RANK[type(op.obj)]):
        obj = op.obj
        assert isinstance(obj, (NftTable, NftChain, NftSet))
        if op.verb is Verb.DELETE:
            if isinstance(obj, NftTable):
                gone_tables.append(Step(Act.DELETE, obj))
            elif obj.place not in gone:
                if len(obj.removal()) > 1:
                    taken.append(Step(Act.FLUSH, obj))
                deleted.append(Step(Act.DELETE, obj))
            continue
        if op.verb is Verb.CREATE:
            declared.append(Step(Act.DECLARE, obj))
        if isinstance(obj, NftChain):
            if op.verb is Verb.UPDATE:
                filled.append(Step(Act.FLUSH, obj))
            filled.append(Step(Act.FILL, obj))
        elif isinstance(obj, NftSet):
            have = op.have.elements if op.verb is Verb.UPDATE and isinstance(op.have, NftSet) else frozenset()
            if lost := have - obj.elements:
                taken.append(Step(Act.TAKE, obj, lost))
            if new := obj.elements - have:
                added.append(Step(Act.PUT, obj, new))
    deleted.sort(key=lambda step: (-_RANK[type(step.obj)], step.obj.name))
    # Deleted tables first: the same table may be made anew in this very transaction.
    # Verdict maps' elements need their chains, rules need their sets: declarations come before both.
    return [*gone_tables, *declared, *taken, *filled, *added, *deleted]


MANY = 2000  # chains that come, from which on they come in parts
CHUNK = 1000  # chains filled in a part: the kernel's work in one transaction grows with the square of its sets


def transactions(ops: Sequence[Op], *, at_once: bool = False) -> list[list[Step]]:
    """As ``transaction``, in the parts in which it is to be committed.

    New sets exist before the rules that use them, and old sets remain until their rules are gone. The kernel changes
    rules in one step and elements in another, and a packet between the two would match no element (measured: one of
    30,000). ``at_once``: in one part.

    For very many chains: first the tables and all that is empty, then rules and elements. Base chains come last, so
    that no packet meets an incomplete table. A table that is removed and made again stays whole until then.
    """
    chains = [op for op in ops if op.verb is Verb.CREATE and isinstance(op.obj, NftChain) and not op.obj.base]
    if len(chains) <= MANY or any(op.verb is Verb.DELETE and isinstance(op.obj, NftTable) for op in ops):
        parts = [transaction(part) for part in ([ops] if at_once else _around_sets(ops))]
    else:
        parts = _in_chunks(ops)
    return [part for part in parts if part]


def _in_chunks(ops: Sequence[Op]) -> list[list[Step]]:
    empty: list[Step] = []
    rules: list[Step] = []
    elements: list[list[Step]] = []
    last: list[Op] = []
    for op in sorted(
        (operation for part in _tracked_first(ops) for operation in part), key=lambda op: _RANK[type(op.obj)]
    ):
        obj = op.obj
        assert isinstance(obj, (NftTable, NftChain, NftSet))
        if op.verb is not Verb.CREATE:
            last.append(op)
        elif isinstance(obj, NftSet):
            empty.append(Step(Act.DECLARE, obj))
            listed = sorted(obj.elements)
            chunks = (listed[start : start + CHUNK] for start in range(0, len(listed), CHUNK))
            elements += [[Step(Act.PUT, obj, frozenset(chunk))] for chunk in chunks]
        elif not isinstance(obj, NftChain):
            empty.append(Step(Act.DECLARE, obj))
        elif not obj.base:
            empty.append(Step(Act.DECLARE, obj))
            rules.append(Step(Act.FILL, obj))
        elif _lets_established_pass(obj) and len(obj.rules) == 1:
            empty += [Step(Act.DECLARE, obj), Step(Act.FILL, obj)]
        else:
            last.append(op)
    filled = [rules[start : start + CHUNK] for start in range(0, len(rules), CHUNK)]
    return [empty, *filled, *elements, transaction(last)]


def _around_sets(ops: Sequence[Op]) -> list[Sequence[Op]]:
    """The sets that come, all else, the sets that go.  Not maps, whose elements lead to chains; not with a whole table."""
    if any(isinstance(op.obj, NftTable) for op in ops):
        return _tracked_first(ops)
    parts: dict[Verb, list[Op]] = {Verb.CREATE: [], Verb.UPDATE: [], Verb.DELETE: []}
    for op in ops:
        alone = isinstance(op.obj, NftSet) and not op.obj.data
        parts[op.verb if alone else Verb.UPDATE].append(op)
    return list(parts.values())


_TRACKED = "ct state established"


def _tracked_first(ops: Sequence[Op]) -> list[Sequence[Op]]:
    """A new table's chains that let what is established pass, with that rule alone; then all.

    The kernel tracks connections from the first rule on that asks for their state.  The answer to a packet that went out
    before that belongs to nothing: judged as new it may be dropped, and its connection waits a second for the next try.
    """
    first: list[Op] = []
    rest: list[Op] = []
    for op in ops:
        obj = op.obj
        if op.verb is Verb.CREATE and isinstance(obj, NftTable):
            first.append(op)
        elif op.verb is Verb.CREATE and isinstance(obj, NftChain) and _lets_established_pass(obj):
            alone = replace(obj, rules=obj.rules[:1])
            first.append(Op(Verb.CREATE, alone))
            rest.append(Op(Verb.UPDATE, obj, alone))
        else:
            rest.append(op)
    return [first, rest] if len(rest) + len(first) > len(ops) else [ops]


def _lets_established_pass(chain: NftChain) -> bool:
    return bool(chain.base and chain.rules) and chain.rules[0].startswith(_TRACKED)


_RANK: dict[type, int] = {NftTable: 0, NftSet: 1, NftChain: 2}
