"""``--write``: what is, as expectations.  With ``default: deny`` in them, a change that opens a flow fails.

The default speaks of workloads and of the internet as a client.  Strangers, stand-ins, and everybody beside the manifests
are recorded with both answers, allow and deny; the file names the stand-ins, so that they are there next time whatever
the policies then say.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from netlab.oracle.expect import ALLOW, DENY
from netlab.oracle.flow import EXTERNAL, POD, SERVICE, Endpoint, Flow, Outcome, Verdict
from netlab.testing import ground
from netlab.testing.prepared import Prepared
from netlab.testing.standins import API_SERVER, STRANGER, role
from netlab.testing.workloads import Workloads

_HEAD = "# written by netlab test --write: what is; change it into what must be\n"

_Answers = dict[str, list[bool]]


def record(prepared: Prepared, verdicts: Mapping[Flow, Verdict]) -> str:
    """The file's text."""
    body: dict[str, Any] = {"namespaces": [*_namespaces(prepared)], "pods": [*_pods(prepared)]}
    lines = [_HEAD, "default: deny\n"]
    for name, items in body.items():
        if items:
            lines += [f"{name}:\n", *(f"- {_inline(item)}\n" for item in items)]
    flows = [f"- {_inline(line)}\n" for line in _lines(prepared, verdicts)]
    return "".join([*lines, "flows:\n" if flows else "flows: []\n", *flows])


def _lines(prepared: Prepared, verdicts: Mapping[Flow, Verdict]) -> Iterator[dict[str, Any]]:
    """A line a target, port and answer."""
    found: dict[tuple[str, str, bool], _Answers] = {}
    single: dict[tuple[str, str, bool], dict[str, bool]] = {}
    workloads, known = Workloads(prepared.cluster), prepared.questions.known
    for flow, verdict in verdicts.items():
        if flow.dst.kind == SERVICE or flow.src.netns == flow.dst.netns:
            continue
        implied = _implied(flow.src, prepared) and _served(flow, prepared)
        port = f"{flow.port}/{flow.protocol}"
        is_open = verdict.outcome is Outcome.OPEN
        key = workloads.of(flow.dst).word, port, implied
        found.setdefault(key, {}).setdefault(workloads.of(flow.src).word, []).append(is_open)
        name = flow.dst.name if flow.dst.name in known.pod_of else key[0]
        source = flow.src.name if flow.src.name in known.pod_of else workloads.of(flow.src).word
        single.setdefault((name, port, implied), {})[source] = is_open
    mixed = {
        (key, source) for key, sources in found.items() for source, answers in sources.items() if len(set(answers)) > 1
    }
    for (target, port, implied), sources in found.items():
        for answer in (True,) if implied else (True, False):
            names = [
                source
                for source, answers in sources.items()
                if answers[0] is answer and ((target, port, implied), source) not in mixed
            ]
            if names:
                yield _line(names, target, port, answer)
    for (target, port, implied), by_pod in single.items():
        word = workloads.of(known.pods[target]).word if target in known.pods else target
        for answer in (True,) if implied else (True, False):
            names = [
                source
                for source, is_open in by_pod.items()
                if is_open is answer and ((word, port, implied), _word(source, workloads, prepared)) in mixed
            ]
            if names:
                yield _line(names, target, port, answer)


def _word(source: str, workloads: Workloads, prepared: Prepared) -> str:
    pods = prepared.questions.known.pods
    return workloads.of(pods[source]).word if source in pods else source


def _line(sources: list[str], target: str, port: str, answer: bool) -> dict[str, Any]:
    return {
        "from": sources[0] if len(sources) == 1 else sources,
        "to": target,
        "port": port,
        "expect": ALLOW if answer else DENY,
    }


def _implied(source: Endpoint, prepared: Prepared) -> bool:
    """Whether ``default: deny`` speaks of a source."""
    if source.kind == EXTERNAL:
        return source.name == ground.INTERNET
    pod = prepared.questions.known.pod_of.get(source.name) if source.kind == POD else None
    return pod is not None and not role(pod) and not pod.system


def _served(flow: Flow, prepared: Prepared) -> bool:
    """Whether ``default: deny`` speaks of a target and port."""
    pod = prepared.questions.known.pod_of.get(flow.dst.name)
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
