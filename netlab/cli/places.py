"""Where to capture: ``--at PLACE[:INTERFACE]`` as namespaces and interfaces."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from netlab.cli.find import place
from netlab.errors import BadInput, StateError
from netlab.near import near
from netlab.observe.capture.station import Place, Station

if TYPE_CHECKING:
    from netlab.model import Cluster

_WILD = frozenset("*?[")


def chosen(cluster: Cluster, words: Sequence[str], namespace: str) -> list[Place]:
    """The places of the words, each namespace once; all of the lab's where there is no word.

    Raises BadInput for a name that is nobody's, StateError where a namespace is not there.
    """
    from netlab.kernel.host.owners import owners

    ours = {netns: one for netns, one in owners(f"{cluster.lab}-").items() if one and one.lab == cluster.lab}
    if not words:
        return [Place.of(netns, owner) for netns, owner in ours.items()]
    wanted: dict[str, set[str]] = {}
    for word in words:
        name, colon, interface = word.partition(":")
        if not name or (colon and not interface):
            raise BadInput(f'--at "{word}" is no PLACE and no PLACE:INTERFACE', hint="netlab capture --at client:eth0")
        wanted.setdefault(_netns(cluster, name, namespace), set()).add(interface)
    for netns in wanted:
        if netns not in ours:
            raise StateError(f"the namespace {netns} is not there", hint=f"netlab up {cluster.lab} makes it again")
    return [
        Place.of(netns, ours[netns], () if "" in interfaces else tuple(sorted(interfaces)))
        for netns, interfaces in wanted.items()
    ]


def _netns(cluster: Cluster, name: str, namespace: str) -> str:
    """A Pod's or node's namespace, else a router's, an external host's or the underlay's; or one by its own name."""
    others = {rack.name: rack.netns for rack in cluster.underlay.racks}
    others |= {host.name: host.netns for host in cluster.external}
    others["underlay"] = cluster.underlay.netns
    for netns in (*tuple(others.values()), *(one.netns for one in cluster.nodes), *(one.netns for one in cluster.pods)):
        others.setdefault(netns, netns)
    where, slash, short = name.rpartition("/")
    where = where if slash else namespace or "default"
    if any((pod.namespace, pod.name) == (where, short) for pod in cluster.pods) or any(
        node.name == name for node in cluster.nodes
    ):
        return place(cluster, name, namespace).netns
    if name in others:
        return others[name]
    known = [*others, *(str(pod) for pod in cluster.pods), *(node.name for node in cluster.nodes)]
    known += [pod.name for pod in cluster.pods if pod.namespace == where]
    meant = near(name, known) or near(short, known)
    raise BadInput(f'no Pod, node, router or host is called "{name}" in lab {cluster.lab}, namespace {where}{meant}')


def check_interfaces(stations: Iterable[Station]) -> None:
    """Raise BadInput where an interface that is named is not there; one with ``*`` may come later."""
    for station in stations:
        there = sorted(link.name for link in station.links.values())
        for name in station.place.interfaces:
            if name not in there and not _WILD & set(name):
                raise BadInput(
                    f'{station.place.name} has no interface "{name}"{near(name, there)}; it has {", ".join(there)}'
                )
