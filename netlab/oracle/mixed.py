"""A Service with several backends: the verdicts on each of them, and what they are together.

Packets through a Service meet a backend at random, so one attempt says nothing of the others: every backend's verdict
is known before the Service has its own.  Where they agree that is it; where they do not it is ``mixed``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from netlab.objects import Why
from netlab.oracle.denials import SILENCED
from netlab.oracle.flow import Flow, Outcome, Verdict


def joined(flow: Flow, backends: Sequence[Verdict]) -> Verdict:
    """The verdict on a flow to a Service, from those on all that may get it."""
    outcomes = Counter(one.outcome for one in backends)
    clients = {one.client for one in backends}
    client = clients.pop() if len(clients) == 1 else None
    own = any(one.own for one in backends)
    server = next((one.server for one in backends if one.server), None)
    if len(outcomes) == 1:
        outcome = backends[0].outcome
        because = _together(backends) if outcome is not Outcome.OPEN else ()
        unowned = all(one.unowned for one in backends)
        return Verdict(flow, outcome, server, client, because, own, tuple(backends), unowned=unowned)
    bad = [one for one in backends if one.outcome is not Outcome.OPEN]
    because = (Why(f"{len(bad)} of {len(backends)} backends: {summary(bad)}"), *_together(bad))
    return Verdict(flow, Outcome.MIXED, None, client, because, own, tuple(backends))


def summary(backends: Iterable[Verdict]) -> str:
    """``denied by policy default/canary (default/b)``: what is wrong with each, those of one kind together."""
    names: dict[str, list[str]] = {}
    for one in backends:
        policies = dict.fromkeys(why.policy for why in one.because if why.policy)
        by = f" by {'policies' if len(policies) > 1 else 'policy'} {' and '.join(policies)}"
        says = f"{one.outcome}{by if one.outcome is Outcome.DENIED and policies else ''}"
        names.setdefault(says, []).append(one.flow.dst.name + ("" if one.asked else ", predicted"))
    return ", ".join(f"{says} ({', '.join(who)})" for says, who in names.items())


def _together(backends: Iterable[Verdict]) -> tuple[Why, ...]:
    return tuple(dict.fromkeys(why for one in backends for why in one.because))


def observed(predicted: Verdict, attempts: Sequence[Verdict]) -> Verdict:
    """The verdict on a flow from many attempts through its Service, of which ``denied`` ones have their evidence.

    A backend that answered is known by its name.  What nobody named is the others': a denial theirs that policies
    deny, any other end theirs that should have ended so, and what should not have happened theirs that were not heard
    of.  A backend of which no attempt tells is as the oracle says.
    """
    flow = predicted.flow
    answers = [one for one in attempts if one.outcome is not Outcome.ERROR] or list(attempts)
    names = {one.server or one.flow.dst.name for one in predicted.may}
    stranger = next((one for one in answers if one.server and one.server not in names), None)
    if answers[0].outcome is Outcome.ERROR or stranger is not None:
        return stranger or answers[0]
    named = {one.server: one for one in answers if one.server}
    ends: dict[Outcome, Verdict] = {}
    for one in answers:
        if not one.server:
            ends.setdefault(one.outcome, one)
    others = [one for one in predicted.may if one.server not in named]
    strange = next((end for outcome, end in ends.items() if not any(one.allows(outcome) for one in others)), None)
    backends = []
    for one in predicted.may:
        answer = named.get(one.server or one.flow.dst.name)
        if answer is None:
            answer = next((end for outcome, end in ends.items() if one.allows(outcome)), None)
        if answer is None and strange is not None and (one.outcome is Outcome.OPEN or not named):
            answer = strange
        elif answer is None and one.outcome is Outcome.DENIED:
            answer = next((ends[outcome] for outcome in SILENCED if outcome in ends), None)
        if answer is None:
            backends.append(one._replace(asked=False))
            continue
        because = one.because if answer.outcome is Outcome.DENIED is one.outcome else answer.because
        backends.append(Verdict(one.flow, answer.outcome, answer.server, answer.client, because))
    whole = joined(flow, backends)
    server = next((one.server for one in answers if one.server), None)
    return whole._replace(server=server if whole.outcome is Outcome.OPEN else None)


def kept(predicted: Verdict, attempt: Verdict) -> Verdict:
    """The verdict on a flow whose client met one backend only, since affinity keeps it there.

    The other backends are as predicted, and marked so: the verdict on the Service does not depend on which backend
    this client met.
    """
    if attempt.outcome is Outcome.ERROR:
        return attempt
    known = {verdict.server or verdict.flow.dst.name for verdict in predicted.may}
    if attempt.server:
        met = [verdict for verdict in predicted.may if attempt.server in (verdict.server, verdict.flow.dst.name)]
    else:
        met = [verdict for verdict in predicted.may if verdict.allows(attempt.outcome)]
    if not met:  # a stranger, or an end that no backend should come to
        return attempt
    says = f"one of {len(known)} backends was asked"
    name = f", {met[0].flow.dst.name}" if len(met) == 1 else ", which gave no name"
    backends = [verdict._replace(asked=False) for verdict in predicted.may]
    if len(met) == 1:
        because = met[0].because if attempt.outcome is met[0].outcome else attempt.because
        answer = Verdict(met[0].flow, attempt.outcome, attempt.server, attempt.client, because)
        backends[predicted.may.index(met[0])] = answer
    whole = joined(predicted.flow, backends)
    why = Why(f"{says}{name}; the others are predicted")
    server = attempt.server if whole.outcome is Outcome.OPEN else None
    return whole._replace(server=server, because=(*whole.because, why))


def unheard(predicted: Verdict, attempts: Sequence[Verdict]) -> bool:
    """Whether more attempts may tell more: a backend that should answer did not, or an end that is due did not come."""
    named = {one.server for one in attempts}
    outcomes = {one.outcome for one in attempts}
    silenced = any(outcome in outcomes for outcome in SILENCED)
    for one in predicted.may:
        if one.server is not None and one.server not in named:
            return True
        heard = any(one.allows(outcome) for outcome in outcomes)
        if one.server is None and not heard and not (one.outcome is Outcome.DENIED and silenced):
            return True
    return False
