"""nftables objects: tables, chains with their rules, sets and maps with their elements.

They are text, in nft's own language, because that is what learners look up.  How a namespace's operations on them go to
the kernel is ``nftsteps``.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from typing import ClassVar

from netlab.objects.base import Floor, Obj, lines
from netlab.values import dataclass


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
        return lines(f"ip netns exec {self.netns} nft {shlex.quote(statement)}" for statement in statements)


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
        """The keyword of nft."""
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
        keys = sorted(element.split(" : ", 1)[0] if self.data else element for element in elements)
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
