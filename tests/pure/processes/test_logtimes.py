"""When lines were written, and the words that say when."""

from __future__ import annotations

import time

import pytest

from netlab.cli.logtimes import Stamped, cutoff, place
from netlab.errors import BadInput

MARKS = [(100.0, 10), (101.25, 30), (200.0, 31)]


@pytest.mark.parametrize(("moment", "where"), [(99.0, 0), (100.0, 10), (150.0, 30), (300.0, 31)])
def test_what_was_there_at_a_moment(moment: float, where: int) -> None:
    assert place(MARKS, moment) == where


@pytest.mark.parametrize(("text", "seconds"), [("5s", 5), ("1h30m", 5400), ("1.5m", 90), ("200ms", 0.2)])
def test_durations_are_go_s(text: str, seconds: float) -> None:
    assert cutoff(text, "") == pytest.approx(time.time() - seconds, abs=5)


def test_times_are_rfc_3339() -> None:
    assert cutoff("", "1970-01-01T00:01:40.5Z") == 100.5
    assert cutoff("", "1970-01-01T02:01:40+02:00") == 100
    assert cutoff("", "") == 0


@pytest.mark.parametrize(
    ("since", "moment"),
    [("5", ""), ("5 s", ""), ("", "today"), ("", "2026-13-01T00:00:00Z"), ("5s", "1970-01-01T00:00:00Z")],
)
def test_what_is_no_time_is_told(since: str, moment: str) -> None:
    with pytest.raises(BadInput):
        cutoff(since, moment)


def test_a_line_has_the_time_at_which_its_end_was_there(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    stamped = Stamped(0, lambda: MARKS)
    stamped.write(b"one\ntwo")
    stamped.write(b"\nthree\n")
    stamped.last()
    import sys

    sys.stdout.buffer.flush()
    assert capfdbinary.readouterr().out == (
        b"1970-01-01T00:01:40.000000000Z one\n"
        b"1970-01-01T00:01:40.000000000Z two\n"
        b"1970-01-01T00:01:41.250000000Z three\n"
    )
