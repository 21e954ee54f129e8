"""Names that Pods look up: which expectations ask for, what is predicted of them, and what a real lookup showed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from netlab.errors import BadInput, Problem
from netlab.evidence.records import Lookup
from netlab.model.cluster import Cluster, Pod
from netlab.model.resolver import of_pod
from netlab.model.services.system import NAMESPACE, SERVICE
from netlab.objects import Why
from netlab.oracle.compare import Row
from netlab.oracle.endpoints import Endpoints
from netlab.oracle.expect import ALLOW, DENY, Expectations, Line
from netlab.oracle.flow import NAME, Endpoint, Flow, Outcome, Verdict
from netlab.oracle.names import by_dns, is_for_dns
from netlab.oracle.predict import Predictor
from netlab.oracle.resolve import Expectation
from netlab.tuples import NamedTuple

_DNS = 53
_SERVICE = f"{NAMESPACE}/{SERVICE}"
#: Of the last query -> the outcome of the lookup, and why there is no address.
_RESULTS = {
    "found": (Outcome.OPEN, ""),
    "nodata": (Outcome.REFUSED, "the name has no such record"),
    "nxdomain": (Outcome.REFUSED, "the name does not exist"),
    "servfail": (Outcome.REFUSED, "the name server replied SERVFAIL"),
    "refused": (Outcome.REFUSED, "the name server replied REFUSED"),
    "garbled": (Outcome.REFUSED, "what the name server sent is no DNS message"),
    "invalid": (Outcome.REFUSED, "it is no name of DNS"),
    "closed": (Outcome.REFUSED, "no process listens at the name server's address"),
    "unreachable": (Outcome.UNREACHABLE, "the name server is unreachable"),
    "silent": (Outcome.TIMEOUT, "no reply of the name server"),
}


Key = tuple[str, str]


class Asked(NamedTuple):
    """A name that a Pod looks up; without an expectation a flow's target is named so, and the prediction counts alone."""

    pod: Pod
    name: str
    expectation: Expectation | None = None

    @property
    def key(self) -> Key:
        """The Pod's name, and the name that it looks up."""
        return str(self.pod), self.name


def asked(expectations: Expectations, cluster: Cluster) -> tuple[Asked, ...]:
    """The lookups of lines with ``resolves``, and of lines whose target is a DNS name.  Raises BadInput."""
    endpoints = Endpoints(cluster)
    requests: dict[Key, Asked] = {}
    problems: list[Problem] = []
    for at, line in enumerate(expectations.lines):
        names = [line.resolves] if line.resolves else _dns_names(line, endpoints)
        if not names:
            continue
        counts = line.resolves or line.expect in (ALLOW, Outcome.OPEN)
        expectation = Expectation(line.expect, line, line.mark, line.why) if counts else None
        for pod in _pods(line, f"flows[{at}]", endpoints, problems):
            for name in names:
                each = Asked(pod, name, expectation)
                before = requests.get(each.key)
                if before is None or before.expectation is None:
                    requests[each.key] = each
    if problems:
        raise BadInput(problems)
    return tuple(requests.values())


def _dns_names(line: Line, endpoints: Endpoints) -> list[str]:
    selectors = (written.selector for written in line.targets)
    return [
        selector.name
        for selector in selectors
        if selector.kind == "name"
        and "/" not in selector.text
        and is_for_dns(endpoints, selector.namespace, selector.name)
    ]


def _pods(line: Line, path: str, endpoints: Endpoints, problems: list[Problem]) -> list[Pod]:
    """The source Pods; of a line with ``resolves`` all sources must be Pods."""
    pods = []
    for selector, mark in line.sources:
        try:
            ends = [source.end for source in selector.select(endpoints)]
        except ValueError as error:
            if line.resolves:  # else the line's flows have the problem
                problems.append(Problem(mark, f"{path}.from", str(error)))
            continue
        for end in ends:
            if pod := endpoints.pod_of.get(end.name) if end.kind == "pod" else None:
                pods.append(pod)
            elif line.resolves:
                problems.append(Problem(mark, f"{path}.from", f"{end.name} is no Pod: only Pods look names up"))
    return pods


def rows(asked: Sequence[Asked], lookups: Mapping[Key, Lookup], cluster: Cluster) -> list[Row]:
    """A row of ``check`` for each lookup."""
    endpoints, predictor = Endpoints(cluster), Predictor(cluster)
    return [_row(each, lookups[each.key], endpoints, predictor) for each in asked]


