"""Run state that was written by hand or cut short: understood, or refused in a sentence; never a traceback."""

from __future__ import annotations

import copy
import json
import random
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
import through

from netlab.errors import BadInput, StateError
from netlab.model import Cluster, Memory, build
from netlab.plan import check, desired
from netlab.runtime.state import rundir
from netlab.runtime.state.resolved import memory_of, resolve
from netlab.runtime.state.rundir import Applied, Assignments, RunDir
from netlab.spec import Documents, Text

VALUES = (
    None, "", [], {}, 0, -1, 1, 2**63, 10**400, 1.5, float("nan"), True, "text", "../x", "10.244.1.9", "::1", "999.1.1.1",
    "10.0.0.0/8", [None], [[]], [1], ["x"], {"a": 1}, {"a": None}, {"a": {}}, "x" * 100_000,
)  # fmt: skip
DRAWS = 120


@pytest.fixture(scope="module")
def world() -> Documents:
    return through.world()


@pytest.fixture(scope="module")
def cluster(world: Documents) -> Cluster:
    return build(world, name="x", check=check).cluster


def damaged(data: Any, seed: int) -> Iterator[tuple[str, Any]]:
    """The data with a value at some place replaced."""
    rng = random.Random(seed)
    places = list(_places(data, ()))
    for _ in range(DRAWS):
        place, value = rng.choice(places), rng.choice(VALUES)
        whole = copy.deepcopy(data)
        here = whole
        for step in place[:-1]:
            here = here[step]
        here[place[-1]] = value
        yield f"{place} = {str(value)[:40]}", whole


def _places(data: Any, above: tuple[Any, ...]) -> Iterator[tuple[Any, ...]]:
    inside = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for step, each in inside:
        yield (*above, step)
        yield from _places(each, (*above, step))


def test_damaged_memory_makes_a_lab_or_none(world: Documents, cluster: Cluster) -> None:
    made = 0
    for what, data in damaged(json.loads(json.dumps(Memory.of(cluster).to_json())), 1):
        try:
            memory = Memory.from_json(data)
        except ValueError:
            continue
        try:
            desired(build(world, name="x", memory=memory, check=check).cluster)
            made += 1
        except BadInput:
            continue
        except Exception as error:
            raise AssertionError(what) from error
    assert made


@pytest.mark.parametrize("name", ["documents", "assignments", "statuses"])
def test_damaged_files_of_a_running_lab_are_understood_or_refused(
    name: str, cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rundir, "RUN", tmp_path)
    lab = RunDir("x")
    text = (Path(through.__file__).parent / "whole.yaml").read_text()
    extra = "{apiVersion: v1, kind: Namespace, metadata: {name: more}}"
    labels = {"Pod/shop/web": {"a": "b"}}
    applied = Applied(
        "/x", "x", (Text("whole.yaml", text),), (Text("more.yaml", extra),), ("/Pod/default/none",), 1.0, 0, labels
    )
    lab.begin(applied, Assignments(Memory.of(cluster).to_json(), ("x-node-1",), 1, 1))
    lab.commit(
        Assignments(Memory.of(cluster).to_json(), ("x-node-1",), 1, 1), {"shop/web": (1, 0), "default/old": (0, 1)}
    )
    whole = json.loads((tmp_path / "x" / name).read_text())
    understood = 0
    for number, (what, data) in enumerate(damaged(whole, 2)):
        (tmp_path / "x" / name).write_text(json.dumps(data) + " " * number)  # another size, so it is read again
        try:
            kept = lab.applied()
            assert kept is not None
            resolve(kept, memory_of(lab), lab.statuses())
            understood += 1
        except (BadInput, StateError):
            continue
        except Exception as error:
            raise AssertionError(what) from error
    assert understood


def test_a_status_of_one_number_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rundir, "RUN", tmp_path)
    (tmp_path / "x").mkdir()
    for number, said in enumerate(("[1]", "[]", "[1e999, 0]", "7", "null")):
        (tmp_path / "x" / "statuses").write_text(f'{{"default/a": {said}}}' + " " * number)
        assert RunDir("x").statuses() == {}


def test_a_remembered_cidr_without_room_is_no_memory() -> None:
    with pytest.raises(ValueError, match="no room"):
        Memory.from_json({"cidrs": {"node-1": ["10.244.1.9/32"]}})
