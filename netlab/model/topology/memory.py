"""The state that a running lab keeps when its documents change: numbers, addresses and names of its objects."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import field, replace
from ipaddress import ip_address, ip_network
from typing import Any

from netlab import plain
from netlab.model.cluster import Cluster, Pod
from netlab.model.cluster.services import ServiceMemory
from netlab.model.conflist import Attached
from netlab.model.topology.placement import demands
from netlab.tuples import NamedTuple
from netlab.values import dataclass

POD_BITS = 2  # of a node's Pod CIDR at least: room for itself, a gateway and an address
NUMBERS = 1 << 16  # of nodes, serials and ports: all have 16 bits


class PodMemory(NamedTuple):
    """The state that a Pod keeps: its node, its plain addresses, its serial number, its namespace's name.

    ``demands`` are those with which it was placed (``placement.demands``), ``slot`` is its place in its controller.
    """

    node: str
    addresses: tuple[str, ...]
    serial: int
    netns: str
    demands: str = ""
    slot: str = ""


@dataclass(frozen=True, slots=True)
class Memory:
    """Node numbers and Pod CIDRs by name, Pods and Services by ``namespace/name``; empty for a new lab.

    ``incarnations``: by slot, how many Pods were there before and are gone.  ``gone`` are Pods that are
    deleted now: those that are made instead get other addresses.  ``paused`` are the templates of paused Deployments,
    ``outcomes`` the ends of Pods that their controllers know, ``attached`` the Pods that CNI plugins attached.
    """

    nodes: Mapping[str, int] = field(default_factory=dict)
    pods: Mapping[str, PodMemory] = field(default_factory=dict)
    services: Mapping[str, ServiceMemory] = field(default_factory=dict)
    cidrs: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    incarnations: Mapping[str, int] = field(default_factory=dict)
    gone: tuple[PodMemory, ...] = ()
    paused: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    outcomes: Mapping[str, str] = field(default_factory=dict)
    attached: Mapping[str, Attached] = field(default_factory=dict)

    @classmethod
    def of(cls, cluster: Cluster) -> Memory:
        """The state to keep of a cluster."""
        return cls(
            {node.name: node.number for node in cluster.nodes},
            {str(pod): _of_pod(pod) for pod in cluster.pods},
            {str(service): ServiceMemory.of(service) for service in cluster.services if not service.system},
            {node.name: tuple(map(str, node.pod_cidrs)) for node in cluster.nodes},
            cluster.incarnations,
            paused=cluster.paused,
            outcomes=cluster.outcomes,
            attached=cluster.attachments.pods if cluster.attachments else {},
        )

    def now(self, slots: Collection[str]) -> dict[str, int]:
        """The incarnations where these slots have Pods now: a slot that had a Pod and has none has lost that for good."""
        lost = {pod.slot for pod in self.pods.values() if pod.slot and pod.slot not in slots}
        return {**self.incarnations, **{slot: self.incarnations.get(slot, 0) + 1 for slot in sorted(lost)}}

    def known(self, wanted: Collection[str]) -> dict[str, str]:
        """The known ends of Pods and Jobs that documents still ask for."""
        return {name: end for name, end in self.outcomes.items() if name in wanted}

    def without(self, slots: Mapping[str, str]) -> Memory:
        """The memory after these Pods (each with its slot) end, and their controllers create others."""
        ended = {slot: self.incarnations.get(slot, 0) + 1 for slot in slots.values() if slot}
        gone = tuple(pod for name, pod in self.pods.items() if name in slots)
        pods = {name: pod for name, pod in self.pods.items() if name not in slots}
        outcomes = {name: outcome for name, outcome in self.outcomes.items() if name not in slots}
        return replace(self, pods=pods, incarnations={**self.incarnations, **ended}, gone=gone, outcomes=outcomes)

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        data: dict[str, Any] = plain.dump(self)
        return data

    @classmethod
    def from_json(cls, data: Any) -> Memory:
        """The inverse of ``to_json``; ValueError where the data is not ours."""
        memory = plain.load(cls, data)
        numbers = [*memory.nodes.values(), *(member.serial for member in memory.pods.values())]
        numbers += [port for other in memory.services.values() for port in other.node_ports.values()]
        if any(not 0 <= number < NUMBERS for number in numbers):
            raise ValueError(f"a number that is not below {NUMBERS}")
        for pod in memory.pods.values():
            for address in pod.addresses:
                ip_address(address)
        for service in memory.services.values():
            for address in (*service.cluster_ips, *service.load_balancer_ips):
                ip_address(address)
        for cidrs in memory.cidrs.values():
            for cidr in map(ip_network, cidrs):
                if cidr.prefixlen > cidr.max_prefixlen - POD_BITS:
                    raise ValueError(f"{cidr} has no room for a node's Pods")
        return memory


def _of_pod(pod: Pod) -> PodMemory:
    addresses = tuple(str(address.ip) for address in pod.addresses)
    return PodMemory(pod.node, addresses, pod.serial, pod.netns, demands(pod.spec), pod.slot)
