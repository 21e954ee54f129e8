"""Nodes, their Pod CIDRs, and the underlay between them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from ipaddress import IPv4Network, ip_address, ip_interface, ip_network
from typing import Any

from netlab import names
from netlab.errors import Mark, Problem
from netlab.model.cluster import External, Interface, Network, Node, Rack, Taint, Underlay
from netlab.model.topology.memory import POD_BITS, Memory
from netlab.model.workloads.changes import Changes
from netlab.planes import Plane
from netlab.spec import Document

# kubeadm's default, which is what most clusters that people look at have.
SERVICE_CIDRS = {"IPv4": "10.96.0.0/16", "IPv6": "fd00:10:96::/112"}
_NODE_MASK = {"IPv4": 24, "IPv6": 64}  # kube-controller-manager's --node-cidr-mask-size

# The labels that the kubelet gives every node, besides its hostname; labs are the same on every machine.
KUBELETS = {
    f"{prefix}kubernetes.io/{key}": value
    for key, value in (("arch", "amd64"), ("os", "linux"))
    for prefix in ("beta.", "")
}

Complain = Callable[[Mark | None, str, str], None]


def cidrs(
    spec: Mapping[str, Any], single: str, many: str, families: Sequence[str], defaults: Mapping[str, str]
) -> tuple[Network, ...]:
    """The networks that a spec gives by ``one`` or ``many`` key, a family each, with defaults for what it leaves out."""
    given = _given(spec, single, many)
    by_family = {f"IPv{network.version}": network for network in given}
    return tuple(by_family.get(family) or ip_network(defaults[family]) for family in families)


def foreign_families(spec: Mapping[str, Any], keys: Sequence[str], families: Sequence[str]) -> list[tuple[str, str]]:
    """The (key, text) of networks and addresses whose family the lab does not have."""
    foreign = []
    for key in keys:
        value = spec.get(key)
        texts = value if isinstance(value, list) else [value] if value else []
        foreign += [(key, text) for text in texts if f"IPv{ip_interface(text).version}" not in families]
    return foreign


def uncarried(plane: Plane, families: Sequence[str]) -> list[Problem]:
    """The problem of a lab whose data plane does not carry all of its families."""
    lacking = [family for family in families if family not in plane.families]
    message = f"data plane {plane.name} carries {' and '.join(plane.families)} alone, not {' and '.join(lacking)}"
    return [Problem(None, "spec.ipFamilies", message)] if lacking else []


def numbers(wanted: Sequence[str], remembered: Mapping[str, int]) -> dict[str, int]:
    """A number for each node, from 1: the remembered one, else the lowest that is free."""
    taken = {remembered[name] for name in wanted if name in remembered}
    free = (number for number in range(1, len(wanted) + len(taken) + 1) if number not in taken)
    return {name: remembered[name] if name in remembered else next(free) for name in wanted}


def node_cidr(network: Network, number: int, count: int) -> Network | None:
    """The part of the Pod CIDR that node ``number`` of ``count`` gets; None where it is too small for that.

    The n-th /24 (/64) of it, so that 10.244.0.0/16 gives node-1 10.244.1.0/24; smaller parts of smaller networks.
    """
    wanted = _NODE_MASK[f"IPv{network.version}"]
    mask = wanted
    while mask > network.prefixlen and (1 << (mask - network.prefixlen)) <= count and mask < network.max_prefixlen - 3:
        mask += 1
    mask = max(mask, network.prefixlen + count.bit_length())
    if mask > network.max_prefixlen - 3 or (1 << (mask - network.prefixlen)) <= number:
        return None
    base = int(network.network_address) + (number << (network.max_prefixlen - mask))
    return ip_network((base, mask))


def spare_cidr(network: Network, number: int, count: int, taken: Sequence[Network]) -> Network | None:
    """The part for a node that joins others whose parts are ``taken``, and which they keep; None where none is free.

    Of the size of theirs: its number's own, else the lowest that is free, else the first, which is otherwise left out.
    """
    here = [part for part in taken if within(part, network)]
    if not here:
        return node_cidr(network, number, count)
    mask = max(part.prefixlen for part in here)
    size, parts = 1 << (network.max_prefixlen - mask), 1 << (mask - network.prefixlen)
    used = {n for part in here for n in _parts(part, network, size)}
    for n in (number, *range(1, min(parts, len(used) + 2)), 0):
        if n < parts and n not in used:
            return ip_network((int(network.network_address) + n * size, mask))
    return None


def _parts(part: Network, network: Network, size: int) -> range:
    first = (int(part.network_address) - int(network.network_address)) // size
    return range(first, first + max(1, part.num_addresses // size))


def build_nodes(
    lab: str,
    document: Document | None,
    objects: Sequence[Document],
    under: Underlay,
    pod_networks: Sequence[Network],
    families: Sequence[str],
    memory: Memory,
    complain: Complain,
    changes: Changes,
) -> tuple[Node, ...]:
    """The nodes of the Lab document (but those removed since), then those that only Node objects name; node-1 and node-2 where there is none.

    What ``memory`` has of a node, it keeps: its number, and its Pod CIDRs where they are still part of the lab's.
    """
    given: dict[str, tuple[Mapping[str, Any], Mark | None]] = {}
    lab_nodes = document.body.get("spec", {}).get("nodes", []) if document else []
    agent = document.body.get("spec", {}).get("agent", ()) if document else ()
    for index, entry in enumerate(lab_nodes):
        mark = document.at("spec", "nodes", index, "name") if document else None
        if entry["name"] in given:
            complain(mark, f"spec.nodes[{index}].name", f"node {entry['name']} is there twice")
        given.setdefault(entry["name"], (entry, mark))
    left = {name: entry for name, entry in given.items() if name not in changes.removed_nodes}
    if given and not left and not objects:
        complain(None, "spec.nodes", "no node would be left: take the lab down instead")
    else:
        given = left
    labels: dict[str, Mapping[str, str]] = {}
    specs: dict[str, Mapping[str, Any]] = {}
    for obj in objects:
        specs[obj.name] = obj.body.get("spec", {})
        labels[obj.name] = obj.body.get("metadata", {}).get("labels", {})
        if obj.name not in given:
            spec = obj.body.get("spec", {})
            addresses = [
                address["address"]
                for address in obj.body.get("status", {}).get("addresses", [])
                if address.get("type") == "InternalIP"
            ]
            entry = {"addresses": addresses} if addresses else {}
            entry |= {"podCIDRs": spec.get("podCIDRs") or [spec["podCIDR"]]} if "podCIDR" in spec else {}
            given[obj.name] = (entry, obj.mark)
    if not given:
        given = {"node-1": ({}, None), "node-2": ({}, None)}

    by_name = numbers(list(given), memory.nodes)
    highest = max(by_name.values())
    owns = {
        name: {f"IPv{cidr.version}": cidr for cidr in _given(entry, "podCIDR", "podCIDRs")}
        for name, (entry, _) in given.items()
    }
    kept = {name: _kept(memory.cidrs.get(name, ()), pod_networks) for name in given}
    kept = {name: {**there, **owns[name]} for name, there in kept.items()}
    taken = [cidr for there in kept.values() for cidr in there.values()]
    # Only where somebody keeps a part is there anything to go round.
    joins = any(_kept(memory.cidrs.get(name, ()), pod_networks) for name in given)
    nodes = []
    too_small: set[Network] = set()
    for name, (entry, mark) in given.items():
        number = by_name[name]
        rack = entry.get("rack", under.racks[0].name if under.racks else "")
        segment = next((candidate for candidate in under.racks if candidate.name == rack), under)
        if rack and not under.racks:
            complain(mark, "spec.nodes", f"node {name} is in rack {rack}, and the underlay is flat: say kind: routed")
        pod_cidrs = []
        for family, network in zip(families, pod_networks, strict=True):
            part = kept[name].get(family)
            if part is None and joins:
                part = spare_cidr(network, number, highest, taken)
                taken += [part] if part else []
            elif part is None:
                part = node_cidr(network, number, highest)
            if part is None:
                if network not in too_small:
                    message = f"{network} is too small for {len(given)} nodes: node {name} gets no part"
                    if joins:
                        message = f"{network} has no part left for node {name}: running nodes keep theirs; down, then up, assigns all parts again"
                    complain(document.at("spec", "podCIDR") if document else mark, "spec.podCIDR", message)
                too_small.add(network)
                part = network
            pod_cidrs.append(part)
        nodes.append(
            Node(
                name,
                number,
                names.node_netns(lab, name),
                _addresses(entry, segment, number, name, mark, complain),
                tuple(pod_cidrs),
                names.mac(names.NODE_ETH0, number),
                changes.labelled(
                    "Node",
                    name,
                    {
                        **KUBELETS,
                        "kubernetes.io/hostname": name,
                        **entry.get("labels", {}),
                        **labels.get(name, {}),
                    },
                ),
                mark,
                rack if under.racks else "",
                _taints([*entry.get("taints", ()), *specs.get(name, {}).get("taints", ())]),
                bool(specs.get(name, {}).get("unschedulable")),
                tuple(entry.get("agent", agent)),
            )
        )
    return tuple(nodes)


def _taints(listed: Sequence[Mapping[str, Any]]) -> tuple[Taint, ...]:
    taints = [Taint(str(entry["key"]), str(entry.get("value", "")), str(entry["effect"])) for entry in listed]
    return tuple(dict.fromkeys(taints))


def _kept(texts: Sequence[str], pod_networks: Sequence[Network]) -> dict[str, Network]:
    """The CIDRs that a node had, those that the lab's Pod CIDRs still hold, by family."""
    there = [ip_network(text) for text in texts]
    return {f"IPv{part.version}": part for part in there if any(within(part, network) for network in pod_networks)}


