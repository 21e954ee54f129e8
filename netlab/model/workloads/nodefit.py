"""Whether a node by itself fits a Pod: nodeSelector, required node affinity, taints (``placement`` has the rest)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from netlab.model.cluster import Node, Taint

Body = Mapping[str, Any]
REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
UNSCHEDULABLE = Taint("node.kubernetes.io/unschedulable", "", "NoSchedule")


def daemon_tolerations(spec: Body) -> list[Body]:
    """The tolerations that the DaemonSet controller adds."""
    unready = [{"key": f"node.kubernetes.io/{key}", "operator": "Exists", "effect": "NoExecute"}
               for key in ("not-ready", "unreachable")]  # fmt: skip
    keys = ["disk-pressure", "memory-pressure", "pid-pressure", "unschedulable"]
    keys += ["network-unavailable"] if spec.get("hostNetwork") else []
    return [
        *unready,
        *({"key": f"node.kubernetes.io/{key}", "operator": "Exists", "effect": "NoSchedule"} for key in keys),
    ]


def may_run(spec: Body, node: Node, *, runs: bool = False) -> bool:
    """Whether a DaemonSet has a Pod on a node; only NoExecute drives away what already ``runs``."""
    effects = ("NoExecute",) if runs else ("NoExecute", "NoSchedule")
    return selected(spec, node) and untolerated(spec, node, effects) is None


def untolerated(spec: Body, node: Node, effects: Sequence[str] = ("NoExecute", "NoSchedule")) -> Taint | None:
    """The first taint of a node that a Pod does not tolerate."""
    taints = (*node.taints, UNSCHEDULABLE) if node.unschedulable else node.taints
    for taint in taints:
        if taint.effect in effects and not any(
            _tolerates(toleration, taint) for toleration in spec.get("tolerations", ())
        ):
            return taint
    return None


def _tolerates(toleration: Body, taint: Taint) -> bool:
    if toleration.get("effect") and toleration["effect"] != taint.effect:
        return False
    if toleration.get("key") and toleration["key"] != taint.key:
        return False
    if toleration.get("operator", "Equal") == "Exists":
        return True
    return bool(toleration.get("key")) and str(toleration.get("value", "")) == taint.value


def selected(spec: Body, node: Node) -> bool:
    """Whether nodeSelector and required node affinity allow a node."""
    if any(node.labels.get(key) != value for key, value in spec.get("nodeSelector", {}).items()):
        return False
    required = spec.get("affinity", {}).get("nodeAffinity", {}).get(REQUIRED)
    return required is None or any(_term(term, node) for term in required.get("nodeSelectorTerms", ()))


def _term(term: Body, node: Node) -> bool:
    """Whether a node has all that a term wants; an empty term selects no node."""
    expressions, fields = term.get("matchExpressions", ()), term.get("matchFields", ())
    results = [_expression(expression, node.labels) for expression in expressions]
    results += [_expression(field, {"metadata.name": node.name}) for field in fields]
    return bool(results) and all(results)


def _expression(body: Body, labels: Mapping[str, str]) -> bool:
    key, operator, values = body["key"], body["operator"], body.get("values", ())
    value = labels.get(key)
    if operator in ("Gt", "Lt"):
        try:
            number, limit = int(value or ""), int(values[0])
        except (ValueError, IndexError):
            return False
        return number > limit if operator == "Gt" else number < limit
    return {
        "In": value is not None and value in values,
        "NotIn": value is None or value not in values,
        "Exists": value is not None,
        "DoesNotExist": value is None,
    }.get(operator, False)
