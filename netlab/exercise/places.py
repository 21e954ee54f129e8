"""The network namespace that the word ``at`` of a check means."""

from __future__ import annotations

from netlab.model import Cluster
from netlab.model.topology.places import places
from netlab.near import near


def netns_of(cluster: Cluster, word: str) -> str:
    """Of a Pod (``client``, ``shop/web``), a node, a host outside, a router or ``underlay``.

    Raises ValueError for a word that names nothing.
    """
    names: dict[str, str] = {}
    for netns, place in places(cluster).items():
        names.setdefault(place.name, netns)
        names.setdefault(place.name.removeprefix("default/"), netns)
    if word not in names:
        raise ValueError(f'the lab has no Pod, node or host "{word}"{near(word, names)}')
    return names[word]
