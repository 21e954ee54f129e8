"""``--write``: what is, as expectations.  With ``default: deny`` in them, a change that opens a flow fails.

The default speaks of workloads and of the internet as a client.  Strangers, stand-ins, and everybody beside the manifests
are recorded with both answers, allow and deny; the file names the stand-ins, so that they are there next time whatever
the policies then say.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from netlab.oracle.compare import check
from netlab.oracle.expect import ALLOW, DENY, parse
from netlab.oracle.flow import EXTERNAL, POD, SERVICE, Endpoint, Flow, Outcome, Verdict
from netlab.oracle.resolve import expected
from netlab.testing import ground
from netlab.testing.prepared import Prepared
from netlab.testing.result import Result
from netlab.testing.standins import API_SERVER, STRANGER, role
from netlab.testing.workloads import Workloads

_HEAD = "# written by netlab test --write: what is; change it into what must be\n"

_Answers = dict[str, list[bool]]


def record(result: Result) -> str:
    """The file's text."""
    prepared, verdicts = result.prepared, result.verdicts
    lines = list(_lines(prepared, verdicts))
    text = _text(prepared, lines)
    wanted = expected(parse(text, _HEAD, prepared.home), prepared.cluster, prepared.questions.scope())
    asked = {flow: expectation for flow, expectation in wanted.items() if flow in verdicts}
    rows = check(asked, result.predicted, result.observed or {}, evidence=True)
    # What is not as the default or the Pods behind a Service would have it is recorded flow by flow.
    more = [_exactly(row.flow, verdicts[row.flow]) for row in rows if not row.ok and row.flow.dst.kind == SERVICE]
    return _text(prepared, [*lines, *more]) if more else text


def _text(prepared: Prepared, flows: Iterable[dict[str, Any]]) -> str:
    body: dict[str, Any] = {"namespaces": [*_namespaces(prepared)], "pods": [*_pods(prepared)]}
    lines = [_HEAD, "default: deny\n"]
    for name, items in body.items():
        if items:
            lines += [f"{name}:\n", *(f"- {_inline(item)}\n" for item in items)]
    written = [f"- {_inline(line)}\n" for line in flows]
    return "".join([*lines, "flows:\n" if written else "flows: []\n", *written])


def _exactly(flow: Flow, verdict: Verdict) -> dict[str, Any]:
    """A line for one flow, by its address and outcome."""
    source = f"external/{flow.src.name}" if flow.src.kind == EXTERNAL else flow.src.name
    outcome = {Outcome.OPEN: ALLOW, Outcome.DENIED: DENY}.get(verdict.outcome, verdict.outcome.value)
    return {"from": source, "to": flow.address, "port": f"{flow.port}/{flow.protocol}", "expect": outcome}


def _lines(prepared: Prepared, verdicts: Mapping[Flow, Verdict]) -> Iterator[dict[str, Any]]:
    """A line a target, port and answer; where replicas or addresses differ, a line for each."""
    by_flow: dict[tuple[str, str, bool], _Answers] = {}
    single: dict[tuple[str, str, str, bool], dict[str, bool]] = {}
    workloads = Workloads(prepared.cluster)
    for flow, verdict in verdicts.items():
        if flow.dst.kind == SERVICE or flow.src.netns == flow.dst.netns:
            continue
        if any(end.name.startswith(ground.BLOCK) for end in (flow.src, flow.dst)):
            continue  # a host that is there for as long as a policy has that ipBlock
        implied = _implied(flow.src, prepared) and _served(flow, prepared)
        word, port, is_open = (
            workloads.of(flow.dst).word,
            f"{flow.port}/{flow.protocol}",
            verdict.outcome is Outcome.OPEN,
        )
        by_flow.setdefault((word, port, implied), {}).setdefault(workloads.of(flow.src).word, []).append(is_open)
        source = f"external/{flow.src.name}" if flow.src.kind == EXTERNAL else flow.src.name
        single.setdefault((word, _single(flow, prepared), port, implied), {})[source] = is_open
    mixed = {
        (key, source)
        for key, sources in by_flow.items()
        for source, answers in sources.items()
        if len(set(answers)) > 1
    }
    for (target, port, implied), sources in by_flow.items():
        for allowed in (True,) if implied else (True, False):
            names = [
                source
                for source, answers in sources.items()
                if answers[0] is allowed and ((target, port, implied), source) not in mixed
            ]
            if names:
                yield _line(names, target, port, allowed)
    for (word, address, port, implied), by_pod in single.items():
        for allowed in (True,) if implied else (True, False):
            names = [
                source
                for source, is_open in by_pod.items()
                if is_open is allowed and ((word, port, implied), _word(source, workloads, prepared)) in mixed
            ]
            if names:
                yield _line(names, address, port, allowed)