def _given(entry: Mapping[str, Any], single: str, many: str) -> list[Network]:
    texts = [entry[single]] if single in entry else entry.get(many, [])
    return [roomy(ip_network(text, strict=False)) for text in texts]


def roomy(network: Network) -> Network:
    """The network, or what is around it where it has no room for itself, a gateway and an address (``build`` tells)."""
    return (
        network
        if network.prefixlen <= network.max_prefixlen - POD_BITS
        else network.supernet(new_prefix=network.max_prefixlen - POD_BITS)
    )


def _addresses(
    entry: Mapping[str, Any], under: Underlay | Rack, number: int, name: str, mark: Mark | None, complain: Complain
) -> tuple[Interface, ...]:
    """The node's addresses: those given, else the (number + 1)-th of the underlay (the first is the router's)."""
    texts = [entry["address"]] if "address" in entry else entry.get("addresses", [])
    given = {ip_address(text).version: ip_address(text) for text in texts}
    interfaces = []
    for network, gateway in zip(under.cidrs, under.gateways, strict=True):
        address = given.get(network.version)
        if address is not None and address not in network:
            complain(mark, "spec.nodes", f"node {name}: {address} is outside the underlay {network}")
        elif address == gateway.ip:
            complain(mark, "spec.nodes", f"node {name}: {address} is the underlay's router")
        elif address == network.network_address or (network.version == 4 and address == network.broadcast_address):
            complain(mark, "spec.nodes", f"node {name}: {address} is the underlay's own or its broadcast address")
        if address is None:
            last = int(network.broadcast_address) - (1 if isinstance(network, IPv4Network) else 0)
            if int(network.network_address) + number + 1 > last:
                complain(mark, "spec.underlay.cidr", f"the underlay {network} has no address for node {name}")
                number = 1
            address = network[number + 1]
        interfaces.append(ip_interface(f"{address}/{network.prefixlen}"))
    return tuple(interfaces)


