"""A policy allows what a Pod needs, and forgets the DNS."""

from __future__ import annotations

from typing import Any

from netlab.faults.edit import policy_at_pod
from netlab.faults.fault import Control, Fault
from netlab.faults.places import labelled_pods, named, pod_of
from netlab.model import Cluster


def _spec(labels: dict[str, str], __: str, ___: int) -> dict[str, Any]:
    return {
        "podSelector": {"matchLabels": labels},
        "policyTypes": ["Egress"],
        "egress": [{"to": [{"podSelector": {}}]}],
    }


def _control(cluster: Cluster, at: str) -> Control | None:
    return named(cluster, pod_of(cluster, at))


FAULT = Fault(
    id="egress-without-dns",
    symptom="the Pod resolves no name; by address it reaches what the policy allows",
    cause="the egress rules of the policy do not allow port 53 to kube-system, and everything else is denied",
    level=1,
    source="kubernetes/website#38267",
    look_alikes=("dns-server-wrong", "dns-port-filtered"),
    requires="a Pod with labels, without an owner, and a Service, in a lab with names",
    places=labelled_pods,
    control=_control,
    on_objects=policy_at_pod("egress-without-dns", _spec),
)
