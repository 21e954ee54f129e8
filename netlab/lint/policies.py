"""NetworkPolicies that select no Pod."""

from __future__ import annotations

from collections.abc import Iterator

from netlab.errors import Mark
from netlab.lint.subject import Subject
from netlab.model.policies import Policy
from netlab.spec import Level, Warning


def selects_nothing(subject: Subject) -> Iterator[Warning]:
    """A policy without effect; a note where its Pods are known and not there now."""
    for policy in subject.policies:
        if subject.selection.members(policy.subject):
            continue
        level, why = _why(policy, subject)
        message = f"NetworkPolicy {policy} selects no Pod of namespace {policy.namespace}: {why}"
        yield Warning("policy-selects-nothing", message, policy.mark or Mark("", 0), f"NetworkPolicy {policy}", level)


def _why(policy: Policy, subject: Subject) -> tuple[Level, str]:
    pods = [pod for pod in subject.cluster.pods if pod.namespace == policy.namespace]
    own = next((pod for pod in pods if policy.pods.matches(pod.labels)), None)
    if own is not None:  # all that policies do not know
        return "warning", f"{own.name} {'has ended' if own.ended else 'is in the network of its node (hostNetwork)'}"
    if asleep := subject.asleep((policy.namespace,), policy.pods.matches):
        return "note", f"{asleep.kind} {asleep.name} has no Pod now"
    if pods:
        hint = subject.guess(policy.pods, subject.labels_in((policy.namespace,)))
        return "warning" if hint else subject.absence, f"none has {policy.pods}{hint}"
    elsewhere = _elsewhere(policy, subject)
    return "warning" if elsewhere else subject.absence, f"there is none{elsewhere}"


def _elsewhere(policy: Policy, subject: Subject) -> str:
    """The one namespace that the Pods are in, where the policy itself names none."""
    namespaces = {pod.namespace for pod in subject.cluster.own_pods}
    document = next(
        (
            candidate
            for candidate in subject.cluster.policies
            if str(policy) == f"{candidate.namespace}/{candidate.name}"
        ),
        None,
    )
    if len(namespaces) != 1 or document is None or "namespace" in document.body["metadata"]:
        return ""
    return f"; the policy has no metadata.namespace, and all Pods are in {namespaces.pop()}"