def predictions(asked: Sequence[Asked], cluster: Cluster) -> list[Row]:
    """A row for each lookup, by the prediction alone."""
    endpoints, predictor = Endpoints(cluster), Predictor(cluster)
    return [_foreseen(each, endpoints, predictor) for each in asked]


def _foreseen(asked: Asked, endpoints: Endpoints, predictor: Predictor) -> Row:
    client = endpoints.pods[str(asked.pod)]
    flow = Flow(client, Endpoint(NAME, asked.name), _server(client, endpoints), _DNS, "UDP")
    verdict = _predicted(asked, flow, _meant(asked, endpoints), endpoints, predictor)
    if verdict is None:
        message = "no prediction: the Pod asks name servers that the lab does not run"
    else:
        message = _disagreement(asked.expectation, verdict, None, verdict.because[0].message if verdict.because else "")
    return Row(flow, asked.expectation, verdict, None, message)


def _row(asked: Asked, lookup: Lookup, endpoints: Endpoints, predictor: Predictor) -> Row:
    meant = _meant(asked, endpoints)
    server = lookup.queries[-1].server if lookup.queries else ""
    flow = Flow(endpoints.pods[str(asked.pod)], Endpoint(NAME, asked.name), server, _DNS, "UDP")
    outcome, why = _RESULTS[lookup.queries[-1].outcome if lookup.queries else "found"]
    if lookup.addresses and meant and not meant & set(lookup.addresses):
        why = f"it is {lookup.addresses[0]}, but in this lab it is {min(meant)}"
    observed = Verdict(flow, outcome, because=(Why(why),) if why else ())
    predicted = _predicted(asked, flow, meant, endpoints, predictor)
    message = _disagreement(asked.expectation, observed, predicted, why)
    return Row(flow, asked.expectation, predicted, observed, message, lookup=lookup)


def _meant(asked: Asked, endpoints: Endpoints) -> set[str]:
    ends = by_dns(endpoints, asked.name, asked.pod.namespace, client=asked.pod).ends
    return {address for end in ends for address in end.addresses}


def _predicted(asked: Asked, flow: Flow, meant: set[str], endpoints: Endpoints, predictor: Predictor) -> Verdict | None:
    """The prediction: that for the query, then whether the name exists; None for servers that the lab does not run."""
    config = asked.pod.spec.get("dnsConfig", {})
    if isinstance(config, Mapping) and config.get("nameservers"):
        return None
    service = endpoints.services.get(_SERVICE)
    if not of_pod(asked.pod).by_cluster or service is None or not endpoints.cluster.dns:
        return Verdict(flow, Outcome.REFUSED, because=(Why("the Pod asks no name server"),))
    server = _server(flow.src, endpoints)
    if not server:
        return None
    query = next(iter(predictor.predict([Flow(flow.src, service, server, _DNS, "UDP")])))
    if query.outcome is not Outcome.OPEN:
        return Verdict(flow, query.outcome, because=query.because)
    if not meant:
        return Verdict(flow, Outcome.REFUSED, because=(Why(_RESULTS["nxdomain"][1]),))
    return Verdict(flow, Outcome.OPEN)


def _server(client: Endpoint, endpoints: Endpoints) -> str:
    """The address of kube-dns that a Pod asks; "" where there is none of its families."""
    families = {":" in address for address in client.addresses}
    service = endpoints.services.get(_SERVICE)
    return next((address for address in service.addresses if (":" in address) in families), "") if service else ""


def _disagreement(expectation: Expectation | None, observed: Verdict, predicted: Verdict | None, why: str) -> str:
    """What is wrong with a lookup; empty where nothing is."""
    outcome = observed.outcome
    right = outcome is Outcome.OPEN and not why
    denied = predicted is not None and predicted.outcome is Outcome.DENIED
    differs = predicted is not None and predicted.outcome is not outcome and not (denied and not right)
    differs = differs or (outcome is Outcome.OPEN and not right)
    expect = expectation.expect if expectation else ""
    failed = {"": False, ALLOW: not right, DENY: outcome is Outcome.OPEN}.get(
        expect, expect != outcome and not (denied and expect == Outcome.DENIED)
    )
    if not failed and not differs:
        return ""
    got = f"{outcome}: {why}" if why else str(outcome)
    message = f"expected {expect}, got {got}" if expect else f"got {got}"
    return message + (f" (predicted: {predicted.outcome})" if differs and predicted else "")
