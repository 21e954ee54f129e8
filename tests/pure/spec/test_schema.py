"""The JSON Schema for editors: valid itself, and it takes what the loader takes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from netlab.spec import json_schema, load, load_text
from netlab.spec.formats import FORMATS
from netlab.spec.kinds import CLUSTER_SCOPED, Fate, ruling
from netlab.spec.rules import RULES
from netlab.spec.schema import CHECKED, api_version, exercise_schemas, schemas

jsonschema = pytest.importorskip("jsonschema")

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def validator() -> Any:
    schema = json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(json.loads(json.dumps(schema)))


def test_the_fixtures_are_valid(validator: Any) -> None:
    found = load([HERE / "manifests"])
    assert found.lab is not None
    for document in (found.lab, *found.objects):
        validator.validate(document.body)


@pytest.mark.parametrize(
    ("document", "said"),
    [
        (
            {"apiVersion": "netlab/v1", "kind": "Lab", "metadata": {"name": "a"}, "spec": {"datplane": "vxlan"}},
            "datplane",
        ),
        ({"apiVersion": "netlab/v1", "kind": "Lab", "metadata": {"name": "A"}}, "does not match"),
        ({"apiVersion": "v1", "kind": "Pod", "metadata": {}, "spec": {"containers": []}}, "non-empty"),
        (
            {
                "apiVersion": "v1",
                "kind": "Pod",
                "spec": {"containers": [{"name": "a", "ports": [{"containerPort": "x"}]}]},
            },
            "'x'",
        ),
        ({"kind": "Pod"}, "apiVersion"),
    ],
)
def test_an_editor_sees_mistakes(validator: Any, document: dict[str, Any], said: str) -> None:
    assert any(said in error.message for error in validator.iter_errors(document))


def test_null_is_absent_for_editors_too(validator: Any) -> None:
    validator.validate(
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "a", "labels": None},
            "spec": {"ports": [{"port": 80, "nodePort": None, "protocol": None}], "selector": None},
            "status": None,
        }
    )


def test_zero_is_absent_for_editors_too(validator: Any) -> None:
    ports = [{"port": 80, "targetPort": 0, "nodePort": 0, "protocol": "", "name": ""}]
    spec = {"ports": ports, "type": "", "clusterIP": "", "sessionAffinity": ""}
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"}, "spec": spec}
    validator.validate(service)
    assert good_document(service)
    wrong = {**service, "spec": {**spec, "ports": [{"port": 0, "targetPort": -1}]}}
    assert {tuple(error.path)[-1] for error in validator.iter_errors(wrong)} == {"port", "targetPort"}


def good_document(body: dict[str, Any]) -> bool:
    """Whether the loader takes it."""
    return not load_text(json.dumps(body), "lab.yaml").problems


def test_every_reference_format_and_rule_has_its_target() -> None:
    defs = {**schemas().defs, **exercise_schemas().defs}

    def walk(schema: Any) -> None:
        if isinstance(schema, dict):
            if isinstance(schema.get("$ref"), str):
                assert schema["$ref"].removeprefix("#/$defs/") in defs
            form = schema.get("format")
            assert not isinstance(form, str) or form in (*FORMATS, "int32", "int64")
            for each in schema.values():
                walk(each)

    walk(defs)
    assert set(RULES) <= set(defs)
    assert {kind for _, kind in CHECKED} <= set(defs)
    assert {kind for _, kind in CHECKED} >= CLUSTER_SCOPED


def test_every_field_of_the_lab_has_a_description() -> None:
    for name in ("LabSpec", "LabNode", "LabUnderlay", "LabPolicy", "LabExternal"):
        for field, schema in schemas().defs[name]["properties"].items():
            assert "description" in schema or "description" in schemas().defs[schema["$ref"][8:]], f"{name}.{field}"


def test_every_published_kind_has_a_fate() -> None:
    for group, kinds in schemas().kinds.items():
        for kind, versions in kinds.items():
            if (group, kind) not in CHECKED:
                assert ruling(api_version(group, versions[0]), kind).fate in (Fate.SKIPPED, Fate.NOT_MODELLED), kind
