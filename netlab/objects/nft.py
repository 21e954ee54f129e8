"""nftables objects: tables, chains with their rules, sets and maps with their elements.

They are text, in nft's own language, because that is what learners look up.  A namespace's operations go to the kernel
as few transactions as keep any packet from meeting half of them (``transactions``): a small change is a small
transaction, and other counters live on.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from netlab.objects.base import Floor, Key, Obj, Op, Verb, lines


@dataclass(frozen=True, slots=True)
class _InTable(Obj):
    """What everything in nftables has: the table's family (ip, ip6, inet, arp, bridge, netdev) and name."""

    floor: ClassVar[Floor] = Floor.NFT

    family: str
    table: str

    @property
    def place(self) -> str:
        """``ip kube-proxy``: how rules name the table."""
        return f"{self.family} {self.table}"

    def statements(self) -> list[str]:
        """The nft statements that declare it, without what refers to other objects."""
        raise NotImplementedError

    def contents(self) -> list[str]:
        """The statements that fill it: rules, elements."""
        return []

    def removal(self) -> list[str]:
        """The statements that remove it."""
        raise NotImplementedError

    def explain(self, *, exact: bool = False) -> str:
        return self._shell([*self.statements(), *self.contents()])

    def undo(self) -> str:
        return self._shell(self.removal())

    def _shell(self, statements: Iterable[str]) -> str:
        return lines(f"ip netns exec {self.netns} nft {shlex.quote(one)}" for one in statements)


@dataclass(frozen=True, slots=True)
class NftTable(_InTable):
    """A table."""

    kind: ClassVar[str] = "nft"

    comment: str = ""

    @property
    def name(self) -> str:
        return self.place

    def statements(self) -> list[str]:
        comment = f' {{ comment "{self.comment}"; }}' if self.comment else ""
        return [f"add table {self.place}{comment}"]

    def removal(self) -> list[str]:
        return [f"delete table {self.place}"]


@dataclass(frozen=True, slots=True)
class NftChain(_InTable):
    """A chain and its rules.

    ``base`` is what makes it a base chain (``type nat hook postrouting priority srcnat; policy accept;``), empty for a
    chain that is jumped to.
    """

    kind: ClassVar[str] = "nft-chain"

    chain: str
    rules: tuple[str, ...] = ()
    base: str = ""
    comment: str = ""

    @property
    def name(self) -> str:
        return f"{self.place} {self.chain}"

    def statements(self) -> list[str]:
        inner = " ".join(part for part in (self.base, f'comment "{self.comment}";' if self.comment else "") if part)
        return [f"add chain {self.name}" + (f" {{ {inner} }}" if inner else "")]

    def contents(self) -> list[str]:
        return [f"add rule {self.name} {rule}" for rule in self.rules]

    def removal(self) -> list[str]:
        return [f"flush chain {self.name}", f"delete chain {self.name}"]

    def refill(self) -> list[str]:
        """The statements that give an existing chain these rules."""
        return [f"flush chain {self.name}", *self.contents()]

    def amend(self, have: Obj) -> str | None:
        if not isinstance(have, NftChain) or have.base != self.base or have.comment != self.comment:
            return None
        return self._shell(self.refill())


@dataclass(frozen=True, slots=True)
class NftSet(_InTable):
    """A set or, where ``data`` is given, a map; ``elements`` are nft text (``10.0.0.1``, ``10.0.0.1 : goto web``).

    ``type`` is the key (``ipv4_addr . inet_service``), ``data`` what a map leads to (``verdict``), ``flags`` as
    nft has them (``interval``), ``extra`` anything more (``timeout 10800s;``).
    """

    kind: ClassVar[str] = "nft-set"

    set: str
    type: str
    elements: frozenset[str] = frozenset()
    data: str = ""
    flags: str = ""
    extra: str = ""
    comment: str = ""

    @property
    def word(self) -> str:
        """What nft calls it."""
        return "map" if self.data else "set"

    @property
    def name(self) -> str:
        return f"{self.place} {self.set}"

    def statements(self) -> list[str]:
        parts = [f"type {self.type} : {self.data};" if self.data else f"type {self.type};"]
        parts += [f"flags {self.flags};"] if self.flags else []
        parts += [self.extra] if self.extra else []
        parts += [f'comment "{self.comment}";'] if self.comment else []
        return [f"add {self.word} {self.name} {{ {' '.join(parts)} }}"]

    def contents(self) -> list[str]:
        return self.adding(self.elements)

    def adding(self, elements: Iterable[str]) -> list[str]:
        """The statement that puts elements in."""
        return [f"add element {self.name} {{ {', '.join(sorted(elements))} }}"] if elements else []

    def taking(self, elements: Iterable[str]) -> list[str]:
        """The statement that takes elements out; a map's are named by their keys."""
        keys = sorted(one.split(" : ", 1)[0] if self.data else one for one in elements)
        keys = [key.split(" comment ", 1)[0] for key in keys]
        return [f"delete element {self.name} {{ {', '.join(keys)} }}"] if keys else []

    def removal(self) -> list[str]:
        # A map is emptied first, since it leads to chains that may go too.  A set is not: a packet on its way through the
        # old rules would find it empty, for one moment.
        return [f"flush map {self.name}", f"delete map {self.name}"] if self.data else [f"delete set {self.name}"]

    def _same_frame(self, have: NftSet) -> bool:
        mine = (self.type, self.data, self.flags, self.extra, self.comment)
        return mine == (have.type, have.data, have.flags, have.extra, have.comment)

    def amend(self, have: Obj) -> str | None:
        if not isinstance(have, NftSet) or not self._same_frame(have):
            return None
        gone, new = have.elements - self.elements, self.elements - have.elements
        return self._shell([*self.taking(gone), *self.adding(new)])


