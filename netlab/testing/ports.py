"""The ports that policies and expectations name, and that Pods do not declare.

In ``netlab test`` somebody answers there too, so that what a policy opens can be seen; elsewhere a Pod that declares
ports refuses all others.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from ipaddress import ip_address, ip_network
from itertools import islice

from netlab.model import Cluster, Pod, Port
from netlab.model.cluster.policies import EGRESS, INGRESS, Block, PodPeer, Policy
from netlab.model.cluster.tiers import TierPolicy
from netlab.model.selection import Selection
from netlab.oracle.expect import Expectations
from netlab.oracle.resolve import wanted_ports
from netlab.testing.ground import ADDRESSES, BLOCK, Host
from netlab.testing.standins import STRANGER, role

_BLOCKS = 8  # hosts that stand for ipBlocks
_TRIED = 300  # addresses of a block
#: What the default lab uses itself: Pods, Services, nodes, the links of routers, loopback and what no host can have.
_INSIDE = tuple(
    map(
        ip_network,
        (
            "10.244.0.0/16",
            "10.96.0.0/16",
            "172.18.0.0/16",
            "172.31.255.0/24",
            "127.0.0.0/8",
            "224.0.0.0/3",
            "0.0.0.0/8",
        ),
    )
)


def undeclared(cluster: Cluster, expectations: Expectations | None) -> dict[str, list[Port]]:
    """By Pod (``namespace/name``), what is to be served besides its own ports."""
    ports_by_pod: dict[str, dict[tuple[int, str], Port]] = {}
    pods = {str(pod): pod for pod in cluster.pods}
    wanted = [*_of_policies(cluster)]
    if expectations is not None:
        wanted += [
            (pods[each.pod], Port(each.port, each.protocol, "", "", False, each.mark))
            for each in wanted_ports(expectations, cluster)
        ]
    for pod, port in wanted:
        declared = {(each.port, each.protocol) for each in pod.ports}
        added = pod.host_network or pod.system or role(pod) == STRANGER
        if not added and (port.port, port.protocol) not in declared:
            ports_by_pod.setdefault(str(pod), {}).setdefault((port.port, port.protocol), port)
    return {name: list(ports.values()) for name, ports in ports_by_pod.items()}


def with_ports(cluster: Cluster, extra: Mapping[str, list[Port]]) -> Cluster:
    """The cluster whose Pods have these ports too."""
    return replace(
        cluster,
        pods=tuple(
            replace(pod, ports=(*pod.ports, *extra[str(pod)])) if extra.get(str(pod)) else pod for pod in cluster.pods
        ),
    )


def _of_policies(cluster: Cluster) -> Iterator[tuple[Pod, Port]]:
    """Of rules for single ports, the Pods whose ports they open: the policy's own, or the peers by their labels."""
    selection = Selection(cluster)
    policies: tuple[Policy | TierPolicy, ...] = (*cluster.network_policies, *cluster.tiers)
    for policy in policies:
        for direction in (INGRESS, EGRESS):
            for rule in policy.rules(direction) or ():
                numbers = [match for match in rule.ports if match.first is not None and match.first == match.last]
                if not numbers:
                    continue
                pods: Iterable[Pod] = selection.members(policy.subject)
                if direction == EGRESS:
                    peers = [peer for peer in rule.peers if isinstance(peer, PodPeer) and peer.pods.requirements]
                    pods = (pod for peer in peers for pod in selection.members(peer) if not role(pod))
                for pod in pods:
                    for match in numbers:
                        yield pod, Port(match.first or 0, match.protocol, "", "", False, rule.mark)


def of_blocks(policies: Iterable[Policy | TierPolicy]) -> list[Host]:
    """Hosts for ipBlocks in which the default lab has no address."""
    served: dict[Block, dict[str, None]] = {}
    for policy in policies:
        for direction in (INGRESS, EGRESS):
            for rule in policy.rules(direction) or ():
                ports = [f"{port.first}/{port.protocol or 'TCP'}" for port in rule.ports if port.first is not None]
                for peer in rule.peers:
                    if isinstance(peer, Block) and peer.cidr.version == 4 and not _has_address(peer):
                        served.setdefault(peer, {}).update(dict.fromkeys(ports if direction == EGRESS else ()))
    hosts: dict[str, Host] = {}
    for block, named in served.items():
        address = _address(block)
        if address and len(hosts) < _BLOCKS:
            hosts.setdefault(address, Host(BLOCK + address.replace(".", "-"), address, tuple(named) or ("80/TCP",)))
    return list(hosts.values())


def _has_address(block: Block) -> bool:
    """Whether a host outside is in the block, or it reaches into the lab's own networks."""
    networks = [ip_address(address) for addresses in ADDRESSES.values() for address in addresses]
    if any(address in block.cidr and not any(address in each for each in block.excepts) for address in networks):
        return True
    return any(network.overlaps(block.cidr) for network in _INSIDE)


def _address(block: Block) -> str:
    """The first address of a block that is not excepted; "" where the first few all are."""
    addresses = (address for address in islice(block.cidr, 1 if block.cidr.num_addresses > 2 else 0, _TRIED))
    return next((str(each) for each in addresses if not any(each in other for other in block.excepts)), "")


def of_internet(policies: Iterable[Policy | TierPolicy], expectations: Expectations | None) -> list[str]:
    """The ports that egress rules open towards addresses and that expectations name, as a Lab document writes them."""
    addresses: dict[str, None] = {}
    for line in expectations.lines if expectations else ():
        if line.port and line.port.number and any(written.selector.kind == "external" for written in line.targets):
            addresses[str(line.port)] = None
    for policy in policies:
        for rule in policy.rules(EGRESS) or ():
            if rule.peers and not any(isinstance(peer, Block) for peer in rule.peers):
                continue
            for match in rule.ports:
                if match.first is not None and match.first == match.last:
                    addresses[f"{match.first}/{match.protocol}"] = None
    return list(addresses)
