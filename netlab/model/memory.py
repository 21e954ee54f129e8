"""What a running lab must keep when its documents change: numbers, addresses, names of what is there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from netlab.model.cluster import Cluster
from netlab.model.services_types import ServiceMemory


class PodMemory(NamedTuple):
    """What a Pod keeps: its node, its plain addresses, its serial number, its namespace's name."""

    node: str
    addresses: tuple[str, ...]
    serial: int
    netns: str


@dataclass(frozen=True, slots=True)
class Memory:
    """Node numbers and Pod CIDRs by name, Pods and Services by ``namespace/name``; empty for a new lab."""

    nodes: Mapping[str, int] = field(default_factory=dict)
    pods: Mapping[str, PodMemory] = field(default_factory=dict)
    services: Mapping[str, ServiceMemory] = field(default_factory=dict)
    cidrs: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @classmethod
    def of(cls, cluster: Cluster) -> Memory:
        """What to remember of a cluster."""
        return cls(
            {node.name: node.number for node in cluster.nodes},
            {
                str(pod): PodMemory(pod.node, tuple(str(one.ip) for one in pod.addresses), pod.serial, pod.netns)
                for pod in cluster.pods
                if not pod.host_network
            },
            {str(one): ServiceMemory.of(one) for one in cluster.services if not one.system},
            {node.name: tuple(map(str, node.pod_cidrs)) for node in cluster.nodes},
        )

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        services = {
            name: [list(one.cluster_ips), list(one.load_balancer_ips), dict(one.node_ports)]
            for name, one in self.services.items()
        }
        pods = {name: list(one) for name, one in self.pods.items()}
        cidrs = {name: list(one) for name, one in self.cidrs.items()}
        return {"nodes": dict(self.nodes), "pods": pods, "services": services, "cidrs": cidrs}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Memory:
        """The inverse of ``to_json``."""
        return cls(
            data["nodes"],
            {name: PodMemory(one[0], tuple(one[1]), one[2], one[3]) for name, one in data["pods"].items()},
            {
                name: ServiceMemory(tuple(one[0]), tuple(one[1]), one[2])
                for name, one in data.get("services", {}).items()
            },
            {name: tuple(one) for name, one in data.get("cidrs", {}).items()},
        )
