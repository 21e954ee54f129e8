"""The steps of a transaction as messages of nf_tables."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable, Iterator
from functools import lru_cache

from netlab.kernel.nftables.compile import rules, sets
from netlab.kernel.nftables.compile.words import FAMILIES, NESTED, NotKnown, be32, comment, nest
from netlab.kernel.rtnetlink.socket import APPEND, CREATE, attr, attr_str
from netlab.objects import NftChain, NftSet, NftTable
from netlab.objects.nftsteps import Act, Step

SUBSYSTEM = 10
_NEWTABLE, _DELTABLE, _NEWCHAIN, _DELCHAIN, _NEWRULE, _DELRULE = 0, 2, 3, 5, 6, 8
_NEWSET, _DELSET, _NEWSETELEM, _DELSETELEM = 9, 11, 12, 14

Message = tuple[int, int, bytes]

_HOOKS = {"prerouting": 0, "input": 1, "forward": 2, "output": 3, "postrouting": 4}
_PRIORITIES = {"raw": -300, "mangle": -150, "dstnat": -100, "filter": 0, "security": 50, "srcnat": 100}
_ACCEPT = 1


@lru_cache(64)
def _base(text: str) -> bytes:
    """The attributes of a base chain, from nft's words."""
    if not text:
        return b""
    match = re.fullmatch(r"type (\w+) hook (\w+) priority ([a-z]+|-?\d+)(?: ([+-]) (\d+))?;( policy accept;)?", text)
    if match is None or match[2] not in _HOOKS:
        raise NotKnown(text)
    kind, hook, base, sign, more, policy = match.groups()
    if base.isalpha() and base not in _PRIORITIES:
        raise NotKnown(text)
    priority = _PRIORITIES[base] if base.isalpha() else int(base)
    priority += int(f"{sign}{more}") if sign else 0
    where = nest(4, be32(1, _HOOKS[hook]), be32(2, priority & 0xFFFFFFFF))
    return where + (be32(5, _ACCEPT) if policy else b"") + attr_str(7, kind)


@lru_cache(256)
def _head(family: str, table: str) -> bytes:
    if family not in FAMILIES:
        raise NotKnown(family)
    return bytes((FAMILIES[family], 0, 0, 0)) + attr_str(1, table)


class Compiler:
    """Compiles the transactions of a change, one after the other.

    Sets without a name get one where their table is new, as the kernel would number them: it looks for a free number
    among all sets, and once more wherever the name is used (10,000 Services: 4 s of 9).
    """

    def __init__(self) -> None:
        self._numbered = 0
        self._new: set[str] = set()
        self._numbers: dict[str, int] = {}
        self._named: dict[str, dict[str, int]] = {}

    def messages(self, steps: Iterable[Step]) -> tuple[list[Message], list[Step]]:
        """The messages of a transaction, each (type, flags, body), and the step of each.  Raises NotKnown."""
        self._numbered = 0
        self._numbers.clear()
        messages: list[Message] = []
        whose: list[Step] = []
        for step in steps:
            for kind, flags, body in self._step(step):
                messages.append((SUBSYSTEM << 8 | kind, flags, body))
                whose.append(step)
        return messages, whose

    def _step(self, step: Step) -> Iterator[Message]:
        obj = step.obj
        if isinstance(obj, NftTable):
            return self._table(step, obj)
        return self._chain(step, obj) if isinstance(obj, NftChain) else self._set(step, obj)

    def _table(self, step: Step, obj: NftTable) -> Iterator[Message]:
        head = _head(obj.family, obj.table)
        if step.act is Act.DECLARE:
            self._named[obj.place] = {}
            yield _NEWTABLE, CREATE, head + (attr(6, comment(obj.comment)) if obj.comment else b"")
        else:
            yield _DELTABLE, 0, head

    def _chain(self, step: Step, obj: NftChain) -> Iterator[Message]:
        head = _head(obj.family, obj.table)
        if step.act is Act.DECLARE:
            note = attr(12, comment(obj.comment)) if obj.comment else b""
            yield _NEWCHAIN, CREATE, head + attr_str(3, obj.chain) + _base(obj.base) + note
        elif step.act is Act.DELETE:
            yield _DELCHAIN, 0, head + attr_str(3, obj.chain)
        else:
            head += attr_str(2, obj.chain)
            if step.act is Act.FLUSH:
                yield _DELRULE, 0, head
            else:
                for text in obj.rules:
                    yield from self._rule(obj, head, rules.compiled(obj.family, text))

    def _rule(self, obj: NftChain, head: bytes, rule: rules.Compiled) -> Iterator[Message]:
        table = _head(obj.family, obj.table)
        listed = rule.parts[0]
        for new, after in zip(rule.sets, rule.parts[1:], strict=True):
            self._numbered += 1
            number = struct.pack(">I", self._numbered)
            name = attr_str(2, self._name(obj.place, new.word))
            yield _NEWSET, CREATE, table + name + new.attributes + attr(10, number)
            # by its number alone: a name would be looked for among all sets first
            for part in sets.portions(new.elements):
                yield _NEWSETELEM, CREATE, table + part + attr(4, number)
            listed += number + after
        note = attr(7, rule.note) if rule.note else b""
        yield _NEWRULE, CREATE | APPEND, head + attr(4 | NESTED, listed) + note

    def _name(self, table: str, word: str) -> str:
        """A name for a set without one; of an older table the kernel knows which numbers are free."""
        numbers = self._named.get(table)
        if numbers is None:
            return f"__{word}%d"
        number = numbers[word] = numbers.get(word, -1) + 1
        return f"__{word}{number}"

    def _set(self, step: Step, obj: NftSet) -> Iterator[Message]:
        head = _head(obj.family, obj.table) + attr_str(2, obj.set)
        if step.act is Act.DELETE:
            yield _DELSET, 0, head
            return
        if step.act is Act.FLUSH:
            yield _DELSETELEM, 0, head
            return
        if step.act is Act.DECLARE:
            self._numbered += 1
            self._new.add(obj.name)
            self._numbers[obj.name] = self._numbered
            yield _NEWSET, CREATE, head + sets.named(obj) + be32(10, self._numbered)
            return
        # ranges that touch what is there would have to be joined with it, or cut
        if obj.flags == "interval" and obj.name not in self._new:
            raise NotKnown("ranges in a set that is there")
        taken = step.act is Act.TAKE
        number = self._numbers.get(obj.name)
        if number is not None:  # see _rule
            head = _head(obj.family, obj.table) + be32(4, number)
        for part in sets.portions(sets.elements(obj, step.elements, keys_only=taken)):
            yield (_DELSETELEM, 0, head + part) if taken else (_NEWSETELEM, CREATE, head + part)
