"""The reasoning behind a verdict, for people and for machines; and what each direction allows, as tables."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from netlab.errors import Mark
from netlab.oracle.denials import Denials
from netlab.oracle.flow import Flow, Outcome, Verdict
from netlab.oracle.policy import Side


def sides(denials: Denials, flow: Flow) -> tuple[Side, ...]:
    """The source's egress and the target's ingress."""
    target = denials.target(flow.address)
    source = denials.source(flow.src, target)
    return tuple(denials.evaluator.sides(source, target, flow.port, flow.protocol)) if source else ()


def tell(verdict: Verdict, judged: Iterable[Side]) -> Iterator[str]:
    """Lines: the verdict, then what each direction's policies say."""
    why = f": {verdict.because[0].says}" if verdict.because and verdict.outcome is not Outcome.DENIED else ""
    yield f"{verdict.flow}: {verdict.outcome}{why}"
    for side in judged:
        if side.exempt:
            yield f"  {side.direction}: passes, {side.exempt}"
            continue
        count = len(side.policies)
        isolated = f"{count} {'policy isolates' if count == 1 else 'policies isolate'} {side.party.name}"
        if side.rule:
            policy, rule = side.rule
            yield f"  {side.direction}: allowed by {policy} {rule}{_at(rule.mark)}; {isolated}"
        else:
            yield f"  {side.direction}: denied; {isolated}, and no rule allows this"
        for missed in side.missed:
            where = missed.rule.mark if missed.rule else missed.policy.mark
            name = f"{missed.policy} {missed.rule}" if missed.rule else str(missed.policy)
            says = missed.says if missed.rule is None else f"does not match: {missed.says}"
            yield f"    {name}{_at(where)} {says}"


def as_json(verdict: Verdict, judged: Iterable[Side]) -> dict[str, Any]:
    """The same as plain data."""
    flow = verdict.flow
    return {
        "from": flow.src.name,
        "to": flow.dst.name,
        "address": flow.address,
        "port": flow.port,
        "protocol": flow.protocol,
        "predicted": str(verdict.outcome),
        "allowed": verdict.outcome is not Outcome.DENIED,
        **{side.direction: _side_json(side) for side in judged},
    }


def _side_json(side: Side) -> dict[str, Any]:
    return {
        "allowed": side.allowed,
        "exempt": side.exempt or None,
        "policies": [str(policy) for policy in side.policies],
        "allowed_by": {"policy": str(side.rule[0]), "rule": str(side.rule[1]), **_place(side.rule[1].mark)}
        if side.rule
        else None,
        "missed": [
            {
                "policy": str(one.policy),
                "rule": str(one.rule) if one.rule else None,
                "says": one.says,
                **_place(one.rule.mark if one.rule else one.policy.mark),
            }
            for one in side.missed
        ],
    }


def _place(mark: Mark | None) -> dict[str, Any]:
    return {"file": mark.file if mark else None, "line": mark.line if mark else None}


def _at(mark: Mark | None) -> str:
    return f" ({mark.file}:{mark.line})" if mark else ""


#: The three tables of ``reach --policies``, in the order in which a packet meets what they show.
TABLES = ("egress", "ingress", "both")


def tables(denials: Denials, flows: Iterable[Flow]) -> dict[str, list[Verdict]]:
    """By table, the flows as one direction's policies alone would have them, and as both do: open or denied."""
    found: dict[str, list[Verdict]] = {name: [] for name in TABLES}
    for flow in flows:
        passes = {side.direction: side.allowed for side in sides(denials, flow)}
        passes["both"] = all(passes.values())
        for name in TABLES:
            outcome = Outcome.OPEN if passes.get(name, True) else Outcome.DENIED
            found[name].append(Verdict(flow, outcome))
    return found
