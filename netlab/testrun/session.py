"""A set's lab that stays up for several questions: what the pytest plugin gives to tests.

Each question is expectations, judged as ``netlab test`` judges them: by packets, against the prediction, with the
policies' rules as reasons.  Without packets (``predict``) no lab is made.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from types import TracebackType
from typing import Any

from netlab.errors import BadInput, Exit, NetlabError
from netlab.model import Cluster
from netlab.oracle import lookups
from netlab.oracle.expect import ALLOW, DENY, Expectations, parse
from netlab.oracle.flow import Flow
from netlab.oracle.resolve import Expectation, expected
from netlab.runtime import lab as labs
from netlab.testing import ports
from netlab.testing.failures import causes
from netlab.testing.prepared import Options, Source, prepare
from netlab.testing.questions import Questions
from netlab.testing.result import Result, judge
from netlab.testing.standins import role
from netlab.testing.workloads import joined
from netlab.testrun.labs import own_name
from netlab.testrun.run import Kept, asked, draft, take_down
from netlab.tuples import NamedTuple

EVERYBODY = "*"
_NAMES = 20  # clients that a line of a matrix names


class Trace(NamedTuple):
    """What ``netlab trace`` found: its text, and its document as ``-o json`` has it."""

    text: str
    document: Mapping[str, Any]

    @property
    def answered(self) -> bool:
        """Whether a reply came."""
        return bool(self.document.get("answered"))


class Lab:
    """A set of manifests as a running lab, or as a prediction.

    Selectors are those of ``expect.yaml``: ``shop/web``, ``deploy/web.shop``, ``shop/app=web``, ``svc/db.shop``,
    ``external/internet``.  A port is a number, a name, or a text such as ``53/UDP``.
    """

    def __init__(self, source: Source, options: Options, number: int, *, predict: bool = False) -> None:
        self.predict = predict
        self._options = replace(options, lab=own_name(number), dns=not predict)  # a name may be asked later
        self._prepared = prepare(source, self._options, None if predict else Kept())

    @property
    def name(self) -> str:
        """The lab's name, for commands beside the test."""
        return self._options.lab

    def __enter__(self) -> Lab:
        if not self.predict:
            try:
                labs.up(draft(self._prepared.texts, self._prepared.extra, self._options))
            except BaseException:  # an interrupt leaves half a lab
                take_down(self.name)
                raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self.predict:
            take_down(self.name)

    # -- assertions ---------------------------------------------------------------------------------------------------

    def assert_allowed(self, source: str, to: str, port: int | str | None = None, protocol: str = "TCP") -> None:
        """Every flow from ``source`` to ``to`` is let through; without a port, on each port that the target serves."""
        __tracebackhide__ = True
        self.assert_expectations(_line(source, to, port, protocol, ALLOW))

    def assert_denied(self, source: str, to: str, port: int | str | None = None, protocol: str = "TCP") -> None:
        """No flow from ``source`` to ``to`` is let through."""
        __tracebackhide__ = True
        self.assert_expectations(_line(source, to, port, protocol, DENY))

    def assert_expectations(self, text: str, file: str = "expectations") -> None:
        """Everything is as expectations in the grammar of ``expect.yaml`` say."""
        __tracebackhide__ = True
        try:
            result = self.judge(parse(text, file))
        except BadInput as error:
            raise BadInput(error.problems) from None  # the test's own line is what is wrong
        if not result.rows:
            raise BadInput(f"nothing was asked: {text}")
        blocks = ["\n".join(line for line in cause.lines() if "expected by" not in line) for cause in causes(result)]
        if blocks:
            raise AssertionError("\n".join([self._how(), *blocks]))

    def assert_matrix(self, matrix: Mapping[str, str | Iterable[str]]) -> None:
        """By target (``shop/db:5432``), the Pods and Services' clients that reach it: those, and no other Pod of the set.

        ``"*"`` are all Pods of the set.
        """
        __tracebackhide__ = True
        lines = []
        for written, listed in matrix.items():
            clients = [listed] if isinstance(listed, str) else list(listed)
            try:
                result = self._row(written, clients)
            except BadInput as error:
                raise BadInput(error.problems) from None
            if result.failed:
                lines += self._difference(written, result)
        if lines:
            raise AssertionError("\n".join([self._how(), *lines]))

    def trace(self, source: str, to: str, *options: str) -> Trace:
        """One real packet from ``source`` to ``to`` (``shop/db:5432``), followed over every interface."""
        if self.predict:
            raise BadInput("a trace follows a real packet, and this lab is a prediction")
        words = ["trace", "--lab", self.name, source, to, *options]
        runs = [_netlab(words), _netlab([*words, "-o", "json"])]
        return Trace(runs[0], json.loads(runs[1]))

    # -- how flows are asked ------------------------------------------------------------------------------------------

    def judge(self, expectations: Expectations) -> Result:
        """Ask the flows that the expectations name.  Raises BadInput for what they name and the lab has not."""
        declared = self._prepared.cluster
        return self._judged(
            expectations, lambda cluster: expected(expectations, cluster, Questions(cluster, declared).scope())
        )

    def _judged(self, expectations: Expectations, wanted: Callable[[Cluster], Mapping[Flow, Expectation]]) -> Result:
        extra = ports.undeclared(self._prepared.cluster, expectations)
        unserved = {name: [*served, *extra.get(name, ())] for name, served in self._prepared.unserved.items()}
        cluster = ports.with_ports(self._prepared.cluster, extra)
        flows = wanted(cluster)
        prepared = replace(
            self._prepared,
            cluster=cluster,
            unserved=extra | unserved,
            wanted=flows,
            flows=tuple(flows),
            expectations=expectations,
            lookups=lookups.asked(expectations, cluster),
        )
        if self.predict:
            foreseen = tuple(lookups.predictions(prepared.lookups, prepared.cluster))
            return judge(prepared, None, 0.0, findings=(), looked=foreseen)
        measured = asked(prepared)
        return judge(prepared, measured.observed, 0.0, findings=(), looked=measured.looked)

    def _row(self, written: str, clients: Sequence[str]) -> Result:
        """The flows of all Pods of the set to one target: allowed of its clients, denied of all others."""
        to, _, port = written.rpartition(":")
        if not to:
            raise BadInput(f"{written}: a target is a selector and a port, such as shop/db:5432")
        own = [str(pod) for pod in self._prepared.cluster.own_pods if not role(pod)]
        everybody = parse(_line(own, to, port, "TCP", DENY), "matrix")
        admitted = own if EVERYBODY in clients else list(clients)
        allowed = parse(_line(admitted, to, port, "TCP", ALLOW), "matrix") if admitted else None

        def wanted(cluster: Cluster) -> Mapping[Flow, Expectation]:
            listed = expected(allowed, cluster) if allowed else {}
            flows = {
                flow: each for flow, each in expected(everybody, cluster).items() if flow.src.netns != flow.dst.netns
            }
            return flows | {flow: each for flow, each in listed.items() if flow.src.netns != flow.dst.netns}

        return self._judged(everybody, wanted)

    def _difference(self, written: str, result: Result) -> list[str]:
        workloads = result.workloads
        names = {row.flow: workloads.of(row.flow.src).name for row in result.rows}
        must = [names[row.flow] for row in result.rows if row.expectation and row.expectation.expect == ALLOW]
        wrong = {names[row.flow] for row in result.failed}
        clients_now = [name for name in dict.fromkeys(names.values()) if (name in must) != (name in wrong)]
        lines = [
            f"{word} {written} <- {joined(clients, _NAMES) or 'nobody'}"
            for word, clients in (("-", must), ("+", clients_now))
        ]
        reasons = ["\n".join(line for line in cause.lines() if "expected by" not in line) for cause in causes(result)]
        return [*lines, *reasons]

    def _how(self) -> str:
        return "by the prediction, no packet sent:" if self.predict else f"by packets in lab {self.name}:"


def _line(source: str | Sequence[str], to: str, port: int | str | None, protocol: str, expect: str) -> str:
    """Expectations of one line, as JSON, which is YAML."""
    flow: dict[str, Any] = {"from": source, "to": to, "expect": expect}
    if port not in (None, ""):
        flow["port"] = str(port) if "/" in str(port) else f"{port}/{protocol}"
    return json.dumps({"flows": [flow]})


def _netlab(words: Sequence[str]) -> str:
    """What netlab prints.  Raises NetlabError where it could not do it; a denied flow is an answer."""
    done = subprocess.run([sys.executable, "-m", "netlab", *words], capture_output=True, text=True, check=False)
    if done.returncode not in (Exit.OK, Exit.NO):
        raise NetlabError(f"netlab {' '.join(words)}: {done.stderr.strip()}")
    return done.stdout
