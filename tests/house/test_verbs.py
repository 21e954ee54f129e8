"""A verb that acts in a running lab refuses another user's: each verb is of one sort, and a new one must say which."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path

import pytest

from netlab.cli.helptext import VERBS
from netlab.runtime.state.running import open_run

ROOT = Path(__file__).resolve().parents[2]
REFUSALS = ROOT / "tests/kernel/safety/test_other_users.py"

READ = frozenset({"describe", "diff", "explain", "get", "graph", "logs", "ls"})
NO_RUNNING_LAB = frozenset(
    {"class", "completion", "doctor", "labs", "learn", "new", "page", "plan", "schema", "test", "worker"}
)  # three make theirs
UNDER_THE_LOCK = frozenset({"down", "up"})  # netlab.runtime.lab and teardown ask for the owner, holding the lab's lock
ACT = frozenset(VERBS) - READ - NO_RUNNING_LAB - UNDER_THE_LOCK
CHANGES = frozenset({"change", "down", "enter", "up"})  # functions that change a lab or run something in it


def names(verb: str) -> set[str]:
    """What a verb's module calls or imports."""
    tree = ast.parse((ROOT / f"netlab/cli/verbs/{verb}.py").read_text(encoding="utf-8"))
    found = {node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}
    found |= {
        node.func.attr for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    }
    return found


@pytest.mark.parametrize("verb", sorted(ACT))
def test_a_verb_that_acts_takes_a_lab_of_its_callers(verb: str) -> None:
    called = names(verb)
    by_exec = "enter" in called and "own_lab" in names("exec")
    assert "own_lab" in called or by_exec, "take the lab by netlab.cli.options.own_lab, or add the verb to READ here"
    assert "running_lab" not in called


@pytest.mark.parametrize("verb", sorted(READ | NO_RUNNING_LAB))
def test_a_verb_that_reads_changes_nothing(verb: str) -> None:
    assert not names(verb) & CHANGES


@pytest.mark.parametrize(("module", "question"), [("lab", "open_run("), ("teardown", ".require_owner(")])
def test_what_changes_a_lab_asks_for_its_owner_under_its_lock(module: str, question: str) -> None:
    tree = ast.parse((ROOT / f"netlab/runtime/{module}.py").read_text(encoding="utf-8"))
    holding = [
        one for one in ast.walk(tree) if isinstance(one, ast.With) and "lock.locked(" in ast.unparse(one.items[0])
    ]
    assert holding
    for one in holding:
        assert question in ast.unparse(one)


def test_to_open_a_run_asks_for_its_owner() -> None:
    assert ".require_owner(" in inspect.getsource(open_run)


def test_each_verb_that_acts_is_tried_on_another_users_lab() -> None:
    tree = ast.parse(REFUSALS.read_text(encoding="utf-8"))
    test = next(one for one in tree.body if isinstance(one, ast.FunctionDef) and "another_users_lab" in one.name)
    lines = [one.value for one in ast.walk(test.decorator_list[0]) if isinstance(one, ast.Constant)]
    assert {str(line).split()[0] for line in lines} - {"words"} == ACT | UNDER_THE_LOCK
