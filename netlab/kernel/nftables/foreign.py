"""Objects of other programs in a lab's namespaces."""

from __future__ import annotations

from collections.abc import Iterable

from netlab.kernel.host import netns as ns
from netlab.kernel.nftables import libnft
from netlab.objects import Key, NftTable, Obj


def texts(objects: Iterable[Obj]) -> dict[Key, tuple[str, ...]]:
    """By object, the lines that nft prints of a table; nothing of what is gone meanwhile."""
    by_table = {}
    for obj in objects:
        if isinstance(obj, NftTable):
            try:
                text = ns.call(obj.netns, lambda place=obj.place: libnft.listed(f"list table {place}"))  # type: ignore[misc]
            except OSError:
                continue
            by_table[obj.key] = tuple(text.splitlines())
    return by_table
