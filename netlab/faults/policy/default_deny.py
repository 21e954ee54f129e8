"""A policy denies everything."""

from __future__ import annotations

from typing import Any

from netlab.faults.edit import policy_at_pod
from netlab.faults.fault import Control, Fault
from netlab.faults.places import REFUSED, TIMEOUT, labelled_servers, to_pod
from netlab.model import Cluster


def _spec(_: dict[str, str], __: str, ___: int) -> dict[str, Any]:
    return {"podSelector": {}, "policyTypes": ["Ingress"]}


def _control(cluster: Cluster, at: str) -> Control | None:
    return to_pod(cluster, at, (TIMEOUT, REFUSED))


FAULT = Fault(
    id="default-deny",
    symptom="no Pod of the namespace is reached any more, also by its neighbours",
    cause="a NetworkPolicy selects all Pods of the namespace and allows nothing (default deny)",
    level=1,
    source="kubernetes.io, default deny all ingress traffic",
    look_alikes=("policy-peer-misspelt", "policy-namespace-label"),
    requires="a Pod with labels, without an owner, that serves a port, and another Pod",
    places=labelled_servers,
    control=_control,
    on_objects=policy_at_pod("default-deny", _spec),
)
