"""The JSON Schemas of the documents that verbs print, and what they refuse."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable
from typing import Any, get_args

import pytest

from netlab.cli.helptext import VERBS
from netlab.oracle.flow import Outcome
from netlab.output import DOCUMENTS, changes, document, flows
from netlab.output.places import Place
from netlab.plain import dump, schema

jsonschema = pytest.importorskip("jsonschema")

COMMANDS = ("ip route",)
GOOD = changes.Diff(
    lab="lab",
    operations=(
        changes.Drift(
            verb="create", kind="route", netns="lab-a", name="r", why="", source=None, file=None, line=None,
            commands=COMMANDS, look=COMMANDS, mend=COMMANDS, dst="10.0.0.0/8",
        ),
    ),
    foreign=(),
    places={"lab-a": Place(kind="pod", name="default/a", node="node-1")},
)  # fmt: skip


def errors(data: Any, title: str) -> list[str]:
    validator = jsonschema.Draft202012Validator(schema(document(title), title))
    return [error.message for error in validator.iter_errors(data)]


@pytest.mark.parametrize("title", DOCUMENTS)
def test_each_document_has_a_schema(title: str) -> None:
    jsonschema.Draft202012Validator.check_schema(schema(document(title), title))
    assert errors("no document", title)


def test_each_verb_with_json_output_has_a_document() -> None:
    verbs = set()
    for verb in VERBS:
        command = importlib.import_module(f"netlab.cli.verbs.{verb}").command
        params = [each for part in (command, *getattr(command, "commands", {}).values()) for each in part.params]
        if any("json" in getattr(each.type, "choices", ()) for each in params):
            verbs.add(verb)
    assert verbs == {title.split()[0] for title in DOCUMENTS} - {"get", "serve"}


def remove(data: dict[str, Any]) -> None:
    del data["operations"][0]["netns"]


def add(data: dict[str, Any]) -> None:
    data["operations"][0]["more"] = 1


def retype(data: dict[str, Any]) -> None:
    data["operations"][0]["name"] = 1


def rename(data: dict[str, Any]) -> None:
    data["operations"][0]["verb"] = "make"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (remove, "'netns' is a required property"),
        (add, "Additional properties are not allowed ('more' was unexpected)"),
        (retype, "1 is not of type 'string'"),
        (rename, "'make' is not one of ['create', 'update', 'delete']"),
    ],
)
def test_a_missing_unknown_or_wrong_field_fails(change: Callable[[dict[str, Any]], None], message: str) -> None:
    data = json.loads(json.dumps(dump(GOOD)))
    assert errors(data, "diff") == []
    change(data)
    assert errors(data, "diff") == [message]


def test_a_field_with_an_underscore_is_a_keyword_and_an_optional_one_is_left_out() -> None:
    ends = {
        "from_": "a",
        "from_kind": "pod",
        "to": "b",
        "to_kind": "pod",
        "address": "10.0.0.1",
        "port": 80,
        "protocol": "TCP",
    }
    data = dump(flows.Flow(**ends, outcome="open", server=None, client=None))
    assert data["from"] == "a"
    assert "backends" not in data and "because" not in data
    backend = flows.Backend(to="c", address="10.0.0.2", port=80, outcome="open", asked=False)
    data = dump(flows.Flow(**ends, outcome="open", server=None, client=None, backends=(backend,)))
    assert data["backends"] == [{"to": "c", "address": "10.0.0.2", "port": 80, "outcome": "open", "asked": False}]


def test_the_outcomes_of_documents_are_those_of_flows() -> None:
    assert get_args(flows.Outcome) == tuple(Outcome)
