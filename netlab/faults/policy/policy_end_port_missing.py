"""A policy allows one port of a range."""

from __future__ import annotations

from typing import Any

from netlab.faults.edit import policy_at_pod
from netlab.faults.fault import Control, Fault
from netlab.faults.places import REFUSED, TIMEOUT, labelled_servers, to_pod
from netlab.model import Cluster


def _spec(labels: dict[str, str], __: str, ___: int) -> dict[str, Any]:
    return {"podSelector": {"matchLabels": labels}, "ingress": [{"ports": [{"port": 30_000}]}]}


def _control(cluster: Cluster, at: str) -> Control | None:
    return to_pod(cluster, at, (TIMEOUT, REFUSED))


FAULT = Fault(
    id="policy-end-port-missing",
    symptom="ports of the range that the policy means are denied, but for the first",
    cause="the rule has port without endPort: it allows the first port of the range alone",
    level=1,
    source="kubernetes.io, targeting a range of ports",
    look_alikes=("policy-protocol-udp", "policy-port-name-wrong"),
    requires="a Pod with labels, without an owner, that serves a port, and another Pod",
    places=labelled_servers,
    control=_control,
    on_objects=policy_at_pod("policy-end-port-missing", _spec),
)
