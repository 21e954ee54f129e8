"""State: a mapping of keys to objects; and the difference of two."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TypeVar

from netlab.errors import NetlabError
from netlab.objects.base import Floor, Key, Obj, Op, Verb
from netlab.objects.host import Netns, Sysctl
from netlab.objects.links import Port, Veth
from netlab.objects.nft import NftChain, NftSet, NftTable

T = TypeVar("T", bound=Obj)


class Conflict(NetlabError):
    """Two owners of one key: a defect of a data plane or a clash in the spec; names both reasons."""

    def __init__(self, first: Obj, second: Obj) -> None:
        super().__init__(f"{first.kind} {first.name} in {first.netns} is wanted twice:\n  {first.why}\n  {second.why}")


class State(Mapping[Key, Obj]):
    """An immutable set of objects, found by key."""

    __slots__ = ("_objects",)

    def __init__(self, objects: Iterable[Obj] = ()) -> None:
        self._objects: dict[Key, Obj] = {}
        for obj in objects:
            known = self._objects.setdefault(obj.key, obj)
            if known is not obj and known != obj:
                raise Conflict(known, obj)

    @classmethod
    def of(cls, objects: Mapping[Key, Obj]) -> State:
        """A state of objects that are known to be keyed right."""
        state = cls()
        state._objects = dict(objects)
        return state

    def __getitem__(self, key: Key) -> Obj:
        return self._objects[key]

    def __iter__(self) -> Iterator[Key]:
        return iter(self._objects)

    def __len__(self) -> int:
        return len(self._objects)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, State) and self._objects == other._objects

    def __repr__(self) -> str:
        return f"<State of {len(self)} objects>"

    __hash__ = None  # type: ignore[assignment]

    def only(self, kind: type[T]) -> Iterator[T]:
        """The objects of one class, typed."""
        return (obj for obj in self._objects.values() if isinstance(obj, kind))

    def netns(self) -> frozenset[str]:
        """The names of all the namespaces that anything of the state lives in."""
        return frozenset(key.netns for key in self._objects)

    def replace(self, *objects: Obj) -> State:
        """This state with some objects put in, or put in the place of those of the same key."""
        return State.of(self._objects | {obj.key: obj for obj in objects})

    def without(self, *keys: Key) -> State:
        """This state less some keys."""
        return State.of({key: obj for key, obj in self._objects.items() if key not in keys})


def diff(want: Mapping[Key, Obj], have: Mapping[Key, Obj]) -> tuple[Op, ...]:
    """The operations that turn ``have`` into ``want``, in an order in which each can be done.

    Removals come first, from the top floor down, so that a thing that is replaced finds its place free; then what is
    made or mended, from the bottom up.  What disappears with its parent (everything in a removed namespace but the
    veths whose key is elsewhere; addresses, routes and ports of a removed link) is not removed by itself, and what
    disappears with a link that is made anew is made anew too.
    """
    gone = [obj for key, obj in have.items() if key not in want]
    gone_netns = {obj.netns for obj in gone if isinstance(obj, Netns)}
    lost_links = {(obj.netns, obj.name) for obj in gone if obj.floor is Floor.LINK}
    lost_links |= {(obj.peer.netns, obj.peer.name) for obj in gone if isinstance(obj, Veth)}

    lost_tables = {
        (obj.netns, obj.name)
        for key, obj in want.items()
        if isinstance(obj, NftTable) and (there := have.get(key)) is not None and there != obj
    }

    ops: list[Op] = []
    for key, obj in want.items():
        there = have.get(key)
        if there is not None and there != obj and obj.floor is Floor.LINK and obj.amend(there) is None:
            lost_links.add((obj.netns, obj.name))
            if isinstance(there, Veth):
                lost_links.add((there.peer.netns, there.peer.name))
            ops.append(Op(Verb.DELETE, there))

    for obj in gone:
        if obj.netns in gone_netns and Floor.NETNS < obj.key.floor < Floor.FILE and not isinstance(obj, Veth):
            continue
        if obj.floor is not Floor.LINK and _hangs_on(obj, lost_links):
            continue
        ops.append(Op(Verb.DELETE, obj))
    ops.sort(key=lambda op: -op.obj.key.floor)

    made: list[Op] = []
    for key, obj in want.items():
        there = have.get(key)
        inside = lost_tables and isinstance(obj, (NftChain, NftSet)) and (obj.netns, obj.place) in lost_tables
        if there is None or _hangs_on(obj, lost_links) or inside:
            made.append(Op(Verb.CREATE, obj))
        elif there != obj:
            if obj.amend(there) is None:
                ops.append(Op(Verb.DELETE, there))
                made.append(Op(Verb.CREATE, obj))
            else:
                made.append(Op(Verb.UPDATE, obj, there))
    made.sort(key=lambda op: op.obj.key.floor)
    return (*ops, *made)


def _hangs_on(obj: Obj, links: set[tuple[str, str]]) -> bool:
    """Whether the object is, belongs to, or is a port of one of the links, and so disappears with it."""
    if not links:
        return False
    dev = (
        obj.link if isinstance(obj, Sysctl) else getattr(obj, "dev", "") or (obj.name if isinstance(obj, Veth) else "")
    )
    return (obj.netns, dev) in links or (isinstance(obj, Port) and (obj.netns, obj.master) in links)
