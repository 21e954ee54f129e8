"""What is a lab's own in its namespaces, and what strangers left there."""

from __future__ import annotations

from typing import NamedTuple

from netlab.objects import Floor, Key, Link, NftTable, Obj, Op, State, Sysctl, diff
from netlab.objects.links import ends


class Drift(NamedTuple):
    """What must be done to make the kernel like the spec, and what is there that nobody of netlab's made."""

    operations: tuple[Op, ...]
    foreign: tuple[Obj, ...]


def drift(want: State, have: State, owned: State | None = None) -> Drift:
    """Compare what should be with what is.

    ``owned`` is what was applied before: links that are in neither state's wish are strangers', and so is whatever
    hangs on them.  Addresses, routes, neighbours and forwarding entries on the lab's own links are never foreign: they
    change what the lab does, so they are drift.
    """
    ours = set(want)
    if owned is not None:
        ours |= set(owned)
    # A link that stands where one of ours must be is in the way: a veth that somebody renamed, a device called eth0.
    places = {end for obj in want.values() if obj.floor is Floor.LINK for end in ends(obj)}
    foreign: dict[Key, Obj] = {}
    strange_links: set[tuple[str, str]] = set()
    for key, obj in have.items():
        if obj.floor is Floor.LINK and key not in ours and places.isdisjoint(ends(obj)):
            foreign[key] = obj
            strange_links.update(ends(obj))
        elif isinstance(obj, NftTable) and key not in ours:
            foreign[key] = obj
        elif isinstance(obj, Link):
            strange_links.add((obj.netns, obj.name))
    mine: dict[Key, Obj] = {}
    for key, obj in have.items():
        if key in foreign:
            continue
        dev = obj.link if isinstance(obj, Sysctl) else getattr(obj, "dev", "")
        on_strange = (obj.netns, dev) in strange_links and key not in ours
        if on_strange and obj.floor > Floor.LINK:
            foreign[key] = obj
        else:
            mine[key] = obj
    return Drift(diff(want, mine), tuple(foreign.values()))
