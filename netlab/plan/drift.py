"""The difference between a lab's desired objects and those in its namespaces, with objects that others left there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from netlab.objects import Conntrack, Floor, Key, Link, NftTable, Obj, Op, State, Sysctl, diff
from netlab.objects.links import ends
from netlab.tuples import NamedTuple


class Drift(NamedTuple):
    """``operations`` make the kernel like the spec; ``foreign`` is what other programs made, the top floor first."""

    operations: tuple[Op, ...]
    foreign: tuple[Obj, ...]


def drift(want: State, have: State, owned: State | None = None, wrong: Iterable[Obj] = ()) -> Drift:
    """Compare the desired with the present state.

    ``owned`` was applied before. Links in neither of the two desired states are foreign, and so is everything on them.
    Addresses, routes, neighbours and forwarding entries on the lab's own links are never foreign: they change the lab's
    behaviour, so they are drift. ``wrong`` are learned entries that contradict the lab; a flow that a foreign table
    translates belongs to that table.
    """
    lab_objects: tuple[Mapping[Key, Obj], ...] = (dict(want.items()),)
    if owned is not None:
        lab_objects = (*lab_objects, dict(owned.items()))
    there = dict(have.items())
    unknown = {key: obj for key, obj in there.items() if not any(key in owners for owners in lab_objects)}
    foreign: dict[Key, Obj] = {}
    strange_links: set[tuple[str, str]] = set()
    if unknown:  # a healthy lab has none, and then there is nothing to tell apart
        # A link that stands where one of ours must be is in the way: a veth that was renamed, a device called eth0.
        links = {end for obj in want.values() if obj.floor is Floor.LINK for end in ends(obj)}
        for key, obj in unknown.items():
            if obj.floor is Floor.LINK and links.isdisjoint(ends(obj)):
                foreign[key] = obj
                strange_links.update(ends(obj))
            elif isinstance(obj, NftTable):
                foreign[key] = obj
        strange_links |= {
            (obj.netns, obj.name) for key, obj in there.items() if isinstance(obj, Link) and key not in foreign
        }
        for key, obj in unknown.items():
            dev = obj.link if isinstance(obj, Sysctl) else getattr(obj, "dev", "")
            on_strange = (obj.netns, dev) in strange_links
            if key not in foreign and on_strange and obj.floor > Floor.LINK:
                foreign[key] = obj
    mine = {key: obj for key, obj in there.items() if key not in foreign} if foreign else there
    tables = {obj.netns for obj in foreign.values() if isinstance(obj, NftTable)}
    learned = {obj.key: obj for obj in wrong if not isinstance(obj, Conntrack) or obj.netns not in tables}
    if learned:  # a permanent entry that should be there replaces what was learned in its place
        mine = {**{key: obj for key, obj in learned.items() if key not in want}, **mine}
    # In an order in which they can be removed: what is on a link before the link.
    return Drift(diff(want, mine), tuple(sorted(foreign.values(), key=lambda obj: -obj.key.floor)))
