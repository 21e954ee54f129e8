"""The schemas, as data: a subset of JSON Schema that the checker interprets and that editors understand.

``lab.json`` and ``policy.json`` are written by hand (but the data planes, which are the rows of ``netlab.planes``),
``kubernetes.json`` is generated from the published API,
``expect.json`` is for editors and docs/expect.md alone; the schema of exercises is read by ``netlab.exercise``.
``constraints.json`` adds what the published API does not say, ``pointers.json`` of which fields the zero value is not
the same as absence.  The subset: type (one or a list), $ref, properties,
additionalProperties, propertyNames, items, required, enum, mapping (what may stand in place of a word), format, minimum, maximum, minItems, maxItems, maxLength,
uniqueItems.
"""

from __future__ import annotations

import json
import os
from collections.abc import Container, Sequence
from functools import cache
from typing import Any

from netlab.planes import ROWS
from netlab.spec.formats import PATTERNS
from netlab.tuples import NamedTuple

Schema = dict[str, Any]


class Schemas(NamedTuple):
    """``defs``: the definitions by name; ``kinds``: group -> kind -> its versions, of the whole published API.

    ``omitted``: the fields of each definition whose zero value (0, "", [] or {}) means absent, as Go's omitempty has it.
    """

    defs: dict[str, Schema]
    kinds: dict[str, dict[str, list[str]]]
    omitted: dict[str, frozenset[str]]


@cache
def schemas() -> Schemas:
    """All definitions, read once; they are never changed."""
    read = {name: _data(name) for name in ("kubernetes", "policy", "lab", "constraints")}
    defs: dict[str, Schema] = {}
    for name in ("kubernetes", "policy", "lab"):
        defs.update(read[name]["$defs"])
    defs["LabSpec"]["properties"]["dataplane"]["enum"] = list(ROWS)
    for name, more in read["constraints"]["$defs"].items():
        _merge(defs[name], more, name)
    pointers = _data("pointers")["fields"]
    omitted = {name: _omitted(defs[name], pointers.get(name, ())) for name in read["kubernetes"]["$defs"]}
    return Schemas(defs, read["kubernetes"]["kinds"], omitted)


@cache
def exercise_schemas() -> Schemas:
    """The definitions of ``exercise.yaml``, which is no manifest."""
    return Schemas(_data("exercise")["$defs"], {}, {})


def _omitted(schema: Schema, pointers: Sequence[str]) -> frozenset[str]:
    kept = {*schema.get("required", ()), *pointers}
    return frozenset(name for name, each in schema.get("properties", {}).items() if "type" in each and name not in kept)


def _data(name: str) -> Any:
    # Not importlib.resources: it costs 5 ms, a tenth of the whole import, and the wheel is never a zip.
    with open(os.path.join(os.path.dirname(__file__), "schemas", f"{name}.json"), "rb") as file:
        return json.load(file)


def _merge(into: Schema, more: Schema, where: str) -> None:
    for key, each in more.items():
        if not isinstance(each, dict):
            into[key] = each
        elif key in into:
            _merge(into[key], each, f"{where}.{key}")
        elif key == "propertyNames":
            into[key] = dict(each)
        else:
            raise KeyError(f"constraints.json names {where}.{key}, which no schema has")


#: The kinds that are checked, with the API version in which they are taken: (group, kind) -> (version, definition).
CHECKED: dict[tuple[str, str], str] = {
    ("netlab", "Lab"): "v1",
    **{("", kind): "v1" for kind in ("Endpoints", "Namespace", "Node", "Pod", "ReplicationController", "Service")},
    **{("apps", kind): "v1" for kind in ("DaemonSet", "Deployment", "ReplicaSet", "StatefulSet")},
    **{("batch", kind): "v1" for kind in ("CronJob", "Job")},
    ("discovery.k8s.io", "EndpointSlice"): "v1",
    ("networking.k8s.io", "NetworkPolicy"): "v1",
    ("policy.networking.k8s.io", "AdminNetworkPolicy"): "v1alpha1",
    ("policy.networking.k8s.io", "BaselineAdminNetworkPolicy"): "v1alpha1",
    ("policy.networking.k8s.io", "ClusterNetworkPolicy"): "v1alpha2",
}


