"""A policy selects no Pod."""

from __future__ import annotations

from typing import Any

from netlab.faults.edit import at_object
from netlab.faults.fault import Control, Fault
from netlab.faults.places import denied_by, policies
from netlab.model import Cluster


def _miss(spec: dict[str, Any]) -> None:
    spec["podSelector"] = {"matchLabels": {"app.kubernetes.io/name": "databse"}}


def _control(cluster: Cluster, at: str) -> Control | None:
    return denied_by(cluster, at)


FAULT = Fault(
    id="policy-selects-nothing",
    symptom="Pods reach the server that the policy should keep away",
    cause="the policy's podSelector matches no Pod, so the policy isolates nobody",
    level=1,
    source="SREGym/SREGym#765",
    look_alikes=("policy-in-other-namespace", "policy-not-enforced"),
    requires="a NetworkPolicy that denies a Pod something",
    places=policies,
    control=_control,
    on_objects=at_object("NetworkPolicy", _miss),
)
