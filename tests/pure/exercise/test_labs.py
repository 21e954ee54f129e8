"""The exercises of the labs, for many seeds: places, flows, faults and objects are there, and no hint has a command."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest

from netlab.exercise.checks import KINDS
from netlab.exercise.checks.matrix import Matrix
from netlab.exercise.checks.probe import Probe
from netlab.exercise.exercise import Exercise
from netlab.exercise.load import FILE, parse
from netlab.exercise.places import netns_of
from netlab.faults.catalogue import fault
from netlab.model import Cluster, build
from netlab.oracle.target import split
from netlab.plan import desired
from netlab.runtime.state.resolved import identity
from netlab.spec import Documents, load

ROOT = Path(__file__).resolve().parents[3]
NAMES = sorted(path.parent.name for path in (ROOT / "labs").glob(f"*/{FILE}"))
SEEDS = range(12)
COMMANDS = re.compile(
    r"`|\$ |(?:^|[\s(])(?:bridge (?:-|fdb|link|vlan)|ip (?:-|a\b|addr|link|neigh|netns|r\b|route|rule)|ss -|"
    r"(?:arping|conntrack|curl|dig|ethtool|iptables|kubectl|netlab|nft|nslookup|nstat|ping -|ping \d|sysctl -|tc|tcpdump|"
    r"traceroute|tshark|wget)\b)"
)


def exercise(name: str, seed: int) -> Exercise:
    return parse((ROOT / "labs" / name / FILE).read_text(), f"labs/{name}/{FILE}", seed)


@cache
def documents(name: str) -> Documents:
    return load([ROOT / "labs" / name])


@cache
def cluster(name: str) -> Cluster:
    return build(documents(name)).cluster


@pytest.mark.parametrize("name", NAMES)
def test_everything_that_an_exercise_names_is_in_its_lab(name: str) -> None:
    lab = cluster(name)
    there = {identity(each) for each in documents(name).objects}
    for seed in SEEDS:
        for step in exercise(name, seed).steps:
            for id_, at in step.scene.faults:
                places = list(fault(id_).where(lab, desired(lab)))
                assert at in places or (places and not at), f"{id_} cannot be at {at}: {places}"
            assert set(step.scene.without) <= there
            for file in step.scene.manifests:
                assert not load([ROOT / "labs" / name / file]).problems
            for wanted in step.wanted:
                check = wanted.check
                for at in filter(None, (getattr(check, "at", ""), getattr(getattr(check, "observed", None), "at", ""))):
                    netns_of(lab, split(at)[0])
                for probe in check.probes if isinstance(check, Matrix) else [check]:
                    if isinstance(probe, Probe) and not step.scene.manifests:
                        assert probe.flows(lab)


@pytest.mark.parametrize("name", NAMES)
def test_a_hint_points_at_what_is_wrong_and_has_no_command(name: str) -> None:
    for step in exercise(name, 0).steps:
        assert step.hints, f"{step.title} has no hint"
        for hint in step.hints:
            assert not COMMANDS.search(hint), hint


@pytest.mark.parametrize("name", NAMES)
def test_no_text_of_a_step_tells_the_answer(name: str) -> None:
    for seed in SEEDS:
        for step in exercise(name, seed).steps:
            texts = " ".join((step.text, step.title, *step.hints)).lower()
            for wanted in step.wanted:
                if wanted.kind == "ask":
                    told = [a for a in getattr(wanted.check, "right", ()) if len(a) > 2 and re.search(rf"(?<![\w.]){re.escape(a.lower())}(?![\w.])", texts)]  # fmt: skip
                    assert not told, f"{step.title}: {told}"
            for id_, _ in step.scene.faults:
                assert id_ not in texts and fault(id_).cause.lower() not in texts


@pytest.mark.parametrize("name", NAMES)
def test_the_lines_of_an_exercise_fit_a_terminal_of_80x24(name: str) -> None:
    from netlab.cli import learntext

    given = exercise(name, 1)
    assert len(list(learntext.opening(given))) <= 6
    for number in range(len(given.steps)):
        lines = list(learntext.step(given, number))
        assert len(lines) <= 14 and max(map(len, lines)) <= 79, given.steps[number].title


def test_the_course_has_one_order_and_the_exercises_use_every_kind_of_check() -> None:
    exercises = [exercise(name, 0) for name in NAMES]
    numbers = [each.course for each in exercises]
    assert len(set(numbers)) == len(numbers)
    used = {wanted.kind for each in exercises for step in each.steps for wanted in step.wanted}
    assert used <= set(KINDS)