def overlaps(named: Sequence[tuple[str, Network, Mark | None]]) -> list[Problem]:
    """A problem for each two networks that overlap; each is (what it is, network, place)."""
    problems = []
    ordered = sorted(enumerate(named), key=lambda item: (item[1][1].version, int(item[1][1].network_address)))
    reach: tuple[int, int] | None = None
    for index, (noun, network, mark) in ordered:
        if (
            reach is not None
            and named[reach[0]][1].version == network.version
            and int(network.network_address) <= reach[1]
        ):
            other = named[reach[0]]
            first, second = sorted(((reach[0], *other), (index, noun, network, mark)))
            message = f"{second[1]} {second[2]} overlaps {first[1]} {first[2]}" + (f" ({first[3]})" if first[3] else "")
            problems.append(Problem(second[3] or first[3], "spec", message))
        last = int(network.broadcast_address)
        if reach is None or named[reach[0]][1].version != network.version or last > reach[1]:
            reach = (index, last)
    return problems


def shared_names(
    nodes: Sequence[Node], under: Underlay, outside: Sequence[External], mark: Mark | None
) -> list[Problem]:
    """A problem for each two of nodes, racks, hosts outside and the underlay that would be one namespace."""
    problems = []
    seen: dict[str, str] = {under.netns: "the underlay"}
    named = [(f"rack {rack.name}", rack.netns, mark) for rack in under.racks]
    named += [(f"node {node.name}", node.netns, node.mark) for node in nodes]
    named += [(f"external host {host.name}", host.netns, host.mark) for host in outside]
    for noun, netns, where in named:
        first = seen.setdefault(netns, noun)
        if first != noun:
            problems.append(Problem(where, "spec", f"{noun} and {first} would both be namespace {netns}"))
    return problems


def shared_addresses(nodes: Sequence[Node]) -> list[Problem]:
    """A problem for each address that two nodes have."""
    seen: dict[object, Node] = {}
    return [
        Problem(node.mark, "spec.nodes", f"nodes {first.name} and {node.name} both have {address.ip}")
        for node in nodes
        for address in node.addresses
        if (first := seen.setdefault(address.ip, node)) is not node
    ]


def within(part: Network, whole: Network) -> bool:
    """Whether one network is part of another, of the same family."""
    return part.version == whole.version and part.subnet_of(whole)  # type: ignore[arg-type]


def dotted(*path: str | int) -> str:
    """``spec.nodes[1].address``."""
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path).lstrip(".")
