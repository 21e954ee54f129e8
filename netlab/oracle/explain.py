"""The reasoning behind a verdict, for people and for machines; and what each direction allows, as tables."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from netlab.errors import Mark
from netlab.model.cluster.policies import ALLOW, DENY, PASS
from netlab.model.cluster.tiers import LAST, TierPolicy
from netlab.oracle.denials import Denials, Step
from netlab.oracle.flow import Flow, Outcome, Verdict
from netlab.oracle.policy import IS_NODE, Missed, Side, TierRule
from netlab.tuples import NamedTuple

_BRIEF = 6  # lines of reasons below a failure
_NEAREST = 10  # rules of tiers that do not match and are written out for people: the nearest
_SHOWN = 5  # backends of a Service whose reasons are written out for people


class Judged(NamedTuple):
    """One way that a flow may take, with what the policies say: the source's egress, the target's ingress.

    ``step.flow`` is what arrives: of a Service, at one of its backends.
    """

    step: Step
    sides: tuple[Side, ...]

    @property
    def passes(self) -> bool:
        return all(side.allowed for side in self.sides)


def judged(denials: Denials, flow: Flow) -> tuple[Judged, ...]:
    """All ways that a flow may take; more than one where a Service chooses."""
    return tuple(Judged(step, denials.sides(step)) for step in denials.steps(flow))


def tell(
    verdict: Verdict,
    paths: Iterable[Judged],
    path: Callable[[Judged | None], Iterable[str]] = lambda _: (),
    notes: Iterable[str] = (),
) -> Iterator[str]:
    """Lines: the verdict and ``notes``, then of each path that it may take each direction's policies, and its ``path``."""
    listed = list(paths)
    why = f": {verdict.because[0].message}" if verdict.because and verdict.outcome is not Outcome.DENIED else ""
    if verdict.outcome is Outcome.DENIED and verdict.may:
        why = f" on all {len(verdict.may)} backends"
    yield f"{verdict.flow}: {verdict.outcome}{why}"
    yield from (f"  {note}" for note in notes)
    for judged in listed[:_SHOWN]:
        if judged.step.flow != verdict.flow:
            yield f"  through {_arrival(judged.step)}"
        yield from _ends(judged.step)
        for side in judged.sides:
            yield from _side(side)
        yield from _front(verdict.flow, judged)
        yield from path(judged)
    if not listed:  # a Service that nobody stands behind
        yield from path(None)
    if len(listed) > _SHOWN:
        more = listed[_SHOWN:]
        allowed = sum(judged.passes for judged in more)
        yield f"  and {len(more)} more backends: {allowed} allowed, {len(more) - allowed} denied"


def _arrival(step: Step) -> str:
    flow = step.flow
    at = f"[{flow.address}]" if ":" in flow.address else flow.address
    return f"{flow.dst.name} {at}:{flow.port}/{flow.protocol}"


def _ends(step: Step) -> Iterator[str]:
    """Surprising views of a rule: the address of a node, and a packet before its translation."""
    source, to, port = step.egress
    seen, target, _ = step.ingress
    if source.pod is not None and to.address != target.address:
        asked = f"[{to.address}]:{port}" if ":" in to.address else f"{to.address}:{port}"
        yield f"  {source.name}'s node sees a packet to {asked}, and another node translates it"
    if target.pod is not None and seen.what == IS_NODE and seen.name != target.pod.node:
        yield f"  {target.name}'s node sees it come from {seen.address}, which is {seen.name}"


def _front(asked: Flow, judged: Judged) -> Iterator[str]:
    """The commonest mistake about Services: a rule for the Service's port, where rules see the backend's."""
    wanted = f"{asked.port}/{asked.protocol}"
    if asked.port == judged.step.flow.port or judged.step.egress[0] != judged.step.ingress[0]:
        return
    for side in judged.sides:
        for missed in side.missed if not side.allowed else ():
            names = missed.message.rpartition(", not ")[2].split(", ")
            if "the port is" in missed.message and wanted in names:
                yield f"    {missed.policy} {missed.rule} names the Service's port {wanted}; rules see its backend's"


