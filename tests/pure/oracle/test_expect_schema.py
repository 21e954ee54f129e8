"""The schema of expect.yaml, which editors and docs/expect.md use, says what the reader says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from netlab.errors import BadInput
from netlab.oracle import expect
from netlab.spec import expect_schema

jsonschema = pytest.importorskip("jsonschema")
ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def validator() -> Any:
    schema = expect_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(json.loads(json.dumps(schema)))


def test_fields_and_words_are_those_of_the_reader() -> None:
    definitions = expect_schema()["$defs"]
    assert set(definitions["Expectations"]["properties"]) == set(expect._TOP)
    assert set(definitions["Flow"]["properties"]) == set(expect._LINE)
    assert set(definitions["StandIn"]["properties"]) == set(expect._POD)
    assert set(definitions["StandInNamespace"]["properties"]) == set(expect._NAMESPACE)
    assert {*definitions["Flow"]["properties"]["expect"]["enum"]} == {*expect.EXPECTABLE}


@pytest.mark.parametrize("path", sorted((ROOT / "labs").glob("*/expect.yaml")), ids=lambda path: str(path.parent.name))
def test_the_files_of_the_labs_are_valid(validator: Any, path: Path) -> None:
    validator.validate(yaml.safe_load(path.read_text()))


@pytest.mark.parametrize(
    "text",
    [
        "default: maybe",
        "flows: {from: a}",
        "flows: [{from: a, to: b}]",
        "flows: [{to: b, expect: allow}]",
        "flows: [{from: a, expect: allow}]",
        "flows: [{from: a, to: b, size: 0, expect: allow}]",
        "flows: [{from: a, to: b, resolves: c, expect: allow}]",
        "flows: [{from: a, resolves: c, size: 9, expect: allow}]",
        "flows: [{from: a, to: b, expect: perhaps}]",
        "flows: [{from: a, to: [], expect: allow}]",
        "flows: [{from: a, to: b, expct: allow}]",
        "pods: [{labels: {a: b}}]",
        "pods: [{name: A_B}]",
        "namespaces: [{name: x, ports: [80]}]",
    ],
)
def test_what_the_reader_refuses_the_schema_refuses(validator: Any, text: str) -> None:
    with pytest.raises(BadInput):
        expect.parse(text)
    assert list(validator.iter_errors(yaml.safe_load(text)))
