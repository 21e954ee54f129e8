"""A policy allows Pods with a label that none has."""

from __future__ import annotations

from typing import Any

from netlab.faults.edit import policy_at_pod
from netlab.faults.fault import Control, Fault
from netlab.faults.places import REFUSED, TIMEOUT, labelled_servers, to_pod
from netlab.model import Cluster


def _spec(labels: dict[str, str], __: str, ___: int) -> dict[str, Any]:
    return {
        "podSelector": {"matchLabels": labels},
        "ingress": [{"from": [{"podSelector": {"matchLabels": {"app": "clinet"}}}]}],
    }


def _control(cluster: Cluster, at: str) -> Control | None:
    return to_pod(cluster, at, (TIMEOUT, REFUSED))


FAULT = Fault(
    id="policy-peer-misspelt",
    symptom="clients that the policy means are denied",
    cause="the peer of the policy's rule is selected by a label value that no Pod has",
    level=1,
    source="ahmetb/kubernetes-network-policy-recipes#91",
    look_alikes=("policy-namespace-label", "default-deny"),
    requires="a Pod with labels, without an owner, that serves a port, and another Pod",
    places=labelled_servers,
    control=_control,
    on_objects=policy_at_pod("policy-peer-misspelt", _spec),
)
