"""Which rules of policies the expectations hold: those whose removal or inversion would fail an expectation.

Pure: it judges by the prediction, without packets.  Three changes are tried, each alone: a rule is taken away; a rule
matches what it did not match, and nothing else; a policy allows everything in a direction in which it isolates its Pods
(where no other policy isolates them, as if it were taken away).  An expectation notices a change where the change lets a
flow pass that must be denied, or denies a flow that must pass.

Limits
------
Only policies change here, so a flow that something else stops notices nothing.  The policy API's tiers are not tried.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from netlab.errors import Mark
from netlab.model.cluster import Cluster
from netlab.model.policies import EGRESS, INGRESS, Policy, Rule
from netlab.oracle.denials import Denials, Step
from netlab.oracle.expect import ALLOW, DENY
from netlab.oracle.flow import Flow, Outcome
from netlab.oracle.policy import Evaluator, Party
from netlab.oracle.resolve import Expectation
from netlab.output import flows as output

_PASSES = frozenset((ALLOW, Outcome.OPEN.value, Outcome.REFUSED.value))
_STOPS = frozenset((DENY, Outcome.DENIED.value, Outcome.TIMEOUT.value, Outcome.UNREACHABLE.value))


class Held(NamedTuple):
    """A rule, or with ``rule`` None the isolation by a policy in a direction, and which changes of it are noticed.

    Of isolation, ``removal`` is that the policy allows everything; ``inversion`` is None.
    """

    policy: Policy
    direction: str
    rule: Rule | None
    removal: bool
    inversion: bool | None

    @property
    def whole(self) -> bool:
        """Whether no change of it stays unnoticed."""
        return self.removal and self.inversion is not False

    @property
    def mark(self) -> Mark | None:
        return (self.rule.mark if self.rule else None) or self.policy.mark


class _Side(NamedTuple):
    """One direction's question of a path: the port is the destination's."""

    direction: str
    own: Party
    other: Party
    port: int
    protocol: str

    @property
    def target(self) -> Party:
        return self.other if self.direction == EGRESS else self.own


class _Path(NamedTuple):
    """A side of a path that a policy may change, and what is expected of the flow; the other side lets it pass."""

    side: _Side
    passes: bool
    must_pass: bool


def coverage(cluster: Cluster, expected: Mapping[Flow, Expectation]) -> tuple[Held, ...]:
    """Every rule and every isolation of a cluster's policies, in document order.

    A policy with a rule that allows everything isolates from nothing, so only its rules count.
    """
    denials = Denials(cluster)
    evaluator = denials.evaluator
    paths: dict[tuple[str, str], list[_Path]] = defaultdict(list)
    for flow, expectation in expected.items():
        if expectation.expect in _PASSES | _STOPS:
            for step in denials.steps(flow):
                for path in _paths(step, expectation.expect in _PASSES, evaluator):
                    assert path.side.own.pod is not None
                    paths[str(path.side.own.pod), path.side.direction].append(path)
    return tuple(
        _held(policy, direction, rule, paths, evaluator)
        for policy in cluster.network_policies
        for direction in (INGRESS, EGRESS)
        if (rules := policy.rules(direction)) is not None
        for rule in (*(() if any(not rule.peers and not rule.ports for rule in rules) else (None,)), *rules)
    )


def _paths(step: Step, must_pass: bool, evaluator: Evaluator) -> Iterator[_Path]:
    if step.flow.src.netns == step.flow.dst.netns and not step.hairpin:
        return
    source, to, port = step.egress
    seen, target, at = step.ingress
    sides = (
        _Side(EGRESS, source, to, port, step.flow.protocol),
        _Side(INGRESS, target, seen, at, step.flow.protocol),
    )
    judged = [evaluator.side(*side, hairpin=step.hairpin) for side in sides]
    for number, side in enumerate(sides):
        if judged[1 - number].allowed and judged[number].policies:
            yield _Path(side, judged[number].allowed, must_pass)


def _held(
    policy: Policy,
    direction: str,
    rule: Rule | None,
    paths: Mapping[tuple[str, str], list[_Path]],
    evaluator: Evaluator,
) -> Held:
    own = [path for pod in evaluator.selection.members(policy.subject) for path in paths.get((str(pod), direction), ())]
    if rule is None:
        return Held(policy, direction, None, any(_notices(path, passes=True) for path in own), None)
    removal = inversion = False
    for path in own:
        rest = _any_other_allows(path.side, evaluator, rule)
        removal = removal or _notices(path, rest)
        inversion = inversion or _notices(path, rest or not _allows(rule, path.side, evaluator))
    return Held(policy, direction, rule, removal, inversion)


def _notices(path: _Path, passes: bool) -> bool:
    return passes is not path.passes and path.passes is path.must_pass


def _any_other_allows(side: _Side, evaluator: Evaluator, less: Rule) -> bool:
    """Whether a rule other than ``less`` lets a path pass."""
    assert side.own.pod is not None
    return any(
        _allows(rule, side, evaluator)
        for policy in evaluator.isolating(side.own.pod, side.direction)
        for rule in policy.rules(side.direction) or ()
        if rule is not less
    )


def _allows(rule: Rule, side: _Side, evaluator: Evaluator) -> bool:
    return evaluator.rule_matches(rule, side.other, side.target, side.port, side.protocol)


# -- for people and for machines --------------------------------------------------------------------------------------


def lines(held: tuple[Held, ...]) -> Iterator[str]:
    """A line for each rule that may change unnoticed, then how many may not."""
    for each in held:
        if not each.whole:
            place = f"{each.mark}: " if each.mark else ""
            yield f"{place}NetworkPolicy {each.policy} {_says(each)}"
    whole = sum(each.whole for each in held)
    yield f"coverage: the expectations hold {whole} of {len(held)} rules of policies"


def _says(each: Held) -> str:
    if each.rule is None:
        return f"isolates for {each.direction}: no expectation would notice if it allowed everything"
    changes = [word for word, noticed in (("removal", each.removal), ("inversion", each.inversion)) if not noticed]
    return f"{each.rule}: no expectation would notice its {' or '.join(changes)}"


def document(held: tuple[Held, ...]) -> output.Coverage:
    """The same as a document."""
    rules = tuple(
        output.RuleCoverage(
            policy=str(each.policy),
            direction="ingress" if each.direction == INGRESS else "egress",
            rule=each.rule.index if each.rule else None,
            removal=each.removal,
            inversion=each.inversion,
            file=each.mark.file if each.mark else None,
            line=each.mark.line if each.mark else None,
        )
        for each in held
    )
    return output.Coverage(rules=rules, held=sum(each.whole for each in held))
