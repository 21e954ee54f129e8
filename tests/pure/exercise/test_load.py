"""``exercise.yaml`` as it is read: what is wrong has its line and column, and variables are drawn by the seed."""

from __future__ import annotations

import json
from typing import Any

import pytest

from netlab.errors import BadInput
from netlab.exercise.checks import KINDS
from netlab.exercise.checks.probe import Probe
from netlab.exercise.load import parse
from netlab.spec import exercise_schema
from netlab.spec.rules_exercise import KINDS as RULED

GOOD = """\
apiVersion: netlab/v1
kind: Exercise
metadata: {name: demo}
spec:
  title: A demo
  goal: You have seen it.
  course: 1
  level: 1
  minutes: 5
  variables:
    WHERE: {pick: [node-1, node-2]}
    PORT: {pick: [80, 81]}
  steps:
  - title: Do it on ${WHERE}
    text: Make ${WHERE} forward.
    faults:
    - {fault: no-forwarding, at: "${WHERE}"}
    without:
    - {kind: NetworkPolicy, name: web, namespace: shop}
    checks:
    - sysctl: {at: "${WHERE}", name: net.ipv4.ip_forward, value: 1}
    - probe: {from: client, to: server, port: "${PORT}", expect: allow}
    hints:
    - Look at ${WHERE}.
"""


def problems(text: str) -> list[str]:
    with pytest.raises(BadInput) as caught:
        parse(text)
    return str(caught.value).splitlines()


def test_values_are_drawn_by_the_seed_and_stand_everywhere() -> None:
    drawn = {parse(GOOD, seed=seed).steps[0].title for seed in range(20)}
    assert drawn == {"Do it on node-1", "Do it on node-2"}
    exercise = parse(GOOD, seed=7)
    assert exercise == parse(GOOD, seed=7)
    step = exercise.steps[0]
    where = step.title.removeprefix("Do it on ")
    assert step.scene.faults == (("no-forwarding", where),)
    assert step.scene.without == ("networking.k8s.io/NetworkPolicy/shop/web",)
    assert step.hints == (f"Look at {where}.",)
    probe = step.wanted[1].check
    assert isinstance(probe, Probe) and probe.line.port is not None and probe.line.port.number in (80, 81)


def test_a_new_variable_does_not_change_what_the_others_draw() -> None:
    more = GOOD.replace("    PORT:", "    AAA: {pick: [1, 2, 3]}\n    PORT:").replace("A demo", "A demo ${AAA}")
    for seed in range(8):
        assert parse(more, seed=seed).steps[0].title == parse(GOOD, seed=seed).steps[0].title


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("  level: 1\n", "  level: 9\n", "exercise.yaml:8:10: spec.level: must be from 1 to 3, not 9"),
        ("  goal:", "  gaol:", 'exercise.yaml:6:3: spec.gaol: unknown field (did you mean "goal"?)'),
        ("no-forwarding, at:", "no-forwarding, run:", "unknown field"),
        ("at ${WHERE}", "at ${WHEER}", "exercise.yaml:24:7: there is no variable 'WHEER' (did you mean \"WHERE\"?)"),
        ("value: 1}", "value: 1, command: ls}", "exercise.yaml:21:69: spec.steps[0].checks[0].sysctl.command: unknown field"),
        ("expect: allow}", "expect: maybe}", "must be allow, deny, open"),
        ("from: client", "from: 'a b'", "exercise.yaml:22:21: spec.steps[0].checks[1].probe.from: "),
        ("net.ipv4.ip_forward", "kernel.hostname", "exercise.yaml:21:38: spec.steps[0].checks[0].sysctl.name: is no sysctl"),
        ("    - sysctl:", "    - route: {at: a, to: 10.0.0.1}\n      sysctl:", "a check may have only one of route, sysctl"),
        ("    - probe: {from", "    - capture: {at: client, filter: icmp}\n    - probe: {from", "capture and probe in one step"),
        ("    PORT: {", "    SPARE: {pick: [1]}\n    PORT: {", "exercise.yaml:12:5: spec.variables.SPARE: is drawn and never used"),
        ("kind: Exercise", "kind: Exercize", "must be Exercise"),
    ],
)  # fmt: skip
def test_what_is_wrong_has_its_place(old: str, new: str, message: str) -> None:
    assert old in GOOD
    listed = problems(GOOD.replace(old, new, 1))
    assert any(message in line for line in listed), listed


@pytest.mark.parametrize(
    "text", ["", "- 1", "a: [", "---\n" + GOOD + "---\n" + GOOD, "\x01", "kind: Exercise", "&a [*a]"]
)
def test_hostile_texts_are_refused_in_words(text: str) -> None:
    assert all(line.startswith(("exercise.yaml:", " ", "and ")) for line in problems(text)), problems(text)


def test_a_step_that_holds_before_anything_was_done_is_refused() -> None:
    text = GOOD.replace("value: 1}", "value: 1}\n      baseline: holds").replace(
        "expect: allow}", "expect: allow}\n      baseline: holds"
    )
    assert "every check holds before anything was done" in "\n".join(problems(text))


def test_every_kind_of_check_has_a_class_a_rule_and_a_schema() -> None:
    definitions = exercise_schema()["$defs"]
    assert set(KINDS) == set(RULED) == set(definitions["ExerciseCheck"]["properties"]) - {"baseline"}


def test_no_field_of_an_exercise_is_a_command() -> None:
    fields = {name for each in exercise_schema()["$defs"].values() for name in each.get("properties", ())}
    assert not fields & {"command", "commands", "cmd", "run", "exec", "shell", "script", "solution", "verify"}


def test_the_schema_for_editors_takes_what_the_reader_takes() -> None:
    jsonschema: Any = pytest.importorskip("jsonschema")
    yaml: Any = pytest.importorskip("yaml")
    schema = json.loads(json.dumps(exercise_schema()))
    jsonschema.Draft202012Validator.check_schema(schema)
    text = GOOD.replace("${PORT}", "80")
    validator = jsonschema.Draft202012Validator(schema)
    assert [error.message for error in validator.iter_errors(yaml.safe_load(text))] == []
    assert list(validator.iter_errors(yaml.safe_load(text.replace("level: 1", "level: x"))))
