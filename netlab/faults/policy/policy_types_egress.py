"""A policy for what comes in denies all that goes out."""

from __future__ import annotations

from typing import Any

from netlab.faults.edit import policy_at_pod
from netlab.faults.fault import Control, Fault
from netlab.faults.places import REFUSED, TIMEOUT, from_pod, labelled_pods
from netlab.model import Cluster


def _spec(labels: dict[str, str], __: str, ___: int) -> dict[str, Any]:
    return {"podSelector": {"matchLabels": labels}, "policyTypes": ["Ingress", "Egress"], "ingress": [{}]}


def _control(cluster: Cluster, at: str) -> Control | None:
    return from_pod(cluster, at, (TIMEOUT, REFUSED))


FAULT = Fault(
    id="policy-types-egress",
    symptom="the Pod reaches nobody, though the policy has rules for what comes in alone",
    cause="policyTypes names Egress, and the policy has no egress rule: nothing may leave",
    level=1,
    source="kubernetes.io, policyTypes",
    look_alikes=("egress-without-dns", "pod-default-route-missing"),
    requires="a Pod with labels, without an owner, and another one that serves a port",
    places=labelled_pods,
    control=_control,
    on_objects=policy_at_pod("policy-types-egress", _spec),
)
