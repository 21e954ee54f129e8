"""Whatever the bytes are: problems, never exceptions; bounded time; every place is inside the file."""

from __future__ import annotations

import re
import tempfile
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from netlab.errors import Mark
from netlab.spec import Documents, load, load_text

SEEDS = [path.read_text() for path in sorted((Path(__file__).parent / "manifests").glob("*.yaml"))]
QUICK = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)

scalars = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(), st.text(max_size=8),
    st.sampled_from(["v1", "Pod", "apps/v1", "netlab/v1", "Lab", "List", "=", "<<", "yes", "0644", "..", "\u2028", "\t"]),
)  # fmt: skip
keys = st.sampled_from(
    ["apiVersion", "kind", "metadata", "name", "spec", "items", "containers", "ports", "nodes", "labels", "podSelector",
     "template", "selector", "ingress", "from", "ipBlock", "cidr"]
) | st.text(max_size=5)  # fmt: skip
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=5), max_leaves=25
)
objects = st.fixed_dictionaries(
    {
        "apiVersion": st.sampled_from(["v1", "apps/v1", "networking.k8s.io/v1", "netlab/v1", "batch/v1"]) | scalars,
        "kind": st.sampled_from(["Pod", "Service", "Deployment", "NetworkPolicy", "Lab", "Job", "List"]) | scalars,
    },
    optional={"metadata": values, "spec": values, "items": values},
)


def places_are_inside(found: Documents, text: str) -> None:
    lines = re.split("\r\n|[\r\n\x85\u2028\u2029]", text)
    marks = [each.mark for each in (*found.problems, *found.warnings, *found.objects)]
    for mark in marks:
        assert isinstance(mark, Mark)
        assert 1 <= mark.line <= len(lines)
        assert 1 <= mark.column <= len(lines[mark.line - 1]) + 1


def nothing_is_null(value: object) -> bool:
    if isinstance(value, dict):
        return all(isinstance(key, str) and nothing_is_null(each) for key, each in value.items())
    return all(map(nothing_is_null, value)) if isinstance(value, list) else value is not None


@QUICK
@given(st.binary(max_size=300))
def test_arbitrary_bytes_are_problems_at_worst(data: bytes) -> None:
    with tempfile.NamedTemporaryFile(suffix=".yaml") as file:
        file.write(data)
        file.flush()
        found = load([file.name])
    assert found.problems or found.objects or found.skipped or found.warnings or found.lab


@QUICK
@given(st.text(alphabet=st.sampled_from("{}[]:,-?&*!|>'\"%@`#= \n\tab01.~<"), max_size=80))
def test_arbitrary_yaml_has_its_places_inside(text: str) -> None:
    places_are_inside(load_text(text), text)


@QUICK
@given(st.sampled_from(SEEDS), st.integers(0, 3000), st.integers(0, 40), st.text(max_size=6))
def test_a_damaged_manifest_has_its_places_inside(text: str, start: int, length: int, put: str) -> None:
    text = text[:start] + put + text[start + length :]
    places_are_inside(load_text(text), text)


@QUICK
@given(objects)
def test_objects_of_any_shape_are_problems_at_worst(value: dict[str, object]) -> None:
    import yaml

    text = yaml.safe_dump(value, allow_unicode=True)
    found = load_text(text)
    places_are_inside(found, text)
    assert all(nothing_is_null(each.body) for each in found.objects)


@pytest.mark.parametrize(
    "text",
    [
        "[" * 300_000,
        "{a: " * 300_000,
        "- " * 300_000,
        "? " * 300_000,
        "[a, " * 300_000,
        "a: &a [*a, *a]\n",
        "&a {<<: *a}\n",
        "&a {apiVersion: v1, kind: Pod, metadata: *a}\n",
        "a: " + "x" * 3_000_000,
        "apiVersion: v1\nkind: Pod\nmetadata: {name: a, generation: " + "9" * 100_000 + "}\n",
        "apiVersion: v1\nkind: Pod\nmetadata: {name: " + "a" * 1_000_000 + "}\n",
        "apiVersion: v1\nkind: Pod\n" + "".join(f"x{number}: 1\n" for number in range(3000)),
        "--- 1\n" * 20_000,
        "a: b: c: " * 100_000,
        '"' + "\\" * 100_001,
        "\ud800",
    ],
    ids=range(16),
)
def test_hostile_texts_end_soon(text: str) -> None:
    start = time.process_time()
    found = load_text(text)
    assert found.problems
    assert time.process_time() - start < 10


def test_aliases_that_nest_and_merge_are_counted_and_not_followed() -> None:
    for form in ("[*a{0}, *a{0}]", "{{<<: [*a{0}, *a{0}], k{0}: *a{0}}}"):
        lines = ["apiVersion: v1", "kind: Pod", "a0: &a0 {x: y}"]
        lines += [f"a{number + 1}: &a{number + 1} {form.format(number)}" for number in range(100)]
        (problem,) = load_text("\n".join(lines)).problems
        assert "aliases" in problem.message
