"""Capture points: ``--at PLACE[:INTERFACE]`` as namespaces and interfaces."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from netlab.cli.find import places
from netlab.errors import BadInput, StateError
from netlab.near import near
from netlab.observe.capture.point import CapturePoint, Space
from netlab.oracle.target import split

if TYPE_CHECKING:
    from netlab.model import Cluster

_WILD = frozenset("*?[")


def chosen(cluster: Cluster, words: Sequence[str], namespace: str) -> list[Space]:
    """The places of the words, each namespace once; all of the lab's where there is no word.

    Raises BadInput for a word that means no place, StateError where a namespace is not there.
    """
    from netlab.kernel.host.owners import owners

    ours = {netns: owner for netns, owner in owners(f"{cluster.lab}-").items() if owner and owner.lab == cluster.lab}
    if not words:
        return [Space.of(netns, owner) for netns, owner in ours.items()]
    wanted: dict[str, set[str]] = {}
    for word in words:
        name, interface = split(word)
        if not name or (word.endswith(":") and not interface):
            raise BadInput(f'--at "{word}" is no PLACE and no PLACE:INTERFACE', hint="netlab capture --at client:eth0")
        for netns in netnses(cluster, name, namespace):
            wanted.setdefault(netns, set()).add(interface)
    for netns in wanted:
        if netns not in ours:
            raise StateError(f"the namespace {netns} is not there", hint=f"netlab up {cluster.lab} makes it again")
    return [
        Space.of(netns, ours[netns], () if "" in interfaces else tuple(sorted(interfaces)))
        for netns, interfaces in wanted.items()
    ]


def netnses(cluster: Cluster, name: str, namespace: str) -> list[str]:
    """The namespaces that a word means: as ``exec`` has it, else a router's, the underlay's, or one by its own name."""
    under = cluster.underlay
    ends = [host.netns for host in cluster.external]
    ends += [node.netns for node in cluster.nodes]
    ends += [pod.netns for pod in cluster.pods]
    routers = {rack.name: rack.netns for rack in under.racks} | {"underlay": under.netns}
    others = {netns: netns for netns in (*ends, *routers.values())} | routers
    try:
        return [each.netns for each in places(cluster, name, namespace)]
    except BadInput as error:
        if name in others:
            return [others[name]]
        raise error if error.message.endswith("?)") else BadInput(f"{error.message}{near(name, others)}") from None


def check_interfaces(points: Iterable[CapturePoint]) -> None:
    """Raise BadInput where an interface that is named is not there; one with ``*`` may come later."""
    for point in points:
        there = sorted(link.name for link in point.links.values())
        for name in point.space.interfaces:
            if name not in there and not _WILD & set(name):
                raise BadInput(
                    f'{point.space.name} has no interface "{name}"{near(name, there)}; it has {", ".join(there)}'
                )
