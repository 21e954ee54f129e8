"""A policy allows the port by UDP alone."""

from __future__ import annotations

from typing import Any

from netlab.faults.edit import policy_at_pod
from netlab.faults.fault import Control, Fault
from netlab.faults.places import REFUSED, TIMEOUT, labelled_servers, to_pod
from netlab.model import Cluster


def _spec(labels: dict[str, str], __: str, port: int) -> dict[str, Any]:
    return {"podSelector": {"matchLabels": labels}, "ingress": [{"ports": [{"port": port, "protocol": "UDP"}]}]}


def _control(cluster: Cluster, at: str) -> Control | None:
    return to_pod(cluster, at, (TIMEOUT, REFUSED))


FAULT = Fault(
    id="policy-protocol-udp",
    symptom="TCP connections to the port that the policy allows are denied",
    cause="the protocol of the rule's port is UDP",
    level=1,
    source="projectcalico/calico#8224",
    look_alikes=("policy-end-port-missing", "policy-port-name-wrong"),
    requires="a Pod with labels, without an owner, that serves a port, and another Pod",
    places=labelled_servers,
    control=_control,
    on_objects=policy_at_pod("policy-protocol-udp", _spec),
)
