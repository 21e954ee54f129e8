"""Changes of States and documents that several faults make."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from ipaddress import ip_network
from typing import Any, TypeVar

from netlab.digest import blake2b
from netlab.errors import Mark
from netlab.faults.fault import OPEN, Objects
from netlab.faults.places import node_of, pod_of
from netlab.model import Cluster, Node, Pod
from netlab.objects import Addr, Bridge, File, Neigh, NftChain, NftTable, Obj, Route, State, Sysctl, Veth, Vxlan
from netlab.objects.links import FALLBACKS, End, ends
from netlab.objects.tunnels import Geneve, Ipip, WireGuard
from netlab.spec import Document

T = TypeVar("T", bound=Obj)


def without(state: State, kind: type[T], which: Callable[[T], bool]) -> State:
    """The State less the objects of a class that fit."""
    return state.without(*(obj.key for obj in state.only(kind) if which(obj)))


def changed(state: State, kind: type[T], which: Callable[[T], bool], change: Callable[[T], T]) -> State:
    """The State with the objects of a class that fit changed; the key may change too."""
    before = [obj for obj in state.only(kind) if which(obj)]
    return state.without(*(obj.key for obj in before)).replace(*map(change, before)) if before else state


def set_sysctl(state: State, netns: str, **values: str) -> State:
    """The State with sysctls of a namespace; ``__`` in a name stands for a dot."""
    return state.replace(*(Sysctl(netns, name.replace("__", "."), value, why=OPEN) for name, value in values.items()))


def with_rules(
    state: State, netns: str, family: str, table: str, hook: str, *rules: str, policy: str = "accept"
) -> State:
    """The State with a table of one base chain, as another program leaves it: ``hook`` is ``filter forward 0``."""
    kind, name, priority = hook.split(" ", 2)
    base = f"type {kind} hook {name} priority {priority}; policy {policy};"
    return state.replace(
        NftTable(netns, family, table, why=OPEN),
        NftChain(netns, family, table, chain=name.upper(), rules=rules, base=base, why=OPEN),
    )


def down(state: State, netns: str, dev: str) -> State:
    """The State with a device down, less what the kernel removes with that: routes, neighbours, IPv6 addresses.

    A fallback device of the kernel (tunl0) that is down is as one that nobody wants: it cannot be deleted.
    """
    if dev in FALLBACKS:
        return state.without(
            *(obj.key for obj in state.values() if (obj.netns, getattr(obj, "dev", "")) == (netns, dev))
        )

    def end(each: End) -> End:
        return replace(each, up=False) if (each.netns, each.name) == (netns, dev) else each

    def on_it(obj: Obj) -> bool:
        fits = isinstance(obj, (Route, Neigh)) or (isinstance(obj, Addr) and ":" in obj.address)
        return fits and (obj.netns, getattr(obj, "dev", "")) == (netns, dev)

    state = state.without(*(obj.key for obj in state.values() if on_it(obj)))
    state = changed(
        state, Veth, lambda veth: (netns, dev) in ends(veth), lambda v: replace(v, end=end(v.end), peer=end(v.peer))
    )
    for kind in (Bridge, Vxlan, Geneve, Ipip, WireGuard):
        state = changed(
            state, kind, lambda link: (link.netns, link.dev) == (netns, dev), lambda link: replace(link, up=False)
        )
    return state


def at_node(change: Callable[[Cluster, State, Node], State]) -> Callable[[Cluster, State, str], State]:
    """A hook of the State from a change of a node."""

    def hook(cluster: Cluster, state: State, at: str) -> State:
        node = node_of(cluster, at)
        return change(cluster, state, node) if node else state

    return hook


def at_pod(change: Callable[[Cluster, State, Pod], State]) -> Callable[[Cluster, State, str], State]:
    """A hook of the State from a change of a Pod."""

    def hook(cluster: Cluster, state: State, at: str) -> State:
        pod = pod_of(cluster, at)
        return change(cluster, state, pod) if pod else state

    return hook


def at_resolv_conf(change: Callable[[str], str]) -> Callable[[Cluster, State, str], State]:
    """``on_state`` of a fault that changes the text of a Pod's resolv.conf."""

    def at(_: Cluster, state: State, pod: Pod) -> State:
        def fits(file: File) -> bool:
            return file.netns == (pod.etc or pod.netns) and file.file == "resolv.conf"

        return changed(state, File, fits, lambda file: replace(file, content=change(file.content)))

    return at_pod(at)


def at_object(kind: str, change: Callable[[dict[str, Any]], None]) -> Callable[[Objects, str], Objects]:
    """A hook of the documents from a change of the spec of an object of a kind."""

    def hook(objects: Objects, at: str) -> Objects:
        return edited(objects, kind, at, change)

    return hook


def is_to_others(cluster: Cluster, node: Node, version: int = 4) -> Callable[[Route], bool]:
    """Whether a route leads to other nodes' Pods."""
    others = [cidr for each in cluster.nodes if each is not node for cidr in each.pod_cidrs if cidr.version == version]

    def fits(route: Route) -> bool:
        if route.netns != node.netns or route.type != "unicast" or (":" in route.dst) != (version == 6):
            return False
        network: Any = ip_network(route.dst)
        return any(network.subnet_of(cidr) for cidr in others)

    return fits


def node_veth(state: State, pod: Pod) -> Veth | None:
    """The link of a Pod to its node."""
    return next((veth for veth in state.only(Veth) if veth.peer.netns == pod.netns and veth.peer.name == "eth0"), None)


def tunnels(state: State, node: Node) -> list[Vxlan | Geneve | Ipip | WireGuard]:
    """The tunnel devices of a node."""
    return [
        link
        for link in state.values()
        if isinstance(link, (Vxlan, Geneve, Ipip, WireGuard)) and link.netns == node.netns
    ]


def policy(namespace: str, name: str, spec: dict[str, Any]) -> Document:
    """A NetworkPolicy that somebody applies."""
    body = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": name, "namespace": namespace},
        "spec": spec,
    }
    return Document("networking.k8s.io/v1", "NetworkPolicy", namespace, name, body, Mark("(an open fault)", 1))


def policy_at_pod(
    name: str, spec: Callable[[dict[str, str], str, int], dict[str, Any]]
) -> Callable[[Objects, str], Objects]:
    """A hook of the documents that applies a NetworkPolicy beside a Pod; its spec is made of the Pod's labels, its
    namespace and its first port.
    """

    def hook(objects: Objects, at: str) -> Objects:
        pod = next((each for each in objects if each.kind == "Pod" and f"{each.namespace}/{each.name}" == at), None)
        if pod is None:
            return objects
        ports = [port["containerPort"] for each in pod.body["spec"]["containers"] for port in each.get("ports", ())]
        made = spec(pod.body["metadata"].get("labels", {}), pod.namespace, ports[0] if ports else 80)
        # Who reads the policies of a lab with a secret fault must not read the fault's name.
        return (*objects, policy(pod.namespace, f"{pod.name}-{blake2b(name, 2).hex()}", made))

    return hook


def edited(objects: Objects, kind: str, at: str, change: Callable[[dict[str, Any]], None]) -> Objects:
    """The documents with the object ``namespace/name`` of a kind changed in its ``spec``."""

    def of(body: dict[str, Any]) -> dict[str, Any]:
        body = copy.deepcopy(body)
        change(body.setdefault("spec", {}))
        return body

    return tuple(
        replace(each, body=of(each.body)) if each.kind == kind and f"{each.namespace}/{each.name}" == at else each
        for each in objects
    )
