"""A case in a lab of the user's: its data plane, its agents, and no rule of netlab's that tells what was denied.

Silence alone proves nothing, so each flow is asked without policies first: only one that passes then can be denied.
An engine needs time: what is not as expected is asked again until ``DEADLINE``.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import livelab
from corpora import Question, State
from livelab import PASSED, Bed, Ground, manifests

from netlab.errors import BadInput
from netlab.observe.probe import Prober
from netlab.oracle.flow import Flow, Outcome, Verdict
from netlab.planes import ROWS
from netlab.runtime import lab as labs
from netlab.runtime.cni.draft import with_conflist
from netlab.runtime.state import running
from netlab.runtime.state.rundir import Applied
from netlab.spec import read_texts
from netlab.spec.load import load_texts

#: Seconds: before the first question of a state, and until an engine must have a state in force.
SETTLE = float(os.environ.get("NETLAB_CONFORMANCE_SETTLE", "0.3"))
DEADLINE = float(os.environ.get("NETLAB_CONFORMANCE_DEADLINE", "5"))
#: Fields of the Lab's spec that a case gives itself.
_CASES_OWN = ("nodes", "podCIDR", "podCIDRs", "ipFamilies", "underlay", "external", "links", "dns")


class Theirs:
    """The user's lab: a folder with a Lab that has ``policy: {enforce: none}``."""

    def __init__(self, folder: str) -> None:
        """Raises BadInput for a folder without such a Lab."""
        self.folder = Path(folder).resolve()
        texts, problems = read_texts([self.folder])
        lab = load_texts(texts, problems).lab
        if lab is None:
            raise BadInput(f"{folder} has no Lab")
        self.spec, self.name = lab.body.get("spec", {}), lab.name
        self.file = str(lab.mark.file)
        if self.spec.get("policy", {}).get("enforce") != "none":
            raise BadInput(f"{lab.mark}: netlab's own rules would be judged", hint="spec.policy: {enforce: none}")
        plane = self.spec.get("dataplane", "vxlan")
        self.plane = plane if isinstance(plane, str) else "cni"
        #: The families that its data plane carries; None where netlab does not know.
        self.families = ROWS[self.plane].families if self.plane in ROWS else None

    def bed(self, name: str, _plane: str, ground: Ground) -> Bed:
        """A lab like it for the nodes of a case."""
        return TheirBed(name, self, ground)


class TheirBed(Bed):
    """A running lab like the user's."""

    def __init__(self, name: str, theirs: Theirs, ground: Ground) -> None:
        self.name, self.ground, self.cidrs, self._theirs = name, ground, ground.cidrs, theirs
        own = {key: value for key, value in theirs.spec.items() if key not in _CASES_OWN}
        document = livelab.lab_spec(name, theirs.plane, ground)
        document["spec"] = {**own, **document["spec"], "dataplane": theirs.spec.get("dataplane", "vxlan")}
        self._lab = document
        self._passes: dict[str, set[tuple[Any, ...]]] = {}
        self._text = ""
        self._known = set()
        self._outside = ""
        self._up(State("", [], [], [], [], []), [])

    def close(self) -> None:
        """Take the lab down."""
        labs.down(self.name)

    def _up(self, state: State, policies: list[dict[str, Any]]) -> None:
        texts = (
            (self._theirs.file, json.dumps(self._lab)),
            ("state.json", livelab.as_text([*manifests(state, self.ground), *policies])),
        )
        labs.up(with_conflist(Applied(str(self._theirs.folder), self.name, texts)), wait=False, programs=True)
        self.cluster = running.load_cluster(self.name)
        self._known.clear()  # what the router answers for is not the lab's, and `up` may take it away
        self._send_from("")

    def show(self, state: State) -> float:
        """Make the lab this state, after each of its flows was asked without policies."""
        self._text = json.dumps([state.namespaces, state.pods, state.nodes])
        passes = self._passes.setdefault(self._text, set())
        if unknown := [question for question in state.questions if question[:4] not in passes]:
            self._up(state, [])
            free = [question._replace(allow=True) for question in unknown]
            asked = self._until_believed(free)
            passes |= {question[:4] for question, verdict in asked.items() if verdict.outcome in PASSED}
        began = time.perf_counter()
        self._up(state, state.policies)
        return time.perf_counter() - began

    def ask(self, questions: Sequence[Question]) -> dict[Question, Verdict]:
        """What packets say when the engine has had its time; a denial needs a flow that passes without policies."""
        passes = self._passes[self._text]
        found = self._until_believed(questions)
        return {
            question: verdict if question[:4] in passes else verdict._replace(outcome=Outcome.ERROR)
            for question, verdict in found.items()
        }

    def _until_believed(self, questions: Sequence[Question]) -> dict[Question, Verdict]:
        time.sleep(SETTLE)
        deadline = time.monotonic() + DEADLINE
        found = super().ask(questions)
        while (
            late := [one for one in questions if not self.believed(found[one], one)]
        ) and time.monotonic() < deadline:
            time.sleep(SETTLE)
            found |= super().ask(late)
        return found

    @staticmethod
    def believed(verdict: Verdict, question: Question) -> bool:
        """A packet that is denied is dropped: a reset may be the Pod's own, and shows that the packet came through."""
        return verdict.outcome in PASSED if question.allow else verdict.outcome is Outcome.TIMEOUT

    def _probe(self, flows: list[Flow], timeout: tuple[float, float]) -> dict[Flow, Verdict]:
        return {one.flow: one for one in Prober(timeout=timeout).probe(flows)}
