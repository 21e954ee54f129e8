"""From the text of ``exercise.yaml`` to an Exercise, with the place of everything that is wrong.

Variables are drawn before anything else is read: ``${NAME}`` is replaced in the composed texts, which keep their places.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Mapping
from functools import reduce
from typing import Any

from netlab.errors import BadInput, Mark, Problem
from netlab.exercise.checks import KINDS
from netlab.exercise.exercise import Exercise, Scene, Step, Wanted
from netlab.near import near
from netlab.spec.check import Checker, Path, spelled
from netlab.spec.compose import MappingNode, Node, ScalarNode, SequenceNode, compose, locate, mark_of, pairs
from netlab.spec.scalars import is_null
from netlab.spec.schema import CHECKED, exercise_schemas
from netlab.spec.text import unprintable

FILE = "exercise.yaml"
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


def parse(text: str, file: str = FILE, seed: int = 0) -> Exercise:
    """Read a file's text for a learner's seed.  Raises BadInput with every problem in it, each with line and column."""
    bad = unprintable(text, file)
    nodes, problems = ([], [bad]) if bad else compose(text, file)
    nodes = [node for node in nodes if not is_null(node)]
    if not problems and not nodes:
        problems = [Problem(Mark(file, 1), "", "nothing in it: an exercise begins with apiVersion: netlab/v1")]
    if len(nodes) > 1:
        problems = [*problems, Problem(mark_of(nodes[1], file), "", "is a second document; a file has one exercise")]
    if problems:
        raise BadInput(problems)
    root = nodes[0]
    problems = list(_draw(root, file, seed))
    checker = Checker(exercise_schemas(), file)
    body = checker.check(root, "Exercise")
    problems += checker.problems
    if problems:
        raise BadInput(sorted(problems, key=lambda each: each.mark or Mark(file, 0)))
    return _made(body, root, file, seed)


# -- variables --------------------------------------------------------------------------------------------------------


def _draw(root: Node, file: str, seed: int) -> Iterator[Problem]:
    """Put the learner's values in; the problems are variables that the file does not define, or defines and never uses."""
    spec = _child(root, "spec")
    section = _child(spec, "variables")
    values: dict[str, str] = {}
    if isinstance(section, MappingNode):
        for key, variable in pairs(section):
            picks = _child(variable, "pick")
            if isinstance(picks, SequenceNode) and picks.value and isinstance(key, ScalarNode):
                # Of its own generator each, so that a new variable does not change the others.
                chosen = random.Random(f"{seed}/{key.value}").choice(picks.value)
                values[key.value] = chosen.value if isinstance(chosen, ScalarNode) else ""
    used: set[str] = set()
    for node in _scalars(root, section):
        for name in _VARIABLE.findall(node.value):
            used.add(name)
            if name not in values:
                yield Problem(mark_of(node, file), "", f"there is no variable {name!r}{near(name, values)}")
        node.value = _VARIABLE.sub(lambda match: values.get(match[1], match[0]), node.value)
    if isinstance(section, MappingNode):
        for key, _ in pairs(section):
            if isinstance(key, ScalarNode) and key.value in values and key.value not in used:
                yield Problem(mark_of(key, file), f"spec.variables.{key.value}", "is drawn and never used")


def _scalars(node: Node, besides: Node | None) -> Iterator[ScalarNode]:
    if node is besides:
        return
    if isinstance(node, ScalarNode):
        yield node
    elif isinstance(node, MappingNode):
        for _, value in node.value:
            yield from _scalars(value, besides)
    elif isinstance(node, SequenceNode):
        for item in node.value:
            yield from _scalars(item, besides)


def _child(node: Node | None, name: str) -> Node | None:
    if not isinstance(node, MappingNode):
        return None
    return next((value for key, value in pairs(node) if isinstance(key, ScalarNode) and key.value == name), None)


# -- the exercise -----------------------------------------------------------------------------------------------------


def _made(body: Mapping[str, Any], root: Node, file: str, seed: int) -> Exercise:
    problems: list[Problem] = []
    spec = body["spec"]
    steps = [_step(step, ("spec", "steps", number), root, file, problems) for number, step in enumerate(spec["steps"])]
    if problems:
        raise BadInput(problems)
    trace = spec.get("trace")
    return Exercise(
        name=body["metadata"]["name"],
        title=spec["title"],
        goal=spec["goal"],
        course=spec["course"],
        level=spec["level"],
        minutes=spec["minutes"],
        steps=tuple(steps),
        seed=seed,
        requires=tuple(spec.get("requires", ())),
        trace=(trace["from"], trace["to"]) if trace else None,
    )


def _step(step: Mapping[str, Any], path: tuple[str | int, ...], root: Node, file: str, problems: list[Problem]) -> Step:
    wanted = []
    for number, check in enumerate(step["checks"]):
        kind = next(name for name in KINDS if name in check)
        where = (*path, "checks", number, kind)
        mark = mark_of(locate(root, where), file)
        try:
            wanted.append(Wanted(kind, KINDS[kind].of(check[kind]), check.get("baseline") == "holds", mark))
        except ValueError as error:
            field, _, message = str(error).partition(": ")
            steps = (*where, *(int(part) if part.isdigit() else part for part in field.split(".")))
            problems.append(Problem(mark_of(locate(root, steps), file), spelled(reduce(_deeper, steps, None)), message))
    faults = tuple((each["fault"], each.get("at", "")) for each in step.get("faults", ()))
    without = tuple(_identity(each) for each in step.get("without", ()))
    text = " ".join(step["text"].split())
    return Step(
        step["title"],
        text,
        tuple(wanted),
        Scene(faults, without, tuple(step.get("manifests", ()))),
        tuple(step.get("hints", ())),
    )


def _deeper(path: Path, step: str | int) -> Path:
    return path, step


def _identity(obj: Mapping[str, str]) -> str:
    """An object as a running lab names it: group/kind/namespace/name."""
    group = _GROUPS.get(obj["kind"], "")
    return f"{group}/{obj['kind']}/{obj.get('namespace', 'default')}/{obj['name']}"


_GROUPS = {kind: group for (group, kind) in CHECKED}
