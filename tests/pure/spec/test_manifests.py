"""Real manifests are accepted as they stand, and fast; the fixtures here are in their spirit."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import yaml

from netlab.spec import load, load_text

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
SHARED = Path(os.environ.get("NETLAB_MANIFESTS", ROOT.parent / "shared" / "manifests"))
SETS = sorted(SHARED.glob("*.yaml"))

needs_sets = pytest.mark.skipif(
    not SETS, reason="the sets of real manifests are not here: NETLAB_MANIFESTS names their folder"
)


@pytest.mark.parametrize(
    ("name", "kinds", "skipped"),
    [
        ("chart.yaml", ["NetworkPolicy", "Service", "StatefulSet"], {"Secret": 1}),
        ("exported.yaml", ["Pod", "Service"], {}),
        ("lab.yaml", ["Namespace", "ClusterNetworkPolicy"], {}),
    ],
)
def test_manifests_like_those_of_charts_are_taken(name: str, kinds: list[str], skipped: dict[str, int]) -> None:
    found = load([HERE / "manifests" / name])
    assert [str(each) for each in found.problems] == []
    assert not found.warnings
    assert [each.kind for each in found.objects] == kinds
    assert found.skipped == skipped


def test_a_folder_with_a_lab_gives_the_lab() -> None:
    found = load([HERE / "manifests"])
    assert found.lab is not None
    assert found.lab.name == "everything"
    assert found.lab.body["spec"]["dns"] == "on"
    assert found.lab.body["spec"]["underlay"]["learnsPodRoutes"] is False


@needs_sets
@pytest.mark.parametrize("path", SETS, ids=lambda path: path.stem)
def test_a_real_set_is_accepted_as_it_stands(path: Path) -> None:
    found = load([path])
    assert [str(each) for each in found.problems] == []
    assert found.objects


CONFORMANCE = Path(os.environ.get("NETLAB_CONFORMANCE", ROOT.parent / "shared" / "conformance"))
VALIDATION = sorted((CONFORMANCE / "validation").glob("*.yaml"))


@pytest.mark.skipif(
    not VALIDATION,
    reason="the conformance data is not here: NETLAB_CONFORMANCE names its folder, with validation/ in it",
)
def test_policies_are_refused_and_accepted_as_the_api_server_does() -> None:
    wrong = []
    for path in VALIDATION:
        case = yaml.load(path.read_text(), yaml.CSafeLoader)
        names = [
            (each["kind"], each["metadata"].get("namespace"), each["metadata"]["name"]) for each in case["policies"]
        ]
        if len(set(names)) < len(names):
            continue  # one object twice: the last wins here, with a warning
        accepts = case.get("apiServerAccepts")
        found = load_text(yaml.safe_dump_all(case["policies"]))
        if bool(found.problems) == bool(case["valid"] if accepts is None else accepts):
            wrong.append(path.stem)
    assert not wrong