def _side(side: Side) -> Iterator[str]:
    count = len(side.policies)
    isolated = f"{count} {'policy isolates' if count == 1 else 'policies isolate'} {side.party.name}"
    if side.tier:
        yield f"  {side.direction}: {_decision(side.tier)}" + (f"; {isolated}, not asked" if count else "")
    elif side.exempt:
        yield f"  {side.direction}: passes, {side.exempt}"
    elif side.rule:
        policy, rule = side.rule
        yield f"  {side.direction}: allowed by {policy} {rule}{_at(rule.mark)}; {isolated}"
    else:
        yield f"  {side.direction}: denied; {isolated}, and no rule allows this"
    if side.passed:
        yield f"    {_named(side.passed)} passes it on, past the rest of the Admin tier"
    nearest = sorted(side.unmatched, key=lambda missed: missed.distance)[:_NEAREST]
    yield from (f"    {_missed(missed)}" for missed in side.unmatched if missed in nearest)
    if len(side.unmatched) > _NEAREST:
        yield f"    and {len(side.unmatched) - _NEAREST} more rules of tiers do not match"
    yield from (f"    {_missed(missed)}" for missed in side.missed)


_DECISIONS = {ALLOW: "allowed by {}", DENY: "denied by {}", PASS: "passes, {} leaves it to no other tier"}


def _decision(decided: TierRule) -> str:
    """``denied by AdminNetworkPolicy deny-all ingress[0] (lab.yaml:16), priority 10 of the Admin tier``."""
    tier, priority = decided.policy.tier, decided.policy.priority
    order = f"priority {priority} of the {tier} tier" if priority < LAST else f"the {tier} tier"
    return f"{_DECISIONS[decided.rule.action].format(_named(decided))}, {order}"


def _named(decided: TierRule) -> str:
    return f"{decided.policy} {decided.rule.title}{_at(decided.rule.mark)}"


def _missed(missed: Missed) -> str:
    if missed.rule is None:
        return f"{missed.policy}{_at(missed.policy.mark)} {missed.message}"
    action = f", {missed.policy.action(missed.rule)}," if isinstance(missed.policy, TierPolicy) else ""
    return f"{missed.policy} {missed.rule.title}{_at(missed.rule.mark)}{action} does not match: {missed.message}"


def briefly(asked: Flow, paths: Iterable[Judged]) -> list[str]:
    """For the report of a failure: the nearest rule of each denying side, else the rule that lets the flow pass."""
    lines: dict[str, None] = {}
    for path in paths:
        denying = [side for side in path.sides if not side.allowed]
        for side in denying or path.sides:
            if side.allowed or side.tier:
                lines[next(iter(_side(side)))] = None
                opening = [missed for missed in side.unmatched if missed.rule and missed.rule.action == ALLOW]
                if opening and not side.allowed:
                    closest = min(opening, key=lambda missed: missed.distance)
                    lines[f"  {side.direction} of {side.party.name}: nearest is {_missed(closest)}"] = None
                continue
            nearest = "nearest is " if len(side.missed) > 1 and side.missed[0].rule else ""
            lines[f"  {side.direction} of {side.party.name}: {nearest}{_missed(side.missed[0])}"] = None
        lines |= dict.fromkeys(_front(asked, path))
    more = [f"  and {len(lines) - _BRIEF} more lines: netlab explain shows them"] if len(lines) > _BRIEF else []
    return [*lines][:_BRIEF] + more


def _at(mark: Mark | None) -> str:
    return f" ({mark.file}:{mark.line})" if mark else ""


#: The three tables of ``reach --policies``, in the order in which a packet meets what they show.
TABLES = ("egress", "ingress", "both")


def tables(denials: Denials, flows: Iterable[Flow]) -> dict[str, list[Verdict]]:
    """By table, the flows as one direction's policies alone would have them, and as both do: open or denied.

    A flow to a Service is mixed where its backends differ.
    """
    verdicts: dict[str, list[Verdict]] = {name: [] for name in TABLES}
    for flow in flows:
        allowed = [{side.direction: side.allowed for side in path.sides} for path in judged(denials, flow)]
        for name in TABLES:
            each = [all(path.values()) if name == "both" else path[name] for path in allowed]
            outcome = Outcome.OPEN if all(each) else Outcome.MIXED if any(each) else Outcome.DENIED
            verdicts[name].append(Verdict(flow, outcome))
    return verdicts
