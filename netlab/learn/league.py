"""The debugging league: one secret fault after the other in a lab of its own, against the clock.

The rounds live in this process alone.  The run state of the lab has the open fault, as a secret one, which nobody else
can read.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

from netlab.errors import BadInput, StateError
from netlab.faults.apply import Plain
from netlab.faults.catalogue import every
from netlab.faults.fault import Control, Fault
from netlab.faults.injected import Injected
from netlab.learn.score import MINUTES, Result, Round, drawn
from netlab.model import Cluster
from netlab.observe.control import bites, observed
from netlab.runtime import lab as labs
from netlab.runtime.state.resolved import identity
from netlab.runtime.state.rundir import Applied, RunDir
from netlab.runtime.state.running import load_running, name_of, open_running
from netlab.values import dataclass

LAB = Path(__file__).with_name("league.yaml")
Say = Callable[[str], None]


@dataclass(slots=True)
class Current:
    """The round that is open: what its probe gave before the fault and gives with it, and how the learner does."""

    round: Round
    control: Control
    cluster: Cluster
    healthy: str
    broken: str
    result: Result
    began: float

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.began


class League:
    """``results`` are those of the rounds that are over, ``current`` is the open one."""

    def __init__(self, draft: Applied, *, level: int, seed: int, count: int, say: Say = lambda _: None) -> None:
        self.lab, self._draft, self._say = name_of(draft), draft, say
        self._level, self._seed, self._count = level, seed, count
        self._faults: dict[str, Fault] = {}
        self._rounds: list[Round] = []
        self._plain: Plain | None = None
        self.results: list[Result] = []
        self.current: Current | None = None

    def draw(self) -> None:
        """Build the lab, and draw the rounds of it.  Raises BadInput where no fault of the level can be made in it."""
        plain = self._plain = self._fresh()
        self._faults = {each.id: each for each in every()}
        candidates = {
            id_: places
            for id_, each in self._faults.items()
            if (each.on_state or _written(each)) and (not self._level or each.level == self._level)
            if all(getattr(plain.host, need) for need in each.needs)
            if (places := each.where(plain.cluster, plain.state))
        }
        if not candidates:
            raise BadInput(f"no fault of level {self._level} can be made in lab {self.lab}")
        self._rounds = drawn(candidates, self._faults, self._seed, self._count)

    @property
    def count(self) -> int:
        """How many rounds there are."""
        return len(self.results) + len(self._rounds) + (self.current is not None)

    def begin(self) -> bool:
        """Make the fault of the next round in a fresh lab; False where all rounds are over.

        A fault whose probe shows nothing on this host is left out.
        """
        while self._rounds:
            now = self._rounds.pop(0)
            cluster = (self._plain or self._fresh()).cluster
            self._plain = None
            control = self._faults[now.fault].control(cluster, now.at)
            if control is None:
                continue
            healthy = observed(cluster, control)
            try:
                self._make(self._faults[now.fault], now.at)
            except BadInput:  # an object that is there cannot become this one
                continue
            broken = observed(cluster, control)
            if bites(control, healthy, broken):
                result = Result(now.fault, now.at)
                self.current = Current(now, control, cluster, healthy, broken, result, time.monotonic())
                return True
        return False

    def _make(self, fault: Fault, at: str) -> None:
        """Make the fault.  A mistake in a manifest is applied, so that another manifest mends it."""
        if not _written(fault):
            injected = Injected(fault.id, at, secret=True)
            labs.refault(self.lab, partial(_only, injected), verb="break", say=self._say)
            return
        there = load_running(self.lab).documents.objects
        after = fault.on_objects(there, at) if fault.on_objects else there
        kept = {identity(each) for each in after}
        labs.change(
            self.lab,
            add=[(LAB.name, json.dumps(each.body), each.namespace) for each in after if each not in there],
            delete=[key for each in there if (key := identity(each)) not in kept],
            say=self._say,
        )

    def _undone(self) -> bool:
        """Whether the fault was ended by ``heal`` or ``up --reset``."""
        if _written(self._faults[self._open().round.fault]):
            return not open_running(self.lab)[1].changes
        return not labs.faults_of(self.lab)

    def _fresh(self) -> Plain:
        labs.down(self.lab, self._say)
        lab = labs.up(self._draft, reset=True, say=self._say).lab
        return Plain(lab.cluster, lab.want, lab.can)

    # -- the round ------------------------------------------------------------------------------------------------------

    def _open(self) -> Current:
        if self.current is None:
            raise StateError("the league is over")
        return self.current

    def symptom(self) -> Iterator[str]:
        """What users of the lab say."""
        now = self._open()
        yield self._faults[now.round.fault].symptom
        port = f" {now.control.port}" if now.control.port else ""
        yield f"{now.control.source} -> {now.control.target}{port}: {now.broken}; it was {now.healthy}"

    def causes(self) -> list[str]:
        """The causes that are offered, as sentences."""
        return [self._faults[id_].cause for id_ in self._open().round.choices]

    def name_cause(self, number: int) -> bool:
        """The learner's cause, by its number from 1; whether it is right."""
        now = self._open()
        right = 0 < number <= len(now.round.choices) and now.round.choices[number - 1] == now.round.fault
        now.result = replace(now.result, cause=now.result.cause or right, wrong=now.result.wrong + (not right))
        return right

    def name_place(self, word: str) -> bool:
        """The learner's place; whether it is right."""
        now = self._open()
        right = word in (now.round.at, now.round.at.removeprefix("default/"))
        now.result = replace(now.result, place=now.result.place or right, wrong=now.result.wrong + (not right))
        return right

    def look(self) -> bool:
        """Send the packets of the round's probe; whether it is mended now, and was not."""
        now = self._open()
        if now.result.mended or observed(now.cluster, now.control) != now.healthy:
            return False
        if self._undone():
            self.give_up()
            return False
        now.result = replace(now.result, mended=True)
        return True

    def state(self) -> int:
        """A number that changes with the observed objects of the lab."""
        lab = load_running(self.lab)
        seen = labs.observe(lab, RunDir(self.lab))
        return hash(frozenset(map(repr, (*seen.state.values(), *seen.learned))))

    def give_up(self) -> None:
        """The round counts as given up."""
        now = self._open()
        now.result = replace(now.result, gave_up=True)

    @property
    def over(self) -> bool:
        """Whether the current round is."""
        now = self._open()
        return now.result.whole or now.result.gave_up or now.seconds > MINUTES * 60

    def end(self) -> Result:
        """End the current round, and return its result."""
        now = self._open()
        done = replace(now.result, seconds=round(now.seconds, 1))
        self.results.append(done)
        self.current = None
        return done

    def explained(self, result: Result) -> Iterator[str]:
        """The fault of a round, for after it."""
        fault = self._faults[result.fault]
        yield f"{fault.id} at {result.at}: {fault.cause}"
        if fault.look_alikes:
            yield f"looks like: {', '.join(fault.look_alikes)}"


def _written(fault: Fault) -> bool:
    """Whether it is a mistake in manifests alone."""
    return fault.on_objects is not None and fault.on_state is None and fault.on_cluster is None


def _only(injected: Injected, _plain: Plain, _open: tuple[Injected, ...]) -> tuple[Injected, ...]:
    return (injected,)
