"""Whatever a field is set to: a lab or a problem with its place, never a traceback, a hang or memory without bound."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
import mutations
import through

from netlab.spec import Documents
from netlab.spec.schema import CHECKED

KINDS = [kind for _, kind in CHECKED]


@pytest.fixture(scope="module")
def world() -> Documents:
    return through.world()


def answered(case: mutations.Case, world: Documents, cpu: float = through.CPU_SECONDS) -> bool:
    try:
        return through.through(case.text, world, cpu)
    except Exception as error:
        raise AssertionError(f"{case.kind}: {case.what}: {type(error).__name__}") from error


@pytest.mark.parametrize("kind", KINDS)
def test_the_realistic_documents_make_a_lab(kind: str, world: Documents) -> None:
    texts = list(through.whole(kind))
    assert texts
    assert all(through.through(text, world) for text in texts)


@pytest.mark.parametrize("seed", range(4))
def test_a_field_of_any_value_is_answered(seed: int, world: Documents) -> None:
    accepted = sum(answered(case, world) for case in mutations.drawn(seed, 60, 1))
    assert 5 < accepted < 55


@pytest.mark.parametrize("seed", range(2))
def test_two_fields_of_any_value_are_answered(seed: int, world: Documents) -> None:
    for case in mutations.drawn(100 + seed, 60, 2):
        answered(case, world)


@pytest.mark.parametrize("value", range(len(mutations.HUGE)))
def test_a_field_with_a_megabyte_is_answered_soon(value: int, world: Documents) -> None:
    """Every problem is looked up in the text and in its list: once that took time by the square of their number."""
    case = mutations.mutated("Pod", mutations.bodies("Pod")[0], [(("spec", "containers"), mutations.HUGE[value])])
    assert not answered(case, world, 15)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]\n",
        "text\n",
        "--- null\n--- ~\n---\n...\n",
        "---\n- apiVersion: v1\n  kind: Pod\n",
        "{apiVersion: v1, kind: Pod, kind: Pod, metadata: {name: a, name: b}}\n",
        "{apiVersion: v1, kind: Pod, metadata: {name: a}, spec: {1: 2, null: 3, [a]: 4, {b: c}: 5, 1.5: 6, true: 7}}\n",
        "{apiVersion: v1, kind: Pod, metadata: &m {name: a, labels: *m}}\n",
        "{apiVersion: v1, kind: Pod, metadata: {<<: [{name: a}, text]}, spec: {<<: null}}\n",
        "{apiVersion: v1, kind: Pod, metadata: {name: a}, spec: " + "{a: " * 200 + "}" * 200 + "}\n",
        "apiVersion: v1\r\nkind: Pod\r\nmetadata: {name: a}\r\nspec:\r\n  containers: null\r\n",
        "apiVersion: v1\n\tkind: Pod\n",
        'apiVersion: v1\nkind: Pod\nmetadata: {name: "a\\0"}\n',
        "apiVersion: v1\nkind: List\nitems: null\n---\nkind: List\napiVersion: v1\nitems: {a: b}\n",
        "apiVersion: v1\nkind: List\nitems: [null, [], text, {kind: List, apiVersion: v1, items: []}]\n",
        "%TAG ! tag:x,2000:\n---\n!a {apiVersion: v1}\n",
    ],
    ids=range(16),
)  # fmt: skip
def test_whole_documents_of_other_shapes_are_answered(text: str, world: Documents) -> None:
    through.through(text, world)


def test_bytes_that_are_no_text_are_answered(tmp_path: Path) -> None:
    from netlab.spec import load

    pod = b"apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec: {containers: [{name: a, image: x}]}\n"
    for number, data in enumerate((b"\xff\xfe\x00", pod + b"\xe9", pod + b"\x00", pod.decode().encode("utf-16"))):
        (tmp_path / f"{number}.yaml").write_bytes(data)
        found = load([tmp_path / f"{number}.yaml"])
        assert found.problems or found.objects
        assert all(one.mark for one in found.problems)
    (tmp_path / "bom.yaml").write_bytes(b"\xef\xbb\xbf" + pod.replace(b"\n", b"\r\n"))
    assert [str(one) for one in load([tmp_path / "bom.yaml"]).objects] == ["Pod default/a"]
