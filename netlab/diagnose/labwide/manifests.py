"""Mistakes that the objects themselves show: warnings of lint, Pods that are not ready, Services that lead nowhere."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from netlab.diagnose.labwide import cause as ranks
from netlab.diagnose.labwide.cause import Cause
from netlab.diagnose.labwide.evidence import Evidence
from netlab.model.cluster import Pod
from netlab.oracle.compare import Row
from netlab.oracle.flow import EXTERNAL, POD, SERVICE, Outcome
from netlab.spec import Warning

#: Warnings that are no fault of the network: what netlab leaves out, and what the reader wrote to netlab.
_QUIET = (
    "not-modelled", "helm-hook", "old-api-version", "ignore-unknown", "host-bits", "duplicate", "program-missing",
    "denies-nothing", "one-sided", "port-undeclared", "placed-anyway", "endpoints-", "endpoint-", "endpointslice-",
)  # fmt: skip
#: Warnings about policies and Services: an author whose expectations hold means them so.
_INTENDED = ("closed-port", "policy-", "peer-", "egress-without-dns", "service-", "named-flow", "tier-order")
_NOTES = ("named-flow",)  # notes that name a need of the Pod's own
#: Kinds of causes that leave a port closed.
_DEAD = ("container-crashes", "pod-not-ready")
_NAMED = 3


def causes(evidence: Evidence, events: Mapping[str, str]) -> list[Cause]:
    """The causes; ``events``: by Pod, the last event of its containers."""
    warned = [*_warned(evidence)]
    unready = [*_unready(evidence, events)]
    named = {cause.place for cause in (*warned, *unready)}
    return [
        *warned,
        *unready,
        *(cause for cause in _leading_nowhere(evidence, bool(unready)) if cause.place not in named),
    ]


def merged(causes: Iterable[Cause]) -> list[Cause]:
    """The causes, ordered; that a Pod's port is closed belongs to the container that crashed there."""
    crashed, others = {}, []
    for cause in causes:
        if cause.kind in _DEAD and cause.netns not in crashed:
            crashed[cause.netns] = cause
        else:
            others.append(cause)
    for closed in [cause for cause in others if cause.kind == "no-listener" and cause.netns in crashed]:
        whole = crashed[closed.netns]
        crashed[closed.netns] = replace(
            whole, evidence=(*whole.evidence, *closed.evidence), rank=ranks.TRACED, flows=whole.flows | closed.flows
        )
        others.remove(closed)
    return sorted([*others, *crashed.values()], key=lambda cause: cause.order)


def notes(evidence: Evidence) -> list[str]:
    """What is no fault, and worth knowing."""
    denied = [row for row in evidence.rows if row.ok and _outcome(row) is Outcome.DENIED]
    if not denied:
        return []
    policies = dict.fromkeys(
        why.policy for row in denied if row.predicted for why in row.predicted.because if why.policy
    )
    names = ", ".join([*policies][:_NAMED]) + (" and others" if len(policies) > _NAMED else "")
    return [f"{len(denied)} of the probed flows are denied by policies as written: {names}"]


def _outcome(row: Row) -> Outcome | None:
    return row.predicted.outcome if row.predicted else None


def _warned(evidence: Evidence) -> Iterator[Cause]:
    for warning in evidence.warnings:
        quiet = warning.code.startswith(_QUIET) or (warning.level == "note" and warning.code not in _NOTES)
        intended = evidence.intended and warning.level != "error" and warning.code.startswith(_INTENDED)
        if warning.code == "port-undeclared":
            quiet = not _shut(evidence, warning.object.partition(" ")[2])
        if not quiet and not intended:
            yield _of_warning(evidence, warning)


def _shut(evidence: Evidence, policy: str) -> bool:
    """Whether the policy denies all that other Pods were probed to send to some Pod."""
    seen: dict[str, set[Outcome | None]] = defaultdict(set)
    denied = set()
    for row in evidence.rows:
        if row.flow.dst.kind != POD or row.flow.src.kind != POD or row.flow.src == row.flow.dst:
            continue
        seen[row.flow.dst.name].add(_outcome(row))
        if row.predicted and any(why.policy == policy for why in row.predicted.because):
            denied.add(row.flow.dst.name)
    return any(seen[target] == {Outcome.DENIED} for target in denied)


