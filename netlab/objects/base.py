"""Floors, keys, reasons, and what every object can say of itself."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import field
from enum import IntEnum, StrEnum
from typing import ClassVar

from netlab.errors import Mark
from netlab.tuples import NamedTuple
from netlab.values import dataclass


class Floor(IntEnum):
    """Creation order; deletion runs backwards.

    Sysctls come before links, because new links copy the namespace's ``default`` values; nft rules come before
    anything is brought up that they should judge; listeners last.
    """

    NETNS = 0
    SYSCTL = 1
    LINK = 2
    PORT = 3
    LINKSYSCTL = 4
    ADDR = 5
    NEIGH = 6
    ROUTE = 7
    NFT = 8
    QDISC = 9
    FILE = 10
    PROC = 11


class Key(NamedTuple):
    """What an object is, uniquely: its floor, the namespace that it lives in, its name there."""

    floor: Floor
    netns: str
    name: str


class Why(NamedTuple):
    """What in the cluster asked for an object; ``mark`` is the YAML line behind it.  Never part of equality.

    Where a policy is the reason, ``policy`` is its namespace/name and ``rule`` which of its rules (``ingress[0]``), or
    the direction alone where none of them allowed.
    """

    message: str
    mark: Mark | None = None
    policy: str = ""
    rule: str = ""

    def __str__(self) -> str:
        return f"{self.message} ({self.mark})" if self.mark else self.message


OBSERVED = Why("observed in the kernel")
LEARNED = Why("learned from packets")  # no desired state has it; wrong where it contradicts one


@dataclass(frozen=True, slots=True)
class Obj:
    """Base of all objects.  Subclasses are frozen values that add fields and the three shell texts."""

    kind: ClassVar[str]
    floor: ClassVar[Floor]

    netns: str
    why: Why = field(default=OBSERVED, compare=False, kw_only=True)
    _key: Key | None = field(default=None, init=False, repr=False, compare=False)

    @property
    def name(self) -> str:
        """The object's name inside its namespace."""
        raise NotImplementedError

    @property
    def key(self) -> Key:
        key = self._key  # asked for again and again, of objects that are kept from one command to the next
        if key is None:
            key = Key(self.floor, self.netns, self.name)
            object.__setattr__(self, "_key", key)
        return key

    def explain(self, *, exact: bool = False) -> str:
        """The shell lines that make it.

        ``exact`` adds what only netlab chooses (interface indexes, MAC addresses), which a learner would leave to the
        kernel.
        """
        raise NotImplementedError

    def undo(self) -> str:
        """The shell lines that remove it."""
        raise NotImplementedError

    def amend(self, have: Obj) -> str | None:
        """The shell lines that turn ``have`` (same key) into this object in place; None: remove and make it anew."""
        return None


class Verb(StrEnum):
    """The kinds of operations."""

    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"


@dataclass(frozen=True, slots=True)
class Op:
    """One step of a plan: make, mend or remove one object.  ``have`` is what is there now (update, delete)."""

    verb: Verb
    obj: Obj
    have: Obj | None = None

    def explain(self, *, exact: bool = False) -> str:
        """The operation as shell lines."""
        if self.verb is Verb.CREATE:
            return self.obj.explain(exact=exact)
        if self.verb is Verb.DELETE:
            return self.obj.undo()
        amended = self.obj.amend(self.have) if self.have else None
        return amended if amended is not None else f"{self.obj.undo()}\n{self.obj.explain(exact=exact)}"


def lines(parts: Iterable[str]) -> str:
    """Join the shell lines that are not empty."""
    return "\n".join(part for part in parts if part)
