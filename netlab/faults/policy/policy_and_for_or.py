"""A policy asks for two things at once, and means either."""

from __future__ import annotations

from typing import Any

from netlab.faults.edit import policy_at_pod
from netlab.faults.fault import Control, Fault
from netlab.faults.places import REFUSED, TIMEOUT, labelled_servers, to_pod
from netlab.model import Cluster


def _spec(labels: dict[str, str], __: str, ___: int) -> dict[str, Any]:
    return {
        "podSelector": {"matchLabels": labels},
        "ingress": [{"from": [{"namespaceSelector": {"matchLabels": {"team": "ops"}}, "podSelector": {}}]}],
    }


def _control(cluster: Cluster, at: str) -> Control | None:
    return to_pod(cluster, at, (TIMEOUT, REFUSED))


FAULT = Fault(
    id="policy-and-for-or",
    symptom="Pods of the own namespace are denied, though the rule names all Pods",
    cause="podSelector and namespaceSelector stand in one item of the list, so both must match: a dash is missing",
    level=2,
    source="redhat-appstudio/infra-deployments#7039",
    look_alikes=("policy-namespace-label", "policy-peer-misspelt"),
    requires="a Pod with labels, without an owner, that serves a port, and another Pod",
    places=labelled_servers,
    control=_control,
    on_objects=policy_at_pod("policy-and-for-or", _spec),
)
