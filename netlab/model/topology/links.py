"""The links of a lab: which is meant by the names of its ends, and how they are impaired."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from netlab.errors import Mark
from netlab.model.cluster import Cluster, External, Idle, Node, Pod, Underlay
from netlab.model.cluster.impairments import DOWN, FIELDS, OWN_NODE, UNDERLAY, UP, Impairment, Link, Values, key
from netlab.model.workloads.changes import Changes
from netlab.near import near
from netlab.spec import Document

Complain = Callable[[Mark | None, str, str], None]


def links(cluster: Cluster) -> Iterator[Link]:
    """All links of a cluster."""
    return _links(cluster.nodes, cluster.pods, cluster.external, cluster.underlay)


def _links(nodes: Iterable[Node], pods: Iterable[Pod], external: Iterable[External], under: Underlay) -> Iterator[Link]:
    for node in nodes:
        yield Link(f"Node/{node.name}", node.netns, "eth0", (node.rack, UNDERLAY) if node.rack else (UNDERLAY,))
    for rack in under.racks:
        yield Link(f"Rack/{rack.name}", rack.netns, "uplink", (UNDERLAY,))
    for host in external:
        yield Link(f"External/{host.name}", host.netns, "eth0", (UNDERLAY,))
    for pod in pods:
        if not pod.host_network:
            yield Link(f"Pod/{pod}", pod.netns, "eth0", (pod.node, OWN_NODE))


def round_trip(cluster: Cluster) -> float:
    """The seconds by which impaired links delay a request and its reply at most, over two links of each kind."""
    slowest: dict[tuple[str, str], int] = {}
    for impairment in cluster.impairments:
        kind = impairment.link.key.partition("/")[0], impairment.direction
        slowest[kind] = max(slowest.get(kind, 0), impairment.values.delay + impairment.values.jitter)
    return 2 * sum(slowest.values()) / 1e9


def resolve(
    document: Document | None,
    nodes: Sequence[Node],
    pods: Sequence[Pod],
    idle: Sequence[Idle],
    external: Sequence[External],
    under: Underlay,
    changes: Changes,
    complain: Complain,
) -> tuple[Impairment, ...]:
    """The impairments of a Lab document, those that were set by hand in their place."""
    entries = document.body.get("spec", {}).get("links", []) if document else []
    if not entries and not changes.links:
        return ()
    reader = _Reader(tuple(_links(nodes, pods, external, under)), pods, idle, changes)
    wanted: dict[str, Impairment] = {}
    for number, entry in enumerate(entries):
        place = "spec", "links", number
        try:
            for impairment in reader.read(entry, document.at(*place) if document else None):
                name = key(impairment.link, impairment.direction)
                first = wanted.setdefault(name, impairment)
                if first is not impairment:
                    sender = impairment.link.sender(impairment.direction)
                    message = (
                        f"{sender}'s end of the link between {impairment.link.title} is impaired at {first.mark}, too"
                    )
                    raise _Wrong("between", message)
        except _Wrong as wrong:
            mark = document.at(*place, *([wrong.field] if wrong.field else ())) if document else None
            complain(mark, f"spec.links[{number}]" + (f".{wrong.field}" if wrong.field else ""), wrong.message)
    by_key = {key(link, direction): (link, direction) for link in reader.links for direction in (UP, DOWN)}
    for name, given in changes.links.items():
        if name in by_key:
            wanted[name] = Impairment(*by_key[name], Values.of(given))
    return tuple(wanted[name] for name in by_key if name in wanted and any(wanted[name].values))


class _Wrong(Exception):
    """What is wrong with an entry, and with which field; "": the whole entry."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field, self.message = field, message


class _Reader:
    """Reads entries of ``links``."""

    def __init__(self, known: Sequence[Link], pods: Sequence[Pod], idle: Sequence[Idle], changes: Changes) -> None:
        self.links = known
        self._removed_nodes = changes.removed_nodes
        self._by_name: dict[str, list[Link]] = {}
        for link in known:
            self._by_name.setdefault(link.lower, []).append(link)
            self._by_name.setdefault(link.key.partition("/")[2], []).append(link)
        gone = {*changes.finished, *changes.absent, *map(str, idle)}
        self._gone = {*changes.removed_nodes, *gone, *(name.removeprefix("default/") for name in gone)}
        hosted = {str(pod) for pod in pods if pod.host_network}
        self._hosted = hosted | {name.removeprefix("default/") for name in hosted}

    def read(self, entry: Mapping[str, Any], mark: Mark | None) -> Iterator[Impairment]:
        """The directions of an entry; none if an end was deleted.  Raises _Wrong."""
        first, second = entry["between"]
        values = Values.of(entry)
        if not set(entry) & set(FIELDS):
            raise _Wrong("", f"the link has no impairment: give it {', '.join([*FIELDS][:-1])} or {[*FIELDS][-1]}")
        if problem := values.problem:
            raise _Wrong(*problem)
        sender = entry.get("from", "")
        if sender and sender not in (first, second):
            raise _Wrong("from", f'"{sender}" is no end of the link: write {first} or {second}')
        if not {first, second}.isdisjoint(self._gone) and not (first in self._by_name and second in self._by_name):
            return
        link, lower = self._between(first, second)
        for direction in (UP, DOWN):
            if not sender or (sender == lower) == (direction == UP):
                yield Impairment(link, direction, values, mark)

    def _between(self, first: str, second: str) -> tuple[Link, str]:
        """The link, and which of the two words is its lower end."""
        for lower, upper in ((first, second), (second, first)):
            for link in self._by_name.get(lower, ()):
                if upper in link.upper or (link.key.startswith("Pod/") and upper in self._removed_nodes):
                    return link, lower
        ends = {*self._by_name, *self._hosted, UNDERLAY, OWN_NODE}
        for word in (first, second):
            if word not in ends:
                raise _Wrong("between", f'no node, Pod, rack or external host is called "{word}"{near(word, ends)}')
            if word in self._hosted:
                raise _Wrong("between", f"Pod {word} is in its node's network (hostNetwork) and has no link of its own")
        links = dict.fromkeys(link for word in (first, second) for link in self._by_name.get(word, ()))
        there = "; ".join(f"there is a link between {link.title}" for link in links)
        message = f"{first} and {second} have no link in common"
        raise _Wrong("between", message + (f"; {there}" if there else ""))


def kept(
    changed: Mapping[str, Mapping[str, str]], cluster: Cluster, document: Document | None
) -> dict[str, Mapping[str, str]]:
    """Changes of links that are still there (another Pod of that name must not inherit them) and change anything."""
    if not changed:
        return {}
    there = {key(link, direction) for link in links(cluster) for direction in (UP, DOWN)}
    ends = cluster.nodes, cluster.pods, cluster.idle, cluster.external, cluster.underlay
    stated = {key(each.link, each.direction) for each in resolve(document, *ends, Changes(), lambda *_: None)}
    return {name: given for name, given in changed.items() if name in there and (given or name in stated)}
