"""When the agent has a step of the host's side follow: once for several changes, never two at a time, again where it failed."""

from __future__ import annotations

from typing import Any

import pytest

from netlab.runtime.agent import statuses as module
from netlab.runtime.agent.loop import Timer
from netlab.runtime.agent.podstate import PodKey
from netlab.runtime.agent.statuses import SILENCE_MAX, Statuses


class Clock:
    """A loop whose time passes when it is told to."""

    def __init__(self) -> None:
        self.now = 100.0
        self.timers: list[Timer] = []

    def monotonic(self) -> float:
        return self.now

    def later(self, seconds: float, call: Any) -> Timer:
        self.timers.append(Timer(self.now + seconds, len(self.timers), call))
        return self.timers[-1]

    def pass_(self, seconds: float) -> None:
        end = self.now + seconds
        while due := sorted(one for one in self.timers if one.due <= end):
            self.timers.remove(due[0])
            self.now = max(self.now, due[0].due)
            due[0].call()
        self.now = end


class Pod:
    def __init__(self, name: str) -> None:
        self.key = PodKey("/run/netns/x", "default", name)
        self.ready = self.ended = self.failed = False
        self.daemon = ""
        self.ended_at, self.restarts, self.leaving = 0.0, 0, 0


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> tuple[Statuses, Clock, list[int]]:
    clock, started = Clock(), []
    monkeypatch.setattr(module, "time", clock)
    watched = Statuses(clock, "lab", -1)  # type: ignore[arg-type]

    def spawn() -> int:
        started.append(1000 + len(started))
        return started[-1]

    watched.spawn = spawn
    return watched, clock, started


def test_changes_of_a_moment_are_one_step_and_what_is_acknowledged_needs_none(made: Any) -> None:
    watched, clock, started = made
    pods = [Pod(name) for name in "ab"]
    for pod in pods:
        watched.look(pod)
    clock.pass_(1)
    assert started == [1000]
    pods[0].ready = True
    watched.look(pods[0])  # while it runs
    clock.pass_(5)
    assert len(started) == 1, "never two at a time"
    watched.acknowledge(watched.version - 1)
    assert watched.exited(1000) and not watched.exited(1)
    clock.pass_(1)
    assert len(started) == 2, "what came meanwhile has its own"
    watched.acknowledge(watched.version)
    watched.exited(1001)
    clock.pass_(60)
    assert len(started) == 2
    assert watched.shown()["moved"] == []


def test_a_step_that_fails_is_tried_again_ever_more_slowly(made: Any) -> None:
    watched, clock, started = made
    watched.look(Pod("a"))
    for _ in range(300):
        clock.pass_(0.5)
        if watched.child:
            watched.exited(watched.child)
    assert 6 <= len(started) <= 12  # 1, 2, 4, 8, 16, 30, 30 ... seconds apart, in 150


def test_there_is_silence_while_somebody_asks_pods_to_run_but_not_for_ever(made: Any) -> None:
    watched, clock, started = made
    pod = Pod("a")
    watched.silence()
    watched.look(pod)
    clock.pass_(10)
    assert started == []
    watched.acknowledge(watched.version)
    clock.pass_(1)
    assert started == []
    watched.silence()
    pod.ready = True
    watched.look(pod)
    watched.acknowledge(0)  # who asked has gone: interrupted
    clock.pass_(1)
    assert len(started) == 1
    watched.exited(1000)
    watched.acknowledge(watched.version)
    watched.silence()
    pod.ready = False
    watched.look(pod)
    clock.pass_(SILENCE_MAX + 1)  # and who was killed says nothing
    assert len(started) == 2
