"""Which rules of policies the expectations hold: those whose removal or inversion would fail an expectation.

Pure: it judges by the prediction, without packets.  Three changes are tried, each alone.  First a rule is removed.
Second a rule is inverted: a rule of a NetworkPolicy then matches exactly the other flows, and a rule of a tier allows
instead of denying, and the reverse.  Third a NetworkPolicy allows everything in a direction in which it isolates its
Pods.  An expectation notices a change where the change lets a flow pass that must be denied, or denies a flow that must
pass.

Limits
------
Only policies change here, so a flow that something else stops notices nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping

from netlab.errors import Mark
from netlab.model.cluster import Cluster
from netlab.model.cluster.policies import ALLOW as ALLOWS
from netlab.model.cluster.policies import DENY as DENIES
from netlab.model.cluster.policies import EGRESS, INGRESS, PASS, Policy, Rule
from netlab.model.cluster.tiers import TierPolicy
from netlab.oracle.denials import Denials, Step
from netlab.oracle.expect import ALLOW, DENY
from netlab.oracle.flow import Flow, Outcome
from netlab.oracle.policy import Evaluator, Party
from netlab.oracle.resolve import Expectation
from netlab.output import flows as output
from netlab.tuples import NamedTuple

_PASSES = frozenset((ALLOW, Outcome.OPEN.value, Outcome.REFUSED.value))
_STOPS = frozenset((DENY, Outcome.DENIED.value, Outcome.TIMEOUT.value, Outcome.UNREACHABLE.value))


class Held(NamedTuple):
    """A rule, or with ``rule`` None the isolation by a policy in a direction, and which changes of it are noticed.

    Of isolation, ``removal`` is that the policy allows everything; ``inversion`` is None.
    """

    policy: Policy | TierPolicy
    direction: str
    rule: Rule | None
    removal: bool
    inversion: bool | None

    @property
    def whole(self) -> bool:
        """Whether no change of it stays unnoticed."""
        return self.removal and self.inversion is not False

    @property
    def name(self) -> str:
        """The policy with its kind."""
        return f"NetworkPolicy {self.policy}" if isinstance(self.policy, Policy) else str(self.policy)

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


class _Change(NamedTuple):
    """A mutation: a rule is removed or (``inverts``) inverted, or a policy allows everything."""

    rule: Rule | None
    inverts: bool = False
    opened: Policy | None = None


def coverage(cluster: Cluster, expected: Mapping[Flow, Expectation]) -> tuple[Held, ...]:
    """Every rule and every isolation of a cluster's policies, in document order, the tiers' last.

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
    policies: tuple[Policy | TierPolicy, ...] = (*cluster.network_policies, *cluster.tiers)
    return tuple(
        _held(policy, direction, rule, paths, evaluator)
        for policy in policies
        for direction in (INGRESS, EGRESS)
        for rule in _rules(policy, direction)
    )


def _rules(policy: Policy | TierPolicy, direction: str) -> Iterator[Rule | None]:
    """The rules of a direction, and None for the isolation."""
    rules = policy.rules(direction)
    if isinstance(policy, Policy) and rules is not None and all(rule.peers or rule.ports for rule in rules):
        yield None
    yield from rules or ()


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
        judges = judged[number].policies or judged[number].tier or judged[number].unmatched or judged[number].passed
        if judged[1 - number].allowed and judges:
            yield _Path(side, judged[number].allowed, must_pass)


def _held(
    policy: Policy | TierPolicy,
    direction: str,
    rule: Rule | None,
    paths: Mapping[tuple[str, str], list[_Path]],
    evaluator: Evaluator,
) -> Held:
    own = [path for pod in evaluator.selection.members(policy.subject) for path in paths.get((str(pod), direction), ())]

    def noticed(change: _Change) -> bool:
        return any(
            path.passes is path.must_pass and _passes(path.side, evaluator, change) is not path.passes for path in own
        )

    if rule is None:
        assert isinstance(policy, Policy)
        return Held(policy, direction, None, noticed(_Change(None, opened=policy)), None)
    return Held(policy, direction, rule, noticed(_Change(rule)), noticed(_Change(rule, inverts=True)))


def _passes(side: _Side, evaluator: Evaluator, change: _Change) -> bool:
    """Whether a path passes with a change; the order of the judges is that of ``policy``."""
    assert side.own.pod is not None
    judges = evaluator.judges(side.own.pod, side.direction)
    first = _first(judges.admin, side, evaluator, change)
    if first not in (None, PASS):
        return first == ALLOWS
    if judges.policies:
        return any(policy is change.opened or _opens(policy, side, evaluator, change) for policy in judges.policies)
    return _first(judges.baseline, side, evaluator, change) != DENIES


def _first(policies: tuple[TierPolicy, ...], side: _Side, evaluator: Evaluator, change: _Change) -> str | None:
    """The action of the first rule of a tier that matches."""
    for policy in policies:
        for rule in policy.rules(side.direction):
            is_changed = rule is change.rule
            if (change.inverts or not is_changed) and _matches(rule, side, evaluator):
                return (ALLOWS if rule.action == DENIES else DENIES) if is_changed else rule.action
    return None


def _opens(policy: Policy, side: _Side, evaluator: Evaluator, change: _Change) -> bool:
    """Whether a rule of a NetworkPolicy lets a path pass."""
    for rule in policy.rules(side.direction) or ():
        if rule is not change.rule:
            if _matches(rule, side, evaluator):
                return True
        elif change.inverts and not _matches(rule, side, evaluator):
            return True
    return False


def _matches(rule: Rule, side: _Side, evaluator: Evaluator) -> bool:
    return evaluator.rule_matches(rule, side.other, side.target, side.port, side.protocol)


# -- for people and for machines --------------------------------------------------------------------------------------


def lines(held: tuple[Held, ...]) -> Iterator[str]:
    """A line for each rule that may change unnoticed, then how many may not."""
    for each in held:
        if not each.whole:
            prefix = f"{each.mark}: " if each.mark else ""
            yield f"{prefix}{each.name} {_sentence(each)}"
    whole = sum(each.whole for each in held)
    yield f"coverage: the expectations hold {whole} of {len(held)} rules of policies"


def _sentence(each: Held) -> str:
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
