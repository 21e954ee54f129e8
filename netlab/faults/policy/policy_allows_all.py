"""A policy allows everybody."""

from __future__ import annotations

from typing import Any

from netlab.faults.edit import at_object
from netlab.faults.fault import Control, Fault
from netlab.faults.places import denied_by, policies
from netlab.model import Cluster


def _open(spec: dict[str, Any]) -> None:
    spec["ingress"] = [{}]


def _control(cluster: Cluster, at: str) -> Control | None:
    return denied_by(cluster, at)


FAULT = Fault(
    id="policy-allows-all",
    symptom="Pods reach the server that the policy should keep away",
    cause="the policy has an empty rule ({}), which allows everything from everywhere",
    level=1,
    source="kubernetes.io, allow all ingress traffic",
    look_alikes=("policy-selects-nothing", "policy-or-for-and"),
    requires="a NetworkPolicy that denies a Pod something",
    places=policies,
    control=_control,
    on_objects=at_object("NetworkPolicy", _open),
)
