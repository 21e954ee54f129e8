"""The rounds of a league: drawn by the seed, look-alikes after each other, and worth what they should be."""

from __future__ import annotations

from netlab.faults.catalogue import every
from netlab.learn.score import CHOICES, Result, drawn

FAULTS = {each.id: each for each in every()}
CANDIDATES = {id_: ("node-1", "node-2") for id_, each in FAULTS.items() if each.on_state}


def test_a_seed_draws_the_same_rounds_and_no_fault_twice() -> None:
    rounds = drawn(CANDIDATES, FAULTS, 7, 10)
    assert rounds == drawn(CANDIDATES, FAULTS, 7, 10) != drawn(CANDIDATES, FAULTS, 8, 10)
    assert len({each.fault for each in rounds}) == 10
    for each in rounds:
        assert each.at in CANDIDATES[each.fault]
        assert len(set(each.choices)) == CHOICES and each.fault in each.choices


def test_every_second_round_looks_like_the_one_before_where_there_is_such_a_fault() -> None:
    alike = 0
    for seed in range(20):
        rounds = drawn(CANDIDATES, FAULTS, seed, 10)
        for first, second in zip(rounds[::2], rounds[1::2], strict=True):
            pairs = FAULTS[first.fault].look_alikes, FAULTS[second.fault].look_alikes
            alike += second.fault in pairs[0] or first.fault in pairs[1]
    assert alike > 60  # of 100 pairs


def test_few_candidates_make_few_rounds() -> None:
    few = dict(list(CANDIDATES.items())[:3])
    assert len(drawn(few, FAULTS, 1, 10)) == 3
    assert drawn({}, FAULTS, 1, 10) == []


def test_a_round_is_worth_its_cause_its_place_its_mend_and_its_time() -> None:
    whole = Result("f", "a", cause=True, place=True, mended=True, seconds=100.0)
    assert whole.points == 10
    assert Result("f", "a", cause=True, place=True, mended=True, seconds=400.0).points == 8
    assert Result("f", "a", cause=True, place=True, mended=True, wrong=3, seconds=400.0).points == 5
    assert Result("f", "a", cause=True, place=True, mended=True, gave_up=True, seconds=1.0).points == 0
    assert Result("f", "a", mended=True, seconds=1.0).points == 3
    assert Result("f", "a", wrong=9).points == 0
