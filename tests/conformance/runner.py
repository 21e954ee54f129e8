"""A corpus on a data plane: every case in a lab that is kept, and what differs from what is expected."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import e2e
import scenarios
import tiercases
import validation
from corpora import CORPORA, Case, files, load, takes_all
from livelab import Bed, Ground

from netlab.oracle.policy import Evaluator
from netlab.runtime import lab as labs
from netlab.runtime.client import apiserver
from netlab.runtime.state.rundir import Applied

#: A bridged data plane, where br_netfilter decides, and a routed one.
PLANES = ("vxlan", "calico-bgp")
ALL = (*CORPORA, *tiercases.CORPORA)
DRAWN = 40  # cases of a corpus that is drawn


class Result(NamedTuple):
    """One corpus on one data plane.  ``failed`` and ``argued``: a case's name and what is to be said of it."""

    corpus: str
    plane: str
    cases: int
    states: int
    answers: int
    failed: tuple[tuple[str, str], ...]
    argued: tuple[tuple[str, str], ...]
    skipped: int
    seconds: float
    apply: float

    @property
    def passed(self) -> int:
        return self.cases - len(self.failed)


def run(corpus: str, plane: str, name: str, make: Callable[[str, str, Ground], Bed] = Bed) -> Result:
    """Every case that is taken; ``name`` begins the names of its labs, ``make`` brings one up."""
    beds: dict[Ground, Bed] = {}
    cases = states = answers = skipped = 0
    failed: list[tuple[str, str]] = []
    argued: list[tuple[str, str]] = []
    began, apply = time.monotonic(), 0.0
    try:
        for case in cases_of(corpus):
            if case is None:
                skipped += 1
                continue
            if case.argued:
                argued.append((case.name, case.argued))
                continue
            key = Ground.of(case.states)
            if key not in beds:
                beds[key] = make(f"{name}{len(beds)}", plane, key)
            cases += 1
            wrong, took, asked = _case(beds[key], case)
            states, answers, apply = states + len(case.states), answers + asked, apply + took
            if wrong:
                failed.append((case.name, f"{len(wrong)} of {asked}: {wrong[0]}"))
    finally:
        for bed in beds.values():
            bed.close()
    seconds = time.monotonic() - began
    return Result(corpus, plane, cases, states, answers, tuple(failed), tuple(argued), skipped, seconds, apply)


def there(environment: Mapping[str, str], function: Callable[..., Result], values: tuple[str, ...]) -> Result:
    """In another process, perhaps on another machine: the same cases as here."""
    os.environ.update(environment)
    return function(*values)


def cases_of(corpus: str) -> Iterator[Case | None]:
    """The cases that are taken of a corpus; None for a file that is none."""
    if corpus in tiercases.CORPORA:
        yield from tiercases.cases(corpus, DRAWN if takes_all() else DRAWN // 10)
    else:
        yield from map(load, files(corpus))


def run_scenarios(plane: str, name: str) -> Result:
    """Every scenario; their answers are what they expect after each step."""
    failed = []
    began = time.monotonic()
    paths = files("scenarios", whole=True)
    steps = 0
    for number, path in enumerate(paths):
        steps += sum("expect" in step for step in scenarios.load(path)["steps"])
        failed += [(path.stem, wrong) for wrong in scenarios.run(path, plane, f"{name}s{number}")[:1]]
    return Result(
        "scenarios", plane, len(paths), len(paths), steps, tuple(failed), (), 0, time.monotonic() - began, 0.0
    )


def run_validation() -> Result:
    """Every object that is to be refused or taken; no packet is sent."""
    failed, argued = [], []
    cases = skipped = 0
    began = time.monotonic()
    for path in files("validation", whole=True):
        case = validation.load(path)
        if path.stem in validation.DEVIATIONS:
            argued.append((path.stem, validation.DEVIATIONS[path.stem]))
        else:
            cases += 1
            if wrong := validation.wrong(case):
                failed.append((path.stem, wrong))
    seconds = time.monotonic() - began
    return Result("validation", "-", cases, 0, cases, tuple(failed), tuple(argued), skipped, seconds, 0.0)


#: Of the end-to-end cases, those that a plain run takes: each answer is a command in a Pod, by the API.
_E2E_PART = ("of another namespace one Pod alone is let in by SCTP", "a Pod that gets a label is let in")


def run_e2e(plane: str, name: str) -> Result:
    """The cases of Kubernetes' end-to-end tests, through the API of a lab."""
    began = time.monotonic()
    labs.up(Applied("/somewhere/lab.yaml", "", (("lab.yaml", e2e.spec(name, plane)),)))
    try:
        taken = [case for case in e2e.CASES if takes_all() or case["name"] in _E2E_PART]
        with tempfile.TemporaryDirectory() as scratch:
            played = list(e2e.play(apiserver.ensure(name), Path(scratch), taken))
    finally:
        labs.down(name)
    failed = tuple((case, f"{len(wrong)} of {answers}: {wrong[0]}") for case, answers, wrong in played if wrong)
    answers, states = sum(answers for _, answers, _ in played), sum(len(case["steps"]) for case in taken)
    return Result("end-to-end", plane, len(played), states, answers, failed, (), 0, time.monotonic() - began, 0.0)


def _case(bed: Bed, case: Case) -> tuple[list[str], float, int]:
    """What is not as expected, of oracle and of packets; the seconds of applying; how many answers."""
    wrong: list[str] = []
    took, asked = 0.0, 0
    for state in case.states:
        took += bed.show(state)
        oracle = Evaluator(bed.cluster)
        address = {str(pod): str(pod.addresses[0].ip) for pod in bed.cluster.pods}
        for question in state.questions:
            src, dst = (oracle.party(address.get(one, one)) for one in (question.src, question.dst))
            if bool(oracle.denied_by(src, dst, question.port, question.protocol)) == question.allow:
                wrong.append(f"oracle: {question}")
        for question, verdict in bed.ask(state.questions).items():
            asked += 1
            if not bed.believed(verdict, question):
                why = f" ({verdict.because[-1].message})" if verdict.because else ""
                wrong.append(f"packets: {state.name} {question} was {verdict.outcome}{why}")
    return wrong, took, asked
