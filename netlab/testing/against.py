"""Which flows open and close between an older state of the manifests, or a recorded file, and this one.

Flows are those between workloads, by name: Pods' names change with every rollout.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from netlab.oracle.expect import ALLOW, parse
from netlab.oracle.flow import SERVICE, Flow, Outcome, Verdict
from netlab.oracle.predict import Predictor
from netlab.oracle.resolve import expected
from netlab.output import flows as output
from netlab.testing.prepared import Options, Prepared, Source, prepare
from netlab.testing.workloads import Workloads
from netlab.tuples import NamedTuple

OPENS: Literal["opens"] = "opens"
CLOSES: Literal["closes"] = "closes"


class Key(NamedTuple):
    """A flow between workloads."""

    source: str
    target: str
    port: int
    protocol: str

    def __str__(self) -> str:
        return f"{self.source} -> {self.target}:{self.port}" + (f"/{self.protocol}" if self.protocol != "TCP" else "")


class Change(NamedTuple):
    """A flow that opens or closes; ``because``: the policy that denies it, or "" where none does."""

    key: Key
    change: Literal["opens", "closes"]
    because: str = ""


def manifests(older: Source, options: Options, now: Prepared, verdicts: Mapping[Flow, Verdict]) -> list[Change]:
    """What changes since manifests that were rendered before, by the prediction of their flows."""
    before = prepare(older, options)
    predicted = Predictor(before.cluster).answer(before.flows)
    was = _open(before, predicted)
    new = _open(now, verdicts)
    reasons = {**_reasons(before, predicted), **_reasons(now, verdicts)}
    return _changes(((key, was.get(key, False), new.get(key, False)) for key in {**new, **was}), reasons)


def recorded(text: str, file: str, now: Prepared, verdicts: Mapping[Flow, Verdict]) -> list[Change]:
    """What changes since expectations were written."""
    wanted = expected(parse(text, file), now.cluster, now.questions.scope())
    workloads = Workloads(now.cluster)
    was: dict[Key, bool] = {}
    for flow, expectation in wanted.items():
        if flow.dst.kind != SERVICE and flow in verdicts and flow.src.netns != flow.dst.netns:
            was[_key(flow, workloads)] = expectation.expect == ALLOW
    new = _open(now, verdicts)
    return _changes(((key, before, new.get(key, False)) for key, before in was.items()), _reasons(now, verdicts))


def _changes(triples: Iterable[tuple[Key, bool, bool]], reasons: Mapping[Key, str]) -> list[Change]:
    changes = [
        Change(key, OPENS if now else CLOSES, "" if now else reasons.get(key, ""))
        for key, was, now in triples
        if was != now
    ]
    return sorted(changes, key=lambda change: (change.change == CLOSES, change.key))


def _open(prepared: Prepared, verdicts: Mapping[Flow, Verdict]) -> dict[Key, bool]:
    """Whether all flows between two workloads are open."""
    workloads = Workloads(prepared.cluster)
    open_ports: dict[Key, bool] = {}
    for flow, verdict in verdicts.items():
        if flow.dst.kind != SERVICE and flow.src.netns != flow.dst.netns:
            key = _key(flow, workloads)
            open_ports[key] = open_ports.get(key, True) and verdict.outcome is Outcome.OPEN
    return open_ports


def _reasons(prepared: Prepared, verdicts: Mapping[Flow, Verdict]) -> dict[Key, str]:
    workloads = Workloads(prepared.cluster)
    return {
        _key(
            flow, workloads
        ): f"denied by {', '.join(dict.fromkeys(why.policy for why in verdict.because if why.policy))}"
        for flow, verdict in verdicts.items()
        if verdict.outcome is Outcome.DENIED
    }


def _key(flow: Flow, workloads: Workloads) -> Key:
    return Key(_plain(workloads.of(flow.src).name), _plain(workloads.of(flow.dst).name), flow.port, flow.protocol)


def _plain(name: str) -> str:
    """A workload's name without the count of its replicas, which is no flow's change."""
    head, _, tail = name.rpartition(" (")
    return head if head and tail.rstrip(")").isdigit() else name


def table(changes: Sequence[Change]) -> list[str]:
    """``  opens   web -> db:5432``."""
    if not changes:
        return ["  no flow opens or closes"]
    return [
        f"  {change.change:<6} {change.key}{f'   {change.because}' if change.because else ''}" for change in changes
    ]


def markdown(changes: Sequence[Change]) -> list[str]:
    """The same as a table for a pull request."""
    if not changes:
        return ["No flow opens or closes."]
    rows = [f"| {change.change} | `{change.key}` | {change.because} |" for change in changes]
    return ["| change | flow | because |", "|---|---|---|", *rows]


def document(change: Change) -> output.ChangedFlow:
    """A change as a document."""
    key = change.key
    return output.ChangedFlow(
        from_=key.source,
        to=key.target,
        port=key.port,
        protocol=key.protocol,
        change=change.change,
        because=change.because or None,
    )
