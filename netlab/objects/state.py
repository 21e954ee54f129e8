"""State: a mapping of keys to objects; and the difference of two."""

from __future__ import annotations

from collections.abc import ItemsView, Iterable, Iterator, KeysView, Mapping, Sequence, ValuesView
from ipaddress import ip_interface
from typing import TypeVar

from netlab.errors import NetlabError
from netlab.objects.base import Floor, Key, Obj, Op, Verb
from netlab.objects.host import Netns, Sysctl
from netlab.objects.ip import Addr, Neigh, Route
from netlab.objects.links import FALLBACKS, Port, Veth, Vxlan, ends, settings
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
            first = self._objects.setdefault(obj.key, obj)
            if first is not obj and first != obj:
                raise Conflict(first, obj)

    @classmethod
    def of(cls, objects: Mapping[Key, Obj]) -> State:
        """A state of objects that are known to be keyed right."""
        state = cls()
        state._objects = dict(objects.items())
        return state

    @classmethod
    def joined(cls, parts: Sequence[State | Sequence[Obj]]) -> State:
        """Parts as one, in their order; raises Conflict as the constructor does.  (States, which are keyed already,
        are put together many times quicker than objects.)
        """
        state = cls()
        objects = state._objects
        for part in parts:
            if not isinstance(part, State):
                for obj in part:
                    first = objects.setdefault(obj.key, obj)
                    if first is not obj and first != obj:
                        raise Conflict(first, obj)
                continue
            before = len(objects)
            objects |= part._objects
            if len(objects) != before + len(part):
                return cls(obj for piece in parts for obj in (piece.values() if isinstance(piece, State) else piece))
        return state

    def __getitem__(self, key: Key) -> Obj:
        return self._objects[key]

    def __iter__(self) -> Iterator[Key]:
        return iter(self._objects)

    def __len__(self) -> int:
        return len(self._objects)

    # A Mapping has these too, made of the methods above: ten times slower, which counts at a hundred thousand objects.

    def __contains__(self, key: object) -> bool:
        return key in self._objects

    def keys(self) -> KeysView[Key]:
        return self._objects.keys()

    def values(self) -> ValuesView[Obj]:
        return self._objects.values()

    def items(self) -> ItemsView[Key, Obj]:
        return self._objects.items()

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

    Removals come first, from the top floor down, so that a replacement finds its name free. Then objects are made or
    mended, from the bottom floor up. An object that disappears with its parent needs no removal: everything in a
    removed namespace but links; addresses, routes and ports of a removed link. If the parent is made again, these
    objects are too.
    """
    want, have = _plain(want), _plain(have)
    # Objects that did not change are mostly the very same ones, so identity is asked before equality.
    differs = {key: there for key, obj in want.items() if (there := have.get(key)) is not obj and there != obj}
    gone = [obj for key, obj in have.items() if key not in want]
    if not differs and not gone:
        return ()
    anew = [(there, want[key]) for key, there in differs.items() if _is_made_anew(want[key], there)]
    lost_netns = {obj.netns for obj in gone if isinstance(obj, Netns)}
    lost_netns |= {obj.netns for _, obj in anew if isinstance(obj, Netns)}
    lost_tables = {(obj.netns, obj.name) for _, obj in anew if isinstance(obj, NftTable)}
    lost_links = _lost_links(have, [*gone, *(there for there, _ in anew if there)], lost_netns)

    def lost(obj: Obj) -> bool:
        return (obj.netns in lost_netns and obj.key.floor < Floor.FILE) or _hangs_on(obj, lost_links)

    # A link is removed by itself in any case: the kernel frees namespaces later, and a veth's other end stays till then.
    displaced = _displaced(want, have, gone)
    removed = [*displaced, *gone, *(there for there, _ in anew if there)]
    if lost_netns:
        listed = {obj.key for obj in removed}
        removed += [
            obj
            for key, obj in have.items()
            if key not in listed and isinstance(obj, Veth) and any(where in lost_netns for where, _ in ends(obj))
        ]
    ops = [Op(Verb.DELETE, obj) for obj in removed if obj.floor in (Floor.NETNS, Floor.LINK) or not lost(obj)]
    ops.sort(key=lambda op: -op.obj.key.floor)

    flushed = _flushed(want, have, differs, ops) | {obj.key for obj in displaced}
    swept = bool(lost_netns or lost_tables or lost_links or flushed)  # else what is equal is not made again

    made: list[Op] = []
    for key in want if swept else differs:
        obj, there = want[key], have.get(key)
        inside = isinstance(obj, (NftChain, NftSet)) and (obj.netns, obj.place) in lost_tables
        if there is None or inside or key in flushed or lost(there) or _is_made_anew(obj, there):
            made.append(Op(Verb.CREATE, obj))
        elif there != obj:
            made.append(Op(Verb.UPDATE, obj, there))
    made.sort(key=lambda op: op.obj.key.floor)
    return (*ops, *made)


def _plain(state: Mapping[Key, Obj]) -> Mapping[Key, Obj]:
    """The dict behind a State: a hundred thousand look-ups are several times quicker without a method of ours."""
    return state._objects if isinstance(state, State) else state


def _is_made_anew(obj: Obj, there: Obj | None) -> bool:
    """Whether what is there must go before ``obj`` can be made."""
    return there is not None and there != obj and obj.amend(there) is None


def _displaced(want: Mapping[Key, Obj], have: Mapping[Key, Obj], gone: Iterable[Obj]) -> list[Obj]:
    """Wanted addresses that the kernel may remove with an earlier address of their subnet: removed before it, and made
    anew after it, so that ``promote_secondaries`` does not matter.
    """
    first = {
        (obj.netns, obj.dev, ip_interface(obj.address).network)
        for obj in gone
        if isinstance(obj, Addr) and not obj.secondary and ":" not in obj.address
    }
    if not first:
        return []
    return [
        obj
        for key, obj in have.items()
        if isinstance(obj, Addr)
        and obj.secondary
        and key in want
        and (obj.netns, obj.dev, ip_interface(obj.address).network) in first
    ]


def _lost_links(have: Mapping[Key, Obj], removed: Iterable[Obj], netns: set[str]) -> set[tuple[str, str]]:
    """Both ends of every link that goes: by itself, with its namespace, or with the link below it."""
    lost = {end for obj in removed if obj.floor is Floor.LINK for end in ends(obj) if end[1] not in FALLBACKS}
    if not lost and not netns:
        return lost
    links = [obj for obj in have.values() if obj.floor is Floor.LINK]
    lost |= {end for obj in links if any(where in netns for where, _ in ends(obj)) for end in ends(obj)}
    return lost | {(obj.netns, obj.dev) for obj in links if isinstance(obj, Vxlan) and (obj.netns, obj.lower) in lost}


def _flushed(
    want: Mapping[Key, Obj], have: Mapping[Key, Obj], differs: Mapping[Key, Obj | None], removals: Iterable[Op]
) -> set[Key]:
    """What the kernel drops besides: a link's neighbours when its MAC changes, and its IPv4 routes and neighbours when its last IPv4
    address goes (fib_disable_ip), even if another one comes at once.
    """
    changed = {
        (setting.netns, setting.name)
        for key, there in differs.items()
        if there is not None and there.floor is Floor.LINK
        for setting, before in zip(settings(want[key]), settings(there), strict=False)
        if setting.mac != before.mac
    }
    removed = {op.obj.key for op in removals}
    deleted = {(obj.netns, obj.dev) for key in removed if isinstance(obj := have[key], Addr) and ":" not in obj.address}
    if not changed and not deleted:
        return set()
    bare = deleted - {
        (obj.netns, obj.dev)
        for key, obj in have.items()
        if isinstance(obj, Addr) and ":" not in obj.address and key not in removed
    }
    return {
        key
        for key, obj in have.items()
        if (isinstance(obj, Neigh) and (obj.netns, obj.dev) in (changed if ":" in obj.address else changed | bare))
        or (isinstance(obj, Route) and (obj.netns, obj.dev) in bare and ":" not in obj.dst)
    }


def _hangs_on(obj: Obj, links: set[tuple[str, str]]) -> bool:
    """Whether the object is, belongs to, or is a port of one of the links, and so disappears with it."""
    if not links:
        return False
    if obj.floor is Floor.LINK:
        return any(end in links for end in ends(obj))
    dev = obj.link if isinstance(obj, Sysctl) else getattr(obj, "dev", "")
    return (obj.netns, dev) in links or (isinstance(obj, Port) and (obj.netns, obj.master) in links)