def _of_warning(evidence: Evidence, warning: Warning) -> Cause:
    kind, _, name = warning.object.partition(" ")
    pod = next((pod for pod in evidence.cluster.pods if kind == "Pod" and str(pod) == name), None)
    mark = warning.mark if warning.mark.line else None
    return Cause(
        warning.code,
        f"{warning.object}: {warning.message}" if name and name not in warning.message else warning.message,
        pod.netns if pod else "",
        place=(kind.lower() or "lab", name or evidence.cluster.lab),
        evidence=(f"written at {mark}",) if mark else (),
        look=(_describe(evidence.cluster.lab, kind, name),) if name else (),
        mend=_edit(evidence.cluster.lab, mark.file if mark else "", mark.line if mark else 0),
        rank=ranks.WRITTEN,
        flows=_towards(evidence, kind, name),
        mark=mark,
    )


def _towards(evidence: Evidence, kind: str, name: str) -> frozenset[int]:
    """The broken flows to a Service or a Pod that has a mistake."""
    if kind not in ("Service", "Pod"):
        return frozenset()
    broken = set(evidence.broken)
    return frozenset(n for n, row in enumerate(evidence.rows) if n in broken and row.flow.dst.name == name)


def _describe(lab: str, kind: str, name: str) -> str:
    namespace, slash, own = name.partition("/")
    where = f"-n {namespace} " if slash else ""
    return f"netlab describe --lab {lab} {where}{kind.lower()} {own if slash else name}"


def _edit(lab: str, file: str, line: int) -> tuple[str, ...]:
    return (f"${{EDITOR:-vi}} +{line} {file}", f"netlab up {lab}") if file else (f"netlab up {lab}",)


def _unready(evidence: Evidence, events: Mapping[str, str]) -> Iterator[Cause]:
    services: dict[str, list[str]] = defaultdict(list)
    for service in evidence.cluster.services:
        for backend in service.backends:
            services[backend.pod].append(str(service))
    crashing = {warning.object for warning in evidence.warnings if warning.code == "container-crashes"}
    for pod in evidence.cluster.pods:
        if pod.ready or pod.ended or pod.leaving or f"Pod {pod}" in crashing or "readinessGates" in pod.spec:
            continue
        event = events.get(str(pod), "")
        behind = f"; Services leave it out: {', '.join(services[str(pod)])}" if services[str(pod)] else ""
        yield Cause(
            "pod-not-ready",
            f"Pod {pod} is not ready{f': {event}' if event else ''}{behind}",
            pod.netns,
            place=("pod", str(pod)),
            evidence=(f"declared at {pod.mark}",) if pod.mark else (),
            look=(_describe(evidence.cluster.lab, "Pod", str(pod)), _logs(evidence.cluster.lab, pod)),
            mend=_edit(evidence.cluster.lab, pod.mark.file if pod.mark else "", pod.mark.line if pod.mark else 0),
            rank=ranks.WRITTEN,
            mark=pod.mark,
        )


def _logs(lab: str, pod: Pod) -> str:
    return f"netlab logs --lab {lab} -n {pod.namespace} {pod.name}"


def _leading_nowhere(evidence: Evidence, unready: bool) -> Iterator[Cause]:
    """Services and Pods that nobody can reach by the prediction itself, for another reason than a policy."""
    if evidence.intended:
        return
    by_target: dict[tuple[str, str, int, str], list[Row]] = defaultdict(list)
    for row in evidence.rows:
        if row.predicted is not None and not (row.flow.src.kind == EXTERNAL and row.flow.dst.kind != EXTERNAL):
            by_target[row.flow.dst.kind, row.flow.dst.name, row.flow.port, row.flow.protocol].append(row)
    broken = (Outcome.REFUSED, Outcome.TIMEOUT, Outcome.UNREACHABLE)
    for (kind, name, port, protocol), rows in by_target.items():
        lost = [row for row in rows if _outcome(row) in broken]
        if not lost or (kind == SERVICE and len(lost) < len(rows)) or kind not in (SERVICE, "pod"):
            continue
        because = lost[0].predicted.because if lost[0].predicted else ()
        mark = because[0].mark if because else None
        yield Cause(
            "service-no-endpoints" if kind == SERVICE else "not-carried",
            f"{'Service' if kind == SERVICE else 'Pod'} {name} port {port}/{protocol} is {_outcome(lost[0])}: "
            + (because[0].message if because else "nobody answers"),
            lost[0].flow.dst.netns,
            place=(kind, name),
            evidence=(f"{len(lost)} of {len(rows)} probed flows to it, by the prediction and by packets",),
            look=(_describe(evidence.cluster.lab, kind.capitalize(), name),),
            mend=_edit(evidence.cluster.lab, mark.file if mark else "", mark.line if mark else 0),
            rank=ranks.WRITTEN,
            mark=mark,
        )