def api_version(group: str, version: str) -> str:
    """``apps/v1``; the core group has no name."""
    return f"{group}/{version}" if group else version


def json_schema() -> Schema:
    """The complete JSON Schema (draft 2020-12) of one document of a lab's files, for editors.

    A document of a kind that is not checked needs an apiVersion and a kind and may hold anything else.  The loader is
    stricter in what one schema cannot say: cross-field rules, and a misspelt kind.
    """
    definitions = schemas()
    roots = {kind for _, kind in CHECKED}
    cases = [
        {
            "if": {
                "properties": {"apiVersion": {"const": api_version(group, version)}, "kind": {"const": kind}},
                "required": ["apiVersion", "kind"],
            },
            "then": {"$ref": f"#/$defs/{kind}"},
        }
        for (group, kind), version in CHECKED.items()
    ]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A document of a netlab lab: the Lab, or a Kubernetes object",
        "type": ["object", "null"],
        "required": ["apiVersion", "kind"],
        "properties": {"apiVersion": {"type": "string"}, "kind": {"type": "string"}},
        "allOf": cases,
        "$defs": {
            name: each if name in roots else _nullable(each)
            for name, each in (
                (name, _for_editors(definitions.defs[name], definitions.omitted.get(name, ())))
                for name in sorted(definitions.defs)
            )
        },
    }


def expect_schema() -> Schema:
    """The JSON Schema of an expectations file (``expect.yaml``), for editors."""
    return _file_schema("expect", "The expectations of a lab: expect.yaml", "Expectations")


def exercise_schema() -> Schema:
    """The JSON Schema of an exercise (``exercise.yaml``), for editors."""
    return _file_schema("exercise", "An exercise of a lab: exercise.yaml", "Exercise")


def _file_schema(name: str, title: str, root: str) -> Schema:
    definitions = _data(name)["$defs"]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": title,
        "$ref": f"#/$defs/{root}",
        "$defs": {name: _nullable(_for_editors(each)) for name, each in definitions.items()},
    }


def _for_editors(schema: Schema, omitted: Container[str] = ()) -> Schema:
    """One definition, with null and zero allowed wherever they mean absence, and our formats as patterns."""
    out = dict(schema)
    if "properties" in schema:
        required = schema.get("required", ())
        out["properties"] = {
            name: each if name in required else _nullable(_with_zero(each) if name in omitted else each)
            for name, each in ((name, _for_editors(each)) for name, each in schema["properties"].items())
        }
    for key in ("additionalProperties", "items"):
        if isinstance(schema.get(key), dict):
            out[key] = _nullable(_for_editors(schema[key]))
    if "propertyNames" in schema:
        out["propertyNames"] = _for_editors(schema["propertyNames"])
    if mapping := out.pop("mapping", None):
        word = {key: out.pop(key) for key in ("type", "enum")}
        out["anyOf"] = [word, mapping]
    form = out.pop("format", None)
    if form in PATTERNS:
        out["pattern"] = PATTERNS[form]
    return out


def _with_zero(schema: Schema) -> Schema:
    """A field of which Go's zero means absent: 0, or an empty text that is none of its words."""
    out = dict(schema)
    if "minimum" in out:
        out["minimum"] = min(0, out["minimum"])
    if "enum" in out:
        out["enum"] = [*out["enum"], ""]
    return out


def _nullable(schema: Schema) -> Schema:
    if "$ref" in schema:
        return schema  # the definition takes null itself: an anyOf would hide what is wrong inside
    out = dict(schema)
    if "type" in out:
        out["type"] = [*([out["type"]] if isinstance(out["type"], str) else out["type"]), "null"]
    if "enum" in out:
        out["enum"] = [*out["enum"], None]
    return out
