"""What a second terminal shows of an exercise that goes on."""

from __future__ import annotations

from netlab.cli.learnlive import rows
from netlab.learn.progress import Standing


def test_each_step_has_its_mark_and_the_current_one_its_checks() -> None:
    steps = (("First", "done"), ("Second", "skipped"), ("Third", ""), ("Last", ""))
    now = Standing("An exercise", steps, (("fdb", "ok", "there"), ("probe", "", "timeout")))
    assert list(rows(now)) == [
        ("done", "1  First", ""),
        ("skipped", "2  Second", ""),
        ("now", "3  Third", ""),
        ("ok", "   fdb", "there"),
        ("not yet", "   probe", "timeout"),
        ("", "4  Last", ""),
    ]


def test_nothing_goes_on() -> None:
    assert list(rows(None)) == [("", "no exercise goes on", "netlab learn begins one")]
