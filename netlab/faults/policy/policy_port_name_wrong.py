"""A policy allows a port by a name that it has not."""

from __future__ import annotations

from typing import Any

from netlab.faults.edit import policy_at_pod
from netlab.faults.fault import Control, Fault
from netlab.faults.places import REFUSED, TIMEOUT, labelled_servers, to_pod
from netlab.model import Cluster


def _spec(labels: dict[str, str], __: str, ___: int) -> dict[str, Any]:
    return {"podSelector": {"matchLabels": labels}, "ingress": [{"ports": [{"port": "htpp"}]}]}


def _control(cluster: Cluster, at: str) -> Control | None:
    return to_pod(cluster, at, (TIMEOUT, REFUSED))


FAULT = Fault(
    id="policy-port-name-wrong",
    symptom="the port that the policy means is denied",
    cause="the rule names the port by a name that no port of the Pod's containers has",
    level=2,
    source="kubernetes.io, NetworkPolicyPort",
    look_alikes=("policy-protocol-udp", "policy-end-port-missing"),
    requires="a Pod with labels, without an owner, that serves a port, and another Pod",
    places=labelled_servers,
    control=_control,
    on_objects=policy_at_pod("policy-port-name-wrong", _spec),
)
