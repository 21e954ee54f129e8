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
    outcomes = Counter(verdict.outcome for verdict in backends)
    clients = {verdict.client for verdict in backends}
    client = clients.pop() if len(clients) == 1 else None
    own = any(verdict.own for verdict in backends)
    server = next((verdict.server for verdict in backends if verdict.server), None)
    if len(outcomes) == 1:
        outcome = backends[0].outcome
        because = _together(backends) if outcome is not Outcome.OPEN else ()
        unowned = all(verdict.unowned for verdict in backends)
        return Verdict(flow, outcome, server, client, because, own, tuple(backends), unowned=unowned)
    bad = [verdict for verdict in backends if verdict.outcome is not Outcome.OPEN]
    because = (Why(f"{len(bad)} of {len(backends)} backends: {summary(bad)}"), *_together(bad))
    return Verdict(flow, Outcome.MIXED, None, client, because, own, tuple(backends))


def summary(backends: Iterable[Verdict]) -> str:
    """``denied by policy default/canary (default/b)``: what is wrong with each, those of one kind together."""
    names: dict[str, list[str]] = {}
    for verdict in backends:
        policies = dict.fromkeys(why.policy for why in verdict.because if why.policy)
        by = f" by {'policies' if len(policies) > 1 else 'policy'} {' and '.join(policies)}"
        message = f"{verdict.outcome}{by if verdict.outcome is Outcome.DENIED and policies else ''}"
        names.setdefault(message, []).append(verdict.flow.dst.name + ("" if verdict.asked else ", predicted"))
    return ", ".join(f"{message} ({', '.join(servers)})" for message, servers in names.items())


def _together(backends: Iterable[Verdict]) -> tuple[Why, ...]:
    return tuple(dict.fromkeys(why for verdict in backends for why in verdict.because))


def observed(predicted: Verdict, attempts: Sequence[Verdict]) -> Verdict:
    """The verdict on a flow from many attempts through its Service, of which ``denied`` ones have their evidence.

    A backend that answered is known by its name.  What nobody named is the others': a denial theirs that policies
    deny, any other end theirs that should have ended so, and what should not have happened theirs that were not heard
    of.  A backend of which no attempt tells is as the oracle says.
    """
    flow = predicted.flow
    results = [attempt for attempt in attempts if attempt.outcome is not Outcome.ERROR] or list(attempts)
    names = {backend.server or backend.flow.dst.name for backend in predicted.may}
    stranger = next((result for result in results if result.server and result.server not in names), None)
    if results[0].outcome is Outcome.ERROR or stranger is not None:
        return stranger or results[0]
    named = {result.server: result for result in results if result.server}
    ends: dict[Outcome, Verdict] = {}
    for unnamed in results:
        if not unnamed.server:
            ends.setdefault(unnamed.outcome, unnamed)
    others = [backend for backend in predicted.may if backend.server not in named]
    strange = next((end for outcome, end in ends.items() if not any(other.allows(outcome) for other in others)), None)
    backends = []
    for backend in predicted.may:
        result = named.get(backend.server or backend.flow.dst.name)
        if result is None:
            result = next((end for outcome, end in ends.items() if backend.allows(outcome)), None)
        if result is None and strange is not None and (backend.outcome is Outcome.OPEN or not named):
            result = strange
        elif result is None and backend.outcome is Outcome.DENIED:
            result = next((ends[outcome] for outcome in SILENCED if outcome in ends), None)
        if result is None:
            backends.append(backend._replace(asked=False))
            continue
        because = backend.because if result.outcome is Outcome.DENIED is backend.outcome else result.because
        backends.append(Verdict(backend.flow, result.outcome, result.server, result.client, because))
    whole = joined(flow, backends)
    server = next((result.server for result in results if result.server), None)
    return whole._replace(server=server if whole.outcome is Outcome.OPEN else None)


def kept(predicted: Verdict, attempt: Verdict) -> Verdict:
    """The verdict on a flow whose client met one backend only, since affinity keeps it there.

    The other backends are as predicted, and marked so: the verdict on the Service does not depend on which backend
    this client met.
    """
    if attempt.outcome is Outcome.ERROR:
        return attempt
    names = {verdict.server or verdict.flow.dst.name for verdict in predicted.may}
    if attempt.server:
        met = [verdict for verdict in predicted.may if attempt.server in (verdict.server, verdict.flow.dst.name)]
    else:
        met = [verdict for verdict in predicted.may if verdict.allows(attempt.outcome)]
    if not met:  # a stranger, or an end that no backend should come to
        return attempt
    message = f"one of {len(names)} backends was asked"
    name = f", {met[0].flow.dst.name}" if len(met) == 1 else ", which gave no name"
    backends = [verdict._replace(asked=False) for verdict in predicted.may]
    if len(met) == 1:
        because = met[0].because if attempt.outcome is met[0].outcome else attempt.because
        asked = Verdict(met[0].flow, attempt.outcome, attempt.server, attempt.client, because)
        backends[predicted.may.index(met[0])] = asked
    whole = joined(predicted.flow, backends)
    why = Why(f"{message}{name}; the others are predicted")
    server = attempt.server if whole.outcome is Outcome.OPEN else None
    return whole._replace(server=server, because=(*whole.because, why))


def unheard(predicted: Verdict, attempts: Sequence[Verdict]) -> bool:
    """Whether more attempts may tell more: a backend that should answer did not, or an end that is due did not come."""
    named = {attempt.server for attempt in attempts}
    outcomes = {attempt.outcome for attempt in attempts}
    silenced = any(outcome in outcomes for outcome in SILENCED)
    for backend in predicted.may:
        if backend.server is not None and backend.server not in named:
            return True
        heard = any(backend.allows(outcome) for outcome in outcomes)
        if backend.server is None and not heard and not (backend.outcome is Outcome.DENIED and silenced):
            return True
    return False
