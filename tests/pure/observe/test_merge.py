"""Frames of many rings come out in the order of their times, none too early, none twice, none lost."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from netlab.kernel.capture.packetring import Frame
from netlab.observe.capture.merge import Merge


def frame(time: int, serial: int = 0) -> Frame:
    return (time, None, serial, 1, 0, 0, b"")


@given(
    st.lists(st.lists(st.integers(0, 1000), max_size=20), max_size=5),  # rings, each with the times of its frames
    st.lists(st.integers(0, 1000), max_size=5),
)
def test_what_is_let_through_is_sorted_and_whole(rings: list[list[int]], horizons: list[int]) -> None:
    merge = Merge()
    serial = 0
    for times in rings:
        merge.add([frame(time, serial := serial + 1) for time in sorted(times)])
    out: list[Frame] = []
    for horizon in sorted(horizons):
        taken = merge.take(horizon)
        assert all(one[0] <= horizon for one in taken)
        out += taken
        assert bool(merge) == (len(out) < serial)
    out += merge.take(1 << 62)
    assert len(out) == serial == len({one[2] for one in out})
    assert [one[0] for one in out] == sorted(one[0] for one in out)
    assert merge.late == 0
    for before, after in pairwise(out):  # one time: as they were added
        assert before[0] < after[0] or before[2] < after[2]


def test_what_comes_too_late_is_counted_and_shown_all_the_same() -> None:
    merge = Merge()
    merge.add([frame(10), frame(20)])
    assert [one[0] for one in merge.take(20)] == [10, 20]
    merge.add([frame(15), frame(20), frame(30)])
    assert [one[0] for one in merge.take(40)] == [15, 20, 30]
    assert merge.late == 1


def test_what_was_before_the_beginning_is_forgotten() -> None:
    merge = Merge()
    merge.since = 15
    merge.add([frame(10), frame(15), frame(20)])
    assert [one[0] for one in merge.take(40)] == [15, 20]
