"""The reasons of the policies about a flow as documents."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from netlab.model.cluster.tiers import LAST
from netlab.oracle.explain import Judged
from netlab.oracle.flow import Verdict
from netlab.oracle.policy import Side, TierRule
from netlab.oracle.report import flow_fields
from netlab.output import flows as output
from netlab.output.places import place


def document(
    verdict: Verdict, paths: Iterable[Judged], path: Callable[[Judged | None], output.Path | None] = lambda _: None
) -> output.ExplainedFlow:
    """The same as a document; of a Service with several backends, each is one of ``paths``."""
    judgements = list(paths)
    single = len(judgements) == 1
    egress, ingress = map(_side_document, judgements[0].sides) if single else (None, None)
    return output.ExplainedFlow(
        **flow_fields(verdict),
        predicted=verdict.outcome.value,
        allowed=all(judgement.passes for judgement in judgements),
        egress=egress,
        ingress=ingress,
        path=path(judgements[0] if single else None) if len(judgements) < 2 else None,
        ways=tuple(output.ExplainedPath(**path_fields(each), path=path(each)) for each in judgements),
    )


def path_fields(path: Judged) -> dict[str, Any]:
    """The fields of a path with the judgement of both its sides."""
    flow = path.step.flow
    egress, ingress = map(_side_document, path.sides)
    return {
        "to": flow.dst.name,
        "address": flow.address,
        "port": flow.port,
        "source": path.step.ingress[0].address,
        "allowed": path.passes,
        "egress": egress,
        "ingress": ingress,
    }


def _side_document(side: Side) -> output.Side:
    allowed_by = None
    if side.rule:
        policy, rule = side.rule
        allowed_by = output.AllowedBy(policy=str(policy), rule=str(rule), **place(rule.mark))
    return output.Side(
        allowed=side.allowed,
        exempt=side.exempt or None,
        policies=tuple(map(str, side.policies)),
        allowed_by=allowed_by,
        tier=_tier_document(side.tier),
        passed_by=_tier_document(side.passed),
        missed=tuple(
            output.Missed(
                policy=str(missed.policy),
                rule=str(missed.rule) if missed.rule else None,
                says=missed.message,
                **place((missed.rule or missed.policy).mark),
            )
            for missed in (*side.missed, *side.unmatched)
        ),
    )


def _tier_document(decided: TierRule | None) -> output.TierRule | None:
    if decided is None:
        return None
    policy, rule = decided
    return output.TierRule(
        policy=str(policy),
        tier=policy.tier,
        priority=policy.priority if policy.priority < LAST else None,
        rule=str(rule),
        name=rule.name or None,
        action=policy.action(rule),
        **place(rule.mark),
    )
