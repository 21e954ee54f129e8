"""What CNI plugins made in the kernel becomes part of the desired state: objects from an observed State, kept, and back.

After ADD the runtime compares what it observes with what was there before (``taken``).  The new objects are kept as
plain data with the attachment of their Pod, or of their node where several Pods share them (cni0).  ``objects`` gives
them back, each with the plugins as its reason.  So ``diff``, ``trace`` and the diagnosis know them as any other object.

Limits: links that netlab cannot make again (macvlan, ipvlan) and nftables tables are known by their names alone.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from netlab import objects as nouns
from netlab import plain
from netlab.model import Cluster, Pod
from netlab.model.cluster import Attachments
from netlab.model.conflist import Attached
from netlab.model.conflist import read as read_conflist
from netlab.objects import File, Floor, Key, Link, Listener, NftTable, Obj, Process, Qdisc, State, Veth, Why
from netlab.objects.qdisc import Netem, Tbf

_KINDS: dict[str, type[Obj]] = {
    kind.kind: kind
    for name in nouns.__all__
    if isinstance(kind := getattr(nouns, name), type) and issubclass(kind, Obj) and kind is not Obj
}
_SETTINGS: dict[str, type[Netem | Tbf]] = {kind.__name__: kind for kind in (Netem, Tbf)}
_NOT_KEPT = ("why", "_key")
# Of an object of these kinds only its name is known: netlab does not make it.
_BY_NAME = (Link, NftTable)


def dumped(obj: Obj) -> str:
    """An object as JSON."""
    data = plain.dump(obj)
    more = {"sort": type(obj.setting).__name__} if isinstance(obj, Qdisc) and obj.setting else {}
    return json.dumps({"kind": obj.kind, **more, **{name: data[name] for name in data if name not in _NOT_KEPT}})


def loaded(text: str) -> Obj:
    """The inverse of ``dumped``.  Raises ValueError or KeyError for what is none."""
    data = json.loads(text)
    kind = _KINDS[data.pop("kind")]
    if kind is not Qdisc:
        return plain.load(kind, data)
    made = Qdisc(data["netns"], data["dev"], data["place"], data["type"])
    if not data["setting"]:
        return made
    sort: type[Any] = _SETTINGS[data["sort"]]
    return replace(made, setting=plain.load(sort, data["setting"]))


def taken(before: Mapping[Key, Obj], after: Mapping[Key, Obj], want: Mapping[Key, Obj]) -> tuple[Obj, ...]:
    """The objects that are new and that the lab itself does not want."""
    return tuple(
        obj
        for key, obj in after.items()
        if key not in before and key not in want and not isinstance(obj, (File, Listener, Process))
    )


def by_owner(objects: Iterable[Obj], netns: Mapping[str, str]) -> dict[str, list[Obj]]:
    """The objects by Pod or node: ``netns`` has the owner of each namespace of a Pod; what is left is the node's ("").

    A link is the Pod's where an end is in its namespace, and so is all that is on that link.
    """
    all_of_them = tuple(objects)
    links: dict[tuple[str, str], str] = {}
    for obj in all_of_them:
        if isinstance(obj, Veth):
            owner = netns.get(obj.end.netns) or netns.get(obj.peer.netns) or ""
            links |= {(end.netns, end.name): owner for end in (obj.end, obj.peer)}
    owned: dict[str, list[Obj]] = {}
    for obj in all_of_them:
        owner = netns.get(obj.netns) or links.get((obj.netns, getattr(obj, "dev", "") or obj.name), "")
        owned.setdefault(owner, []).append(obj)
    return owned


def objects(cluster: Cluster) -> Iterator[Obj]:
    """The objects that plugins made for the Pods and nodes of a lab."""
    for owner, attached, why in _attached(cluster):
        for text in attached.objects:
            obj = loaded(text)
            if not isinstance(obj, _BY_NAME) and (obj.floor is not Floor.NETNS or owner):
                object.__setattr__(obj, "why", why)
                yield obj


def of_pod(cluster: Cluster, pod: Pod) -> list[Obj]:
    """The objects that plugins made for one Pod."""
    there = cluster.attachments.pods.get(str(pod)) if cluster.attachments else None
    return list(map(loaded, there.objects)) if there else []


def merged(cluster: Cluster, state: State) -> State:
    """The desired state of netlab with what plugins made; netlab's own objects come first."""
    made = {obj.key: obj for obj in objects(cluster)}
    return State.of({**made, **dict(state.items())}) if made else state


def by_name(cluster: Cluster) -> set[Key]:
    """The keys of what plugins made and netlab knows by name alone: nobody else's, and no drift."""
    made = (loaded(text) for _, attached, _ in _attached(cluster) for text in attached.objects)
    return {obj.key for obj in made if isinstance(obj, _BY_NAME)}


def of_others(cluster: Cluster, foreign: tuple[Obj, ...]) -> tuple[Obj, ...]:
    """The foreign objects without those of the plugins."""
    named = by_name(cluster) if foreign else ()
    return tuple(obj for obj in foreign if obj.key not in named)


def tables(cluster: Cluster) -> frozenset[tuple[str, str]]:
    """The plugins' tables of nftables: (namespace, ``ip nat``)."""
    return frozenset((key.netns, key.name) for key in by_name(cluster) if key.floor is Floor.NFT)


def _attached(cluster: Cluster) -> Iterator[tuple[str, Attached, Why]]:
    attachments = cluster.attachments
    if attachments is None:
        return
    plugins = named(attachments)
    pods: dict[str, Pod] = {str(pod): pod for pod in cluster.pods}
    nodes = {f"/{node.name}": node for node in cluster.nodes}
    for owner, attached in attachments.pods.items():
        if owner in pods and pods[owner].netns == attached.netns:
            yield owner, attached, Why(f"CNI {plugins}, for Pod {owner}", pods[owner].mark)
        elif owner in nodes:
            yield "", attached, Why(f"CNI {plugins}, on node {nodes[owner].name}", attachments.mark)


def named(attachments: Attachments) -> str:
    """``plugin bridge``, ``plugins bridge and portmap``."""
    types = read_conflist(attachments.file, attachments.text).types
    return f"plugins {', '.join(types[:-1])} and {types[-1]}" if len(types) > 1 else f"plugin {types[0]}"
