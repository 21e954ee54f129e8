"""A corpus on a data plane: every case in a lab that is kept, and what differs from what is expected."""

from __future__ import annotations

import time
from typing import NamedTuple

from corpora import Case, files, load
from livelab import Bed, networks

from netlab.oracle.policy import Evaluator

#: A bridged data plane, where br_netfilter decides, and a routed one.
PLANES = ("vxlan", "calico-bgp")


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


def run(corpus: str, plane: str, name: str) -> Result:
    """Every case that is taken; ``name`` begins the names of its labs."""
    beds: dict[tuple[str, ...], Bed] = {}
    cases = states = answers = skipped = 0
    failed: list[tuple[str, str]] = []
    argued: list[tuple[str, str]] = []
    began, apply = time.monotonic(), 0.0
    try:
        for path in files(corpus):
            case = load(path)
            if case is None:
                skipped += 1
                continue
            if case.argued:
                argued.append((case.name, case.argued))
                continue
            key = tuple(networks(pod for state in case.states for pod in state.pods))
            if key not in beds:
                beds[key] = Bed(f"{name}{len(beds)}", plane, key)
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
                why = f" ({verdict.because[-1].says})" if verdict.because else ""
                wrong.append(f"packets: {state.name} {question} was {verdict.outcome}{why}")
    return wrong, took, asked