def _single(flow: Flow, prepared: Prepared) -> str:
    """How a line names this target alone: a Pod by a name that stays as it is, all others by their address."""
    pod = prepared.questions.endpoints.pod_of.get(flow.dst.name)
    stays = pod is not None and pod.controller.startswith("StatefulSet/") and len(flow.dst.addresses) == 1
    return flow.dst.name if stays else flow.address


def _word(source: str, workloads: Workloads, prepared: Prepared) -> str:
    pods = prepared.questions.endpoints.pods
    return workloads.of(pods[source]).word if source in pods else source


def _line(sources: list[str], target: str, port: str, allowed: bool) -> dict[str, Any]:
    return {
        "from": sources[0] if len(sources) == 1 else sources,
        "to": target,
        "port": port,
        "expect": ALLOW if allowed else DENY,
    }


def _implied(source: Endpoint, prepared: Prepared) -> bool:
    """Whether ``default: deny`` speaks of a source."""
    if source.kind == EXTERNAL:
        return source.name == ground.INTERNET
    pod = prepared.questions.endpoints.pod_of.get(source.name) if source.kind == POD else None
    return pod is not None and not role(pod) and not pod.system


def _served(flow: Flow, prepared: Prepared) -> bool:
    """Whether ``default: deny`` speaks of a target and port."""
    pod = prepared.questions.endpoints.pod_of.get(flow.dst.name)
    if pod is None or role(pod) or pod.system:
        return False
    extra = {(port.port, port.protocol) for port in prepared.unserved.get(str(pod), ())}
    return (flow.port, flow.protocol) not in extra


def _pods(prepared: Prepared) -> Iterator[dict[str, Any]]:
    for pod in prepared.cluster.own_pods:
        if role(pod) and role(pod) not in (STRANGER, API_SERVER):
            ports = [f"{port.port}/{port.protocol}" for port in pod.ports if port.declared]
            yield {"name": pod.name, "namespace": pod.namespace, "labels": dict(pod.labels), "ports": ports}


def _namespaces(prepared: Prepared) -> Iterator[dict[str, Any]]:
    spaces = {pod.namespace for pod in prepared.cluster.own_pods if role(pod)} - {*prepared.without.namespaces}
    for name, labels in prepared.cluster.namespaces.items():
        own = {key: value for key, value in labels.items() if key != "kubernetes.io/metadata.name"}
        if name in spaces and own:
            yield {"name": name, "labels": own}


def _inline(value: Any) -> str:
    """A value in YAML's flow style; texts are quoted where they are not plain words."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_inline(key)}: {_inline(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_inline, value)) + "]"
    plain = isinstance(value, str) and value.replace("/", "").replace("-", "").replace(".", "").isalnum()
    words = (
        plain
        and not value[0].isdigit()
        and value.lower() not in ("true", "false", "null", "yes", "no", "on", "off", "y", "n")
    )
    port = isinstance(value, str) and value.partition("/")[0].isdigit() and value.partition("/")[2].isalpha()
    return value if words or port else json.dumps(value)
