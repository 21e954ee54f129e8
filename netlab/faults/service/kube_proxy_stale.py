"""The rules of a node lead to Pods that are gone."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address

from netlab.faults.edit import at_node, changed
from netlab.faults.fault import Control, Fault
from netlab.faults.places import TIMEOUT, UNREACHABLE, nodes, service_from
from netlab.model import Cluster, Node
from netlab.objects import NftChain, State


def _stale(_: Cluster, state: State, node: Node) -> State:
    def fits(chain: NftChain) -> bool:
        return chain.netns == node.netns and chain.table == "kube-proxy" and chain.chain.startswith("endpoint-")

    def old(rule: str) -> str:
        before, to, target = rule.rpartition("dnat to ")
        address, colon, port = target.rpartition(":")
        return f"{before}{to}{_gone(address)}{colon}{port}" if to else rule

    return changed(state, NftChain, fits, lambda chain: replace(chain, rules=tuple(map(old, chain.rules))))


def _gone(address: str) -> str:
    """An address of the same network that no Pod has."""
    bare = ip_address(address.strip("[]"))
    return f"[{bare + 120}]" if bare.version == 6 else str(bare + 120)


def _control(cluster: Cluster, at: str) -> Control | None:
    return service_from(cluster, at, (TIMEOUT, UNREACHABLE))


FAULT = Fault(
    id="kube-proxy-stale",
    symptom="no Service works from this node, and each works from others; its rules are there",
    cause="kube-proxy of the node no longer follows the API: its rules lead to addresses of Pods that are gone",
    level=3,
    source="kubernetes/kubernetes#112477",
    look_alikes=("kube-proxy-rules-missing", "stale-endpoints", "stale-translation"),
    requires="a Service, and a Pod of the node that is none of its backends",
    places=nodes,
    control=_control,
    on_state=at_node(_stale),
)
