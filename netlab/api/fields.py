"""Fields of an object that its kind does not have: refused, named in a warning, or dropped, as ``fieldValidation`` says."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from netlab.api.resources import Resource
from netlab.spec.schema import schemas


def known(resource: Resource, item: Any) -> tuple[Any, list[str]]:
    """The object without the unknown fields, and their paths; all of it where netlab has no schema of the kind."""
    if resource.kind is None or resource.name not in schemas().defs:
        return item, []
    unknown: list[str] = []
    return _known(item, {"$ref": f"#/$defs/{resource.name}"}, "", unknown), unknown


def _known(value: Any, schema: Any, path: str, unknown: list[str]) -> Any:
    if "$ref" in schema:
        schema = {**schemas().defs.get(schema["$ref"].rpartition("/")[2], {}), **schema}
    if isinstance(value, list) and "items" in schema:
        return [_known(each, schema["items"], f"{path}[{index}]", unknown) for index, each in enumerate(value)]
    if isinstance(value, dict) and "properties" in schema:
        return dict(_fields(value, schema, path, unknown))
    return value


def _fields(value: dict[str, Any], schema: Any, path: str, unknown: list[str]) -> Iterator[tuple[str, Any]]:
    for name, each in value.items():
        where = f"{path}.{name}" if path else name
        if name in schema["properties"]:
            yield name, _known(each, schema["properties"][name], where, unknown)
        elif schema.get("additionalProperties") is False and where not in ("apiVersion", "kind", "status"):
            unknown.append(where)
        else:
            yield name, each
