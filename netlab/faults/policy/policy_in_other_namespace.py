"""A policy is in another namespace than its Pods."""

from __future__ import annotations

from dataclasses import replace

from netlab.faults.fault import Control, Fault, Objects
from netlab.faults.places import denied_by, policies
from netlab.model import Cluster


def _move(objects: Objects, at: str) -> Objects:
    return tuple(
        replace(
            each,
            namespace="kube-public",
            body={**each.body, "metadata": {**each.body["metadata"], "namespace": "kube-public"}},
        )
        if each.kind == "NetworkPolicy" and f"{each.namespace}/{each.name}" == at
        else each
        for each in objects
    )


def _control(cluster: Cluster, at: str) -> Control | None:
    return denied_by(cluster, at)


FAULT = Fault(
    id="policy-in-other-namespace",
    symptom="Pods reach the server that the policy should keep away",
    cause="the policy was applied to another namespace: a policy selects Pods of its own one alone",
    level=1,
    source="kubernetes.io, NetworkPolicy resource",
    look_alikes=("policy-selects-nothing", "policy-not-enforced"),
    requires="a NetworkPolicy that denies a Pod something",
    places=policies,
    control=_control,
    on_objects=_move,
)
