"""One text on the way that every verb takes: read, resolve, plan, lint, predict, get and describe, without a kernel.

``through`` raises what a user would meet as a traceback; BadInput with places inside the text is an answer.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import json
import re
import resource
import signal
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from unittest import mock

from netlab.cli.verbs import describe, get
from netlab.errors import BadInput, Problem
from netlab.lint import lint, ordered
from netlab.model import Cluster, build
from netlab.objects import State, diff
from netlab.oracle.explain import judged, tell
from netlab.oracle.explained import document
from netlab.oracle.flows import flows
from netlab.oracle.matrix import draw
from netlab.oracle.predict import Predictor
from netlab.plain import dump
from netlab.plan import check, desired, render
from netlab.spec import Document, Documents, load_text

FILE = "case.yaml"
CPU_SECONDS = 2.0  # of a case; processor time, so that a loaded machine does not fail it
MEMORY = 1 << 30
_FLOWS = 60
_KINDS = (
    "pods,nodes,namespaces,services,endpoints,endpointslices,networkpolicies,deployments,statefulsets,daemonsets,"
    "replicasets,replicationcontrollers,jobs,cronjobs"
)
_DESCRIBED = ("pods", "nodes", "services", "endpoints", "networkpolicies")  # others are printed as they are written
_WORLD = (Path(__file__).parent / "whole.yaml").read_text()


class TooSlowError(Exception):
    """A case took more processor time than any document of its size may."""


def world() -> Documents:
    """The realistic documents that a case is one of."""
    return load_text(_WORLD, "whole.yaml")


def whole(kind: str) -> Iterator[str]:
    """The realistic documents of a kind, as they are written."""
    for text in _WORLD.split("\n---\n"):
        if f"\nkind: {kind}\n" in text:
            yield text


def through(text: str, around: Documents, cpu: float = CPU_SECONDS) -> bool:
    """Take a text among other documents through everything; False where netlab refuses it, with places."""
    with _bounded(cpu):
        found = load_text(text, FILE)
        _places(found.problems, text)
        documents = _among(found, around)
        try:
            built = build(documents, name="x", check=check, has_program=_has_all)
        except BadInput as error:
            _places(error.problems, text)
            return False
        cluster = built.cluster
        want = desired(cluster)
        operations = diff(want, State())
        render.rows(operations)
        render.script("x", operations)
        [str(one) for one in ordered((*built.warnings, *lint(cluster, documents)), documents.sources)]
        _predicted(cluster)
        _shown(cluster, documents.objects)
        return True


def _has_all(_name: str, _path: str) -> bool:
    """Every command is there, so that Pods have processes."""
    return True


def _among(found: Documents, around: Documents) -> Documents:
    """The documents of a text beside the others, of which it replaces those of its name."""
    objects = {(one.group, one.kind, one.namespace, one.name): one for one in (*around.objects, *found.objects)}
    return replace(
        found,
        lab=found.lab or around.lab,
        objects=tuple(objects.values()),
        skipped=MappingProxyType({**around.skipped, **found.skipped}),
        sources=(*around.sources, *found.sources),
    )


def _predicted(cluster: Cluster) -> None:
    predictor = Predictor(cluster)
    asked = list(flows(cluster))
    some = asked[:: max(1, len(asked) // _FLOWS)]
    verdicts = list(predictor.predict(some))
    draw(verdicts)
    for verdict in verdicts:
        reasons = judged(predictor.denials, verdict.flow)
        list(tell(verdict, reasons))
        json.dumps(dump(document(verdict, reasons)))


def _shown(cluster: Cluster, objects: Sequence[Document]) -> None:
    """Every row of ``get`` and every ``describe`` of the lab, printed to nowhere."""
    running = (cluster, 0.0, tuple(objects), {})
    patches = [
        mock.patch("netlab.runtime.state.running.load_cluster_since", return_value=running),
        mock.patch("netlab.cli.verbs.get.running_lab", return_value="x"),
        mock.patch("netlab.cli.verbs.describe.running_lab", return_value="x"),
    ]
    with contextlib.ExitStack() as stack:
        for one in patches:
            stack.enter_context(one)
        stack.enter_context(contextlib.redirect_stdout(io.StringIO()))
        stack.enter_context(contextlib.redirect_stderr(io.StringIO()))
        for output in ("wide", "json"):
            _call(get.command, _KINDS, (), "", True, "", output, False, False, False, True, "")
        for kind, namespace in itertools.product(_DESCRIBED, ("default", "shop")):
            _call(describe.command, kind, (), namespace, "")


def _call(command: object, *arguments: object) -> None:
    callback = command.callback  # type: ignore[attr-defined]
    callback(*arguments)


def _places(problems: Iterable[Problem], text: str) -> None:
    """Each problem of the text has a place that is inside it."""
    lines = re.split("\r\n|[\r\n\x85\u2028\u2029]", text)
    for one in problems:
        assert one.mark is not None, f"no place: {one}"
        if one.mark.file == FILE:
            assert 1 <= one.mark.line <= len(lines), one
            assert 1 <= one.mark.column <= len(lines[one.mark.line - 1]) + 1, one


@contextlib.contextmanager
def _bounded(cpu: float) -> Iterator[None]:
    """Processor time and memory of a case are bounded, and going over them is an exception."""

    def late(_number: int, _frame: object) -> None:
        raise TooSlowError

    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    before = signal.signal(signal.SIGVTALRM, late)
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, hard))
    signal.setitimer(signal.ITIMER_VIRTUAL, cpu)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
        signal.signal(signal.SIGVTALRM, before)
