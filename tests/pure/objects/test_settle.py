"""A lab settles when the kernel has done what it does later, by a worker of its own."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import pytest
from fakekernel import FakeKernel

from netlab.errors import StateError
from netlab.kernel.protocol import Observed
from netlab.model import build
from netlab.objects import State
from netlab.plan import desired
from netlab.runtime import converge
from netlab.spec import load_text

LAB = """
apiVersion: netlab/v1
kind: Lab
metadata: {name: late}
spec: {nodes: [{name: node-1}]}
"""


class LateKernel(FakeKernel):
    """Shows what it was given only after some looks."""

    def __init__(self, looks: int) -> None:
        super().__init__()
        self.looks = looks

    def observe(
        self, lab: str, like: State | None = None, scope: Collection[str] | None = None, *, rules: bool = False
    ) -> Observed:
        self.looks -= 1
        seen = super().observe(lab, like, scope, rules=rules)
        if self.looks < 0 or not seen.state:
            return seen
        last = list(seen.state)[-1]
        return Observed(State.of({obj.key: obj for obj in seen.state.values() if obj.key != last}))


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    slept: list[float] = []
    monkeypatch.setattr(converge.time, "sleep", slept.append)
    return slept


def want() -> State:
    return State.of(dict(desired(build(load_text(LAB)).cluster)))


def test_up_waits_for_what_comes_late(pauses: list[float]) -> None:
    assert converge.converge(LateKernel(converge.PASSES + 2), "late", want())
    assert 0 < len(pauses) <= 4


def test_what_never_comes_is_an_error(pauses: list[float]) -> None:
    with pytest.raises(StateError, match="does not settle"):
        converge.converge(LateKernel(10**6), "late", want())
    assert sum(pauses) < 10


def test_a_lab_that_settles_at_once_is_not_waited_for(pauses: list[float]) -> None:
    kernel: Any = LateKernel(0)
    converge.converge(kernel, "late", want())
    assert pauses == []
