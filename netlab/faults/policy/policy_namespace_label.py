"""A policy allows a namespace by a label that it has not."""

from __future__ import annotations

from typing import Any

from netlab.faults.edit import policy_at_pod
from netlab.faults.fault import Control, Fault
from netlab.faults.places import REFUSED, TIMEOUT, labelled_servers, to_pod
from netlab.model import Cluster


def _spec(labels: dict[str, str], namespace: str, ___: int) -> dict[str, Any]:
    return {
        "podSelector": {"matchLabels": labels},
        "ingress": [{"from": [{"namespaceSelector": {"matchLabels": {"name": namespace}}}]}],
    }


def _control(cluster: Cluster, at: str) -> Control | None:
    return to_pod(cluster, at, (TIMEOUT, REFUSED))


FAULT = Fault(
    id="policy-namespace-label",
    symptom="clients of the namespace that the policy means are denied",
    cause="namespaceSelector asks for the label name, and namespaces have kubernetes.io/metadata.name",
    level=1,
    source="projectcalico/calico#6898",
    look_alikes=("policy-peer-misspelt", "policy-and-for-or"),
    requires="a Pod with labels, without an owner, that serves a port, and another Pod",
    places=labelled_servers,
    control=_control,
    on_objects=policy_at_pod("policy-namespace-label", _spec),
)
