"""Mistakes that the objects themselves show: warnings of lint, Pods that are not ready, Services that lead nowhere."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from netlab.diagnose.labwide import cause as ranks
from netlab.diagnose.labwide.cause import Cause
from netlab.diagnose.labwide.evidence import Evidence
from netlab.diagnose.labwide.promises import (
    blocks,
    crossing,
    describe,
    edit,
    external_names,
    folded,
    of_warning,
    other_protocol,
    shut,
    unkept,
)
from netlab.model.cluster import Pod
from netlab.oracle.compare import Row
from netlab.oracle.flow import EXTERNAL, POD, SERVICE, Outcome
from netlab.spec import Warning

#: Warnings that are no fault of the network: what netlab leaves out, and what the reader wrote to netlab.
_QUIET = (
    "not-modelled", "helm-hook", "old-api-version", "ignore-unknown", "host-bits", "duplicate", "program-missing",
    "denies-nothing", "port-undeclared", "placed-anyway", "endpoints-", "endpoint-", "endpointslice-",
)  # fmt: skip
#: Warnings about policies and Services: an author whose expectations hold means them so.
_INTENDED = (
    "closed-port",
    "policy-",
    "peer-",
    "egress-without-dns",
    "service-",
    "named-flow",
    "one-sided",
    "tier-order",
)
_NOTES = ("named-flow", "one-sided")  # notes that name a need of the documents' own
#: Kinds of causes that leave a port closed.
_DEAD = ("container-crashes", "pod-not-ready")
_NAMED = 3


def causes(evidence: Evidence, events: Mapping[str, str]) -> list[Cause]:
    """The causes; ``events``: by Pod, the last event of its containers."""
    warned = [*_warned(evidence)]
    unready = [*_unready(evidence, events)]
    named = {cause.place for cause in (*warned, *unready)}
    if evidence.intended:
        return [*warned, *unready]
    cluster = evidence.cluster
    written = (*shut(evidence), *blocks(cluster), *other_protocol(cluster), *external_names(cluster))
    found = [*warned, *(cause for cause in (*_unkept(evidence), *written) if cause.place not in named)]
    return folded([*found, *unready], evidence.warnings, cluster)


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
    lost = len(crossing(evidence))
    found = [f"data plane {evidence.cluster.plane.name} leads to no other node: {lost} probed flows are lost so"] * (
        lost > 0
    )
    denied = [row for row in evidence.rows if row.ok and _outcome(row) is Outcome.DENIED]
    if not denied:
        return found
    policies = dict.fromkeys(
        why.policy for row in denied if row.predicted for why in row.predicted.because if why.policy
    )
    names = ", ".join([*policies][:_NAMED]) + (" and others" if len(policies) > _NAMED else "")
    return [*found, f"{len(denied)} of the probed flows are denied by policies as written: {names}"]


def _outcome(row: Row) -> Outcome | None:
    return row.predicted.outcome if row.predicted else None


def _warned(evidence: Evidence) -> Iterator[Cause]:
    for warning in evidence.warnings:
        quiet = warning.code.startswith(_QUIET) or (warning.level == "note" and warning.code not in _NOTES)
        intended = evidence.intended and warning.level != "error" and warning.code.startswith(_INTENDED)
        if warning.code == "port-undeclared":
            quiet = not _shut(evidence, warning.object.partition(" ")[2])
        if warning.code == "service-target-port":
            quiet = quiet and not _undeclared(evidence, warning.object.partition(" ")[2])
        if not quiet and not intended:
            yield _of_warning(evidence, warning)


def _undeclared(evidence: Evidence, name: str) -> bool:
    """Whether all ports of a Service lead to ports that its Pods, which declare others, do not."""
    own = f"Service {name}"
    count = sum(warning.code == "service-target-port" and warning.object == own for warning in evidence.warnings)
    return any(str(service) == name and len(service.ports) == count for service in evidence.cluster.services)


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
    cause = of_warning(warning, evidence.cluster.lab)
    return replace(cause, netns=pod.netns if pod else "", flows=_towards(evidence, kind, name))


def _towards(evidence: Evidence, kind: str, name: str) -> frozenset[int]:
    """The broken flows to a Service or a Pod that has a mistake."""
    if kind not in ("Service", "Pod"):
        return frozenset()
    broken = set(evidence.broken)
    return frozenset(n for n, row in enumerate(evidence.rows) if n in broken and row.flow.dst.name == name)


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
            look=(describe(evidence.cluster.lab, "Pod", str(pod)), _logs(evidence.cluster.lab, pod)),
            mend=edit(evidence.cluster.lab, pod.mark.file if pod.mark else "", pod.mark.line if pod.mark else 0),
            rank=ranks.WRITTEN,
            mark=pod.mark,
        )


def _logs(lab: str, pod: Pod) -> str:
    return f"netlab logs --lab {lab} -n {pod.namespace} {pod.name}"


def _unkept(evidence: Evidence) -> Iterator[Cause]:
    """Services and Pods that do not keep what the documents promise, by the prediction itself and not by a policy."""
    lab, services = evidence.cluster.lab, unkept(evidence)
    for name, promises in services.items():
        first, *others = promises
        row = first.rows[0]
        because = row.predicted.because if row.predicted else ()
        mark = because[0].mark if because and because[0].mark else first.service.mark
        yield Cause(
            "service-no-endpoints",
            f"Service {name} leads nowhere {first.text}",
            place=(SERVICE, name),
            evidence=(*(each.text for each in others[:_NAMED]), "by the prediction and by packets"),
            look=(describe(lab, "Service", name),),
            mend=edit(lab, mark.file if mark else "", mark.line if mark else 0),
            rank=ranks.WRITTEN,
            mark=mark,
        )
    by_target: dict[tuple[str, int, str], list[Row]] = defaultdict(list)
    by_plane = crossing(evidence)
    for number, row in enumerate(evidence.rows):
        if number in by_plane:
            continue
        if row.predicted is not None and row.flow.dst.kind == POD and row.flow.src.kind != EXTERNAL:
            by_target[row.flow.dst.name, row.flow.port, row.flow.protocol].append(row)
    for (name, port, protocol), rows in by_target.items():
        lost = [row for row in rows if _outcome(row) in (Outcome.REFUSED, Outcome.TIMEOUT, Outcome.UNREACHABLE)]
        if not lost:
            continue
        because = lost[0].predicted.because if lost[0].predicted else ()
        mark = because[0].mark if because else None
        yield Cause(
            "not-carried",
            f"Pod {name} port {port}/{protocol} is {_outcome(lost[0])}: "
            + (because[0].message if because else "nobody answers"),
            lost[0].flow.dst.netns,
            place=(POD, name),
            evidence=(f"{len(lost)} of {len(rows)} probed flows to it, by the prediction and by packets",),
            look=(describe(lab, "Pod", name),),
            mend=edit(lab, mark.file if mark else "", mark.line if mark else 0),
            rank=ranks.WRITTEN,
            mark=mark,
        )
