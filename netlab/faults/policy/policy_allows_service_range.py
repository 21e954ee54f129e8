"""A policy allows the range of Services, where Pods come from their own."""

from __future__ import annotations

from typing import Any

from netlab.faults.edit import policy_at_pod
from netlab.faults.fault import Control, Fault
from netlab.faults.places import REFUSED, TIMEOUT, labelled_servers, to_pod
from netlab.model import Cluster


def _spec(labels: dict[str, str], __: str, ___: int) -> dict[str, Any]:
    return {"podSelector": {"matchLabels": labels}, "ingress": [{"from": [{"ipBlock": {"cidr": "10.96.0.0/16"}}]}]}


def _control(cluster: Cluster, at: str) -> Control | None:
    return to_pod(cluster, at, (TIMEOUT, REFUSED))


FAULT = Fault(
    id="policy-allows-service-range",
    symptom="clients that come by the Service are denied, though the rule has its address",
    cause="the rule allows the Services' addresses; a packet has its sender's address, which no Service translates",
    level=2,
    source="kubernetes/kubernetes#100247",
    look_alikes=("policy-peer-misspelt", "default-deny"),
    requires="a Pod with labels, without an owner, that serves a port, and another Pod",
    places=labelled_servers,
    control=_control,
    on_objects=policy_at_pod("policy-allows-service-range", _spec),
)
