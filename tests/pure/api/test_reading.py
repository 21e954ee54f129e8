"""What the API's server keeps of a Pod from one reading of the lab to the next."""

from __future__ import annotations

from itertools import count
from typing import Any, cast

from netlab.api.lab import _Reading
from netlab.model import Pod


def test_an_object_is_made_again_only_when_its_pod_or_what_the_agent_knows_has_changed() -> None:
    pod, other = cast("Pod", object()), cast("Pod", object())
    number = count()

    def read(before: _Reading, pod: Pod, restarts: int) -> tuple[_Reading, Any]:
        reading = _Reading("lab")
        reading.before = before.memory
        return reading, reading.kept("pod", pod, ({"restarts": restarts},), lambda: next(number))

    first, made = read(_Reading("lab"), pod, 0)
    second, same = read(first, pod, 0)
    third, restarted = read(second, pod, 1)
    fourth, replaced = read(third, other, 1)
    _, back = read(fourth, pod, 1)
    assert (made, same, restarted, replaced, back) == (0, 0, 1, 2, 3)
