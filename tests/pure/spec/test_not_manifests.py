"""What people give to -f that is no manifest yet: the error names the tool that makes manifests of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from netlab.errors import BadInput
from netlab.spec import load, load_text

POD = "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec: {containers: [{name: c, image: x}]}\n"


def refused(path: Path) -> BadInput:
    with pytest.raises(BadInput) as refusal:
        load([path])
    return refusal.value


def test_a_folder_without_manifests_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("x")
    (tmp_path / "expect.yaml").write_text("default: deny")
    assert "there is no manifest in this folder" in refused(tmp_path).message


@pytest.mark.parametrize("name", ["kustomization.yaml", "kustomization.yml", "Kustomization"])
def test_kustomize_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / "pod.yaml").write_text(POD)
    (tmp_path / name).write_text("resources: [pod.yaml]\n")
    assert refused(tmp_path).hint == f"kubectl kustomize {tmp_path} | netlab up -f -"
    assert refused(tmp_path / name).hint == f"kubectl kustomize {tmp_path} | netlab up -f -"


def test_a_chart_is_named(tmp_path: Path) -> None:
    (tmp_path / "Chart.yaml").write_text("apiVersion: v2\nname: x\nversion: 1.0.0\n")
    (tmp_path / "templates").mkdir()
    assert refused(tmp_path).hint == f"helm template {tmp_path} | netlab up -f -"


@pytest.mark.parametrize(
    "text",
    [
        "{{ .Values.x }}\n",
        "{{- if .Values.on }}\n" + POD + "{{- end }}\n",
        POD.replace("name: a", "name: {{ .Release.Name }}"),
        POD.replace("image: x", 'image: "x"') + '{{ include "y" . }}\n',
    ],
)
def test_a_template_that_was_not_rendered_is_told_once(text: str) -> None:
    (problem,) = load_text(text, "t.yaml").problems
    assert "helm template" in problem.message and problem.mark is not None


def test_braces_in_a_text_are_no_template() -> None:
    config = 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: {t: "{{ $labels.x }}"}\n---\n'
    assert not load_text(config + POD).problems
    (problem,) = load_text(config + POD.replace("image", "imge")).problems
    assert 'did you mean "image"' in problem.message


def test_two_objects_without_a_line_between_are_told_what_is_missing() -> None:
    problems = load_text(POD + POD, "two.yaml").problems
    assert any(one.path == "apiVersion" and "a line --- is missing" in one.message for one in problems)
