"""The objects of one Pod: its namespace, its links, its files, its listeners.

A change of a large lab leaves nearly every Pod the object that it was (``model.workloads.pods``), and what belongs to it follows
from it and from the lab around it: nodes, underlay, families.  So it is kept for as long as those stay, keys and all.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from netlab.memo import Memo, Session
from netlab.model import Cluster, Node, Pod
from netlab.names import Owner, owned_name
from netlab.objects import Fdb, Listener, Neigh, Netns, Obj, State, Sysctl, Veth, Why
from netlab.plan import files
from netlab.plan.dataplanes import Dataplane
from netlab.plan.dns import server_addresses
from netlab.plan.why import pod_why
from netlab.tuples import NamedTuple


class _Around(NamedTuple):
    """All that a Pod's objects follow from besides the Pod."""

    cluster: Cluster
    servers: tuple[str, ...]
    sysctls: tuple[tuple[str, str], ...]


class _Cache:
    """A cache of the Pod objects of the last few labs."""

    KEPT = 3

    def __init__(self) -> None:
        self.labs: list[tuple[_Around, Memo[Pod, State]]] = []


def sections(cluster: Cluster, plane: Dataplane, sysctls: Mapping[str, str], session: Session) -> tuple[State, ...]:
    """The objects of each Pod, in the order of the Pods; ``sysctls`` are those of a Pod's namespace."""
    bare = replace(
        cluster,
        pods=(),
        services=(),
        policies=(),
        network_policies=(),
        tiers=(),
        namespaces={},
        mark=None,
        impairments=(),
    )
    around = _Around(bare, server_addresses(cluster), tuple(sysctls.items()))
    labs = session.of(_Cache).labs
    memo = next((memo for key, memo in labs if key == around), None)
    if memo is None:
        nodes = {node.name: node for node in cluster.nodes}
        memo = Memo(lambda pod: _keyed(_objects(pod, nodes[pod.node], cluster, plane, sysctls)))
        labs.insert(0, (around, memo))
        del labs[_Cache.KEPT :]
    return memo.all(cluster.pods)


def _keyed(objects: Iterable[Obj]) -> State:
    made = tuple(objects)
    named = {obj.mac for obj in made if isinstance(obj, (Neigh, Fdb))}
    return State(pinned(made, named))


def pinned(objects: Iterable[Obj], named: set[str]) -> Iterator[Obj]:
    """The objects, veths' shell lines setting the MACs that permanent neighbours name."""
    for obj in objects:
        if isinstance(obj, Veth) and (obj.end.mac in named or obj.peer.mac in named):
            end, peer = (replace(side, pinned=True) if side.mac in named else side for side in (obj.end, obj.peer))
            yield replace(obj, end=end, peer=peer)
        else:
            yield obj


def _objects(pod: Pod, node: Node, cluster: Cluster, plane: Dataplane, sysctls: Mapping[str, str]) -> Iterator[Obj]:
    why = pod_why(pod)
    if not pod.host_network:
        yield Netns(pod.netns, Owner(cluster.lab, "pod", owned_name(pod.namespace, pod.name)), why=why)
        for path, value in sysctls.items():
            yield Sysctl(pod.netns, path, value, why=why)
        yield from plane.attach(pod, node, cluster)
    yield from files.of_pod(pod, cluster)
    addresses = tuple(str(address.ip) for address in pod.addresses)
    for port in pod.ports:
        if port.served_by == "process":
            continue
        message = f"port {port.port}/{port.protocol} of container {port.container}, {why.message}"
        endpoint = (pod.netns, port.protocol, port.port, pod.name, pod.namespace, pod.node, port.container)
        yield Listener(*endpoint, addresses, why=Why(message, port.mark or why.mark))
