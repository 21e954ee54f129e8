"""NetworkPolicies without effect: they select no Pod, deny nothing, or netlab enforces none."""

from __future__ import annotations

from collections.abc import Iterator

from netlab.errors import Mark
from netlab.lint.subject import Guess, Subject, opens, workload
from netlab.model import Pod
from netlab.model.cluster.policies import EGRESS, INGRESS, Policy, Rule
from netlab.near import meant, misspelt
from netlab.spec import Document, Level, Warning

_SELECTS_NOTHING = "policy-selects-nothing"
_NAMED = 3  # namespaces that a line names before it only counts


def selects_nothing(subject: Subject) -> Iterator[Warning]:
    """A policy without Pods; a note where its Pods are known and not there now."""
    for policy in subject.policies:
        if not subject.selection.members(policy.subject):
            level, code, why = _why(policy, subject)
            message = f"NetworkPolicy {policy} selects no Pod of namespace {policy.namespace}: {why}"
            yield _warning(policy, code, message, level)


def denies_nothing(subject: Subject) -> Iterator[Warning]:
    """A policy that lets everybody in at every declared port, and its Pods out to everywhere.

    Of Pods that the Baseline tier would judge otherwise that is an effect.
    """
    for policy in subject.policies:
        pods = subject.members(policy.subject)
        if any(subject.evaluator.judges(pod, direction).baseline for pod in pods for direction in (INGRESS, EGRESS)):
            continue
        if pods and _lets_out(policy.egress) and all(_lets_in(policy.ingress, pod, subject) for pod in pods):
            ports = "" if policy.ingress is None or _lets_out(policy.ingress) else " on the ports that its Pods declare"
            yield _warning(policy, "denies-nothing", f"NetworkPolicy {policy} denies nothing{ports}", "note")


def rules_without_effect(subject: Subject) -> Iterator[Warning]:
    """Rules of a direction that policyTypes leaves out: the policy says nothing about that direction."""
    for document in subject.documents.objects:
        if document.kind != "NetworkPolicy":
            continue
        spec = document.body.get("spec", {})
        for direction, name in ((INGRESS, "Ingress"), (EGRESS, "Egress")):
            if spec.get(direction) and spec.get("policyTypes") and name not in spec["policyTypes"]:
                message = f"{document} has {direction} rules without effect: {name} is not among its policyTypes"
                yield Warning("rules-without-effect", message, document.at("spec", direction), str(document), "warning")


def not_enforced(subject: Subject) -> Iterator[Warning]:
    """A lab with policies of which netlab makes no rules."""
    if subject.cluster.filters:
        yield from unenforced(subject.documents.lab)


def unenforced(lab: Document | None) -> list[Warning]:
    """The note that a Lab has netlab enforce no policies; none where netlab does."""
    if lab is None or lab.body.get("spec", {}).get("policy", {}).get("enforce") != "none":
        return []
    message = "netlab makes no rules of policies in this lab (enforce: none); predictions say what the policies want"
    mark = lab.at("spec", "policy", "enforce")
    return [Warning("policies-not-enforced", message, mark, str(lab), "note")]


def _lets_out(rules: tuple[Rule, ...] | None) -> bool:
    return rules is None or any(not rule.peers and not rule.ports for rule in rules)


def _lets_in(rules: tuple[Rule, ...] | None, pod: Pod, subject: Subject) -> bool:
    if _lets_out(rules):
        return True
    to_all = [rule for rule in rules or () if not rule.peers]
    ports = [port for port in pod.ports if port.declared]
    return bool(ports) and all(
        any(opens(rule, pod, port.port, port.protocol, subject.selection) for rule in to_all) for port in ports
    )


def _warning(policy: Policy, code: str, message: str, level: Level) -> Warning:
    return Warning(code, message, policy.mark or Mark("", 0), f"NetworkPolicy {policy}", level)


def _why(policy: Policy, subject: Subject) -> tuple[Level, str, str]:
    """Why nothing is selected: the level, the code and the words."""
    code = _SELECTS_NOTHING
    pods = [pod for pod in subject.cluster.pods if pod.namespace == policy.namespace]
    own = next((pod for pod in pods if policy.pods.matches(pod.labels)), None)
    if own is not None:  # all that policies do not know
        return (
            "warning",
            code,
            f"{workload(own)} {'has ended' if own.ended else 'is in the network of its node (hostNetwork)'}",
        )
    if asleep := subject.asleep((policy.namespace,), policy.pods.matches):
        return "note", code, f"{asleep.kind} {asleep.name} has no Pod now"
    guess = subject.guess(policy.pods, subject.labels_in((policy.namespace,)))
    if pods:
        return guess.level(subject.absence), guess.code(code), f"none has {policy.pods}{guess.text}"
    return _no_pods(policy, guess, subject)


def _no_pods(policy: Policy, guess: Guess, subject: Subject) -> tuple[Level, str, str]:
    """The same of a policy whose namespace has no Pod: an error where no object but policies is in it."""
    spaces = sorted({pod.namespace for pod in subject.cluster.own_pods})
    if not spaces:  # a set of policies alone
        return "note", _SELECTS_NOTHING, "there is none"
    if subject.absence == "note" or guess.text:
        return guess.level(subject.absence), guess.code(_SELECTS_NOTHING), f"there is none{guess.text}"
    written = subject.document("NetworkPolicy", policy.namespace, policy.name)
    reason = (
        "the policy has no metadata.namespace, and " if written and "namespace" not in written.body["metadata"] else ""
    )
    where = ", ".join(spaces[:_NAMED]) + (f" and {len(spaces) - _NAMED} more" if len(spaces) > _NAMED else "")
    near_by = meant(misspelt(policy.namespace, spaces))
    return "error", "policy-namespace", f"there is none; {reason}all Pods are in {where}{near_by}"
