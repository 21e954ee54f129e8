"""A policy allows either of two things, and means both at once."""

from __future__ import annotations

from typing import Any

from netlab.faults.edit import at_object
from netlab.faults.fault import Control, Fault
from netlab.faults.places import denied_by
from netlab.model import Cluster
from netlab.model.cluster.policies import PodPeer, Policy
from netlab.objects import State


def _split(spec: dict[str, Any]) -> None:
    for rule in spec.get("ingress", ()):
        rule["from"] = [{key: value} for peer in rule.get("from", ()) for key, value in peer.items()]


def _places(cluster: Cluster, state: State) -> list[str]:
    def both(each: Policy) -> bool:
        peers = [peer for rule in each.ingress or () for peer in rule.peers]
        return any(isinstance(peer, PodPeer) and peer.namespaces and peer.pods.requirements for peer in peers)

    return [str(each) for each in cluster.network_policies if both(each)]


def _control(cluster: Cluster, at: str) -> Control | None:
    return denied_by(cluster, at)


FAULT = Fault(
    id="policy-or-for-and",
    symptom="Pods reach the server that the policy should keep away",
    cause="a dash too much: podSelector and namespaceSelector are two items of the list, so either of them allows",
    level=2,
    source="ahmetb/kubernetes-network-policy-recipes#110",
    look_alikes=("policy-selects-nothing", "policy-not-enforced"),
    requires="a NetworkPolicy with a peer by namespace and labels, that denies a Pod of that namespace",
    places=_places,
    control=_control,
    on_objects=at_object("NetworkPolicy", _split),
)