NftObject = NftTable | NftChain | NftSet


def transaction(ops: Sequence[Op]) -> str:
    """The nft text of one namespace's operations, in an order in which each statement finds what it refers to.

    First what leads to chains that go (elements, rules) goes; then declarations, then contents; chains, sets and
    tables are deleted when nothing leads to them any more.
    """
    taken: list[str] = []
    declared: list[str] = []
    filled: list[str] = []
    added: list[str] = []
    deleted: list[tuple[int, str]] = []
    gone_tables = {op.obj.place for op in ops if op.verb is Verb.DELETE and isinstance(op.obj, NftTable)}
    for op in sorted(ops, key=lambda op: _RANK[type(op.obj)]):
        obj = op.obj
        assert isinstance(obj, (NftTable, NftChain, NftSet))
        if op.verb is Verb.DELETE:
            if isinstance(obj, NftTable) or obj.place not in gone_tables:
                *first, last = obj.removal()
                taken += first
                deleted.append((-_RANK[type(obj)], last))
            continue
        if op.verb is Verb.CREATE:
            declared += obj.statements()
        if isinstance(obj, NftChain):
            filled += obj.refill() if op.verb is Verb.UPDATE else obj.contents()
        elif isinstance(obj, NftSet):
            have = op.have.elements if op.verb is Verb.UPDATE and isinstance(op.have, NftSet) else frozenset()
            taken += obj.taking(have - obj.elements)
            added += obj.adding(obj.elements - have)
    # Deleted tables first: the same table may be made anew in this very transaction.
    tables = [text for rank, text in deleted if text.startswith("delete table")]
    rest = [text for rank, text in sorted(deleted) if not text.startswith("delete table")]
    # Verdict maps' elements need their chains, rules need their sets: declarations come before both.
    return "".join(f"{text}\n" for text in (*tables, *declared, *taken, *filled, *added, *rest))


CHUNK = 2000  # chains made in a transaction: the kernel's work grows with the square of them (10,000 Services: 23 s)
_LEADS_TO = re.compile(r"\b(?:goto|jump) ([^\s,;}]+)")


def transactions(ops: Sequence[Op], *, at_once: bool = False) -> list[str]:
    """As ``transaction``, in the parts in which it is to be committed.

    Sets that come are there before the rules that look into them, and sets that go stay until those rules are gone: the
    kernel changes from the old rules to the new ones in one step and from the old elements to the new ones in another,
    and a packet between the two would find no element (measured: one of 30,000).  ``at_once``: not so.

    Where very many chains are made: first tables and empty sets, then chains, those that others lead to first, then
    elements, then all else; base chains come last, so that no packet meets a part, and the kernel follows the ways
    through the chains once.
    """
    chains = [op for op in ops if op.verb is Verb.CREATE and isinstance(op.obj, NftChain) and not op.obj.base]
    if len(chains) <= CHUNK:
        return [text for part in ([ops] if at_once else _around_sets(ops)) if (text := transaction(part))]
    first: list[Op] = []
    elements: list[Op] = []
    last: list[Op] = []
    for op in ops:
        obj = op.obj
        if isinstance(obj, NftTable):
            first.append(op)
        elif op.verb is Verb.CREATE and isinstance(obj, NftSet):
            empty = replace(obj, elements=frozenset())
            first.append(Op(Verb.CREATE, empty))
            listed = sorted(obj.elements)
            for start in range(0, len(listed), CHUNK):
                part = replace(obj, elements=frozenset(listed[start : start + CHUNK]))
                elements.append(Op(Verb.UPDATE, part, empty))
        elif op.verb is not Verb.CREATE or (isinstance(obj, NftChain) and obj.base):
            last.append(op)
    chains = _deepest_first(chains)
    parts = [first, *(chains[start : start + CHUNK] for start in range(0, len(chains), CHUNK))]
    parts += [*([one] for one in elements), last]
    return [text for part in parts if (text := transaction(part))]


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
        elif (
            op.verb is Verb.CREATE
            and isinstance(obj, NftChain)
            and obj.base
            and obj.rules[:1]
            and obj.rules[0].startswith(_TRACKED)
        ):
            alone = replace(obj, rules=obj.rules[:1])
            first.append(Op(Verb.CREATE, alone))
            rest.append(Op(Verb.UPDATE, obj, alone))
        else:
            rest.append(op)
    return [first, rest] if len(rest) + len(first) > len(ops) else [ops]


def _deepest_first(ops: Sequence[Op]) -> list[Op]:
    """Chains in an order in which each comes after those that it leads to."""
    chains = {op.obj.key: op for op in ops}
    depth: dict[Key, int] = {}

    def measured(key: Key) -> int:
        if key not in depth:
            depth[key] = 0
            chain = chains[key].obj
            assert isinstance(chain, NftChain)
            below = (
                key._replace(name=f"{chain.place} {name}") for rule in chain.rules for name in _LEADS_TO.findall(rule)
            )
            depth[key] = 1 + max((measured(one) for one in below if one in chains), default=0)
        return depth[key]

    return sorted(ops, key=lambda op: measured(op.obj.key))


_RANK: dict[type, int] = {NftTable: 0, NftSet: 1, NftChain: 2}
