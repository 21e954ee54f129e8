"""What a running lab must keep when its documents change: numbers, addresses, names of what is there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from netlab.model.cluster import Cluster


class PodMemory(NamedTuple):
    """What a Pod keeps: its node, its plain addresses, its serial number, its namespace's name."""

    node: str
    addresses: tuple[str, ...]
    serial: int
    netns: str


@dataclass(frozen=True, slots=True)
class Memory:
    """Node numbers by name, Pods by ``namespace/name``; empty for a new lab."""

    nodes: Mapping[str, int] = field(default_factory=dict)
    pods: Mapping[str, PodMemory] = field(default_factory=dict)

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
        )

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        return {"nodes": dict(self.nodes), "pods": {name: list(one) for name, one in self.pods.items()}}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Memory:
        """The inverse of ``to_json``."""
        return cls(
            data["nodes"],
            {name: PodMemory(one[0], tuple(one[1]), one[2], one[3]) for name, one in data["pods"].items()},
        )
