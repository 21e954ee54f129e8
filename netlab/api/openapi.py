"""OpenAPI v3 of each group and version, made of the schemas by which netlab checks manifests.

kubectl asks for it before it sends ``apply``, ``create -f``, ``diff`` and for ``explain``.  The schemas have no
descriptions: those are the larger part of the bytes, and the text of others.
"""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from netlab.api.patch import merge_keys
from netlab.api.resources import RESOURCES, Resource
from netlab.spec.schema import schemas

_ETAG = "netlab"
_QUERY = ("fieldValidation", "dryRun", "fieldManager")


def root() -> dict[str, Any]:
    """``/openapi/v3``: where the document of each group and version is."""
    paths = dict.fromkeys(resource.path for resource in RESOURCES.values())
    return {"paths": {path: {"serverRelativeURL": f"/openapi/v3/{path}?hash={_ETAG}"} for path in paths}}


@cache
def text(path: str) -> str | None:
    """The document of ``api/v1`` or ``apis/GROUP/VERSION`` as JSON; None where there is none."""
    listed = [resource for resource in RESOURCES.values() if resource.path == path]
    if not listed:
        return None
    components: dict[str, Any] = {}
    paths: dict[str, Any] = {}
    for resource in listed:
        paths |= _paths(resource)
        components[resource.name] = _kind(resource)
        _reach(components[resource.name], components)
    info = {"title": "Kubernetes", "version": "v1.37.0"}
    return json.dumps({"openapi": "3.0.0", "info": info, "paths": paths, "components": {"schemas": components}})


def _gvk(resource: Resource) -> dict[str, str]:
    return {"group": resource.group, "version": resource.version, "kind": resource.name}


def _paths(resource: Resource) -> dict[str, Any]:
    base = f"/{resource.path}/{'namespaces/{namespace}/' if resource.namespaced else ''}{resource.plural}"
    schema = {"$ref": f"#/components/schemas/{resource.name}"}
    parameters = [{"name": name, "in": "query", "schema": {"type": "string", "uniqueItems": True}} for name in _QUERY]
    answer = {"200": {"description": "OK", "content": {"application/json": {"schema": schema}}}}

    def operation(action: str) -> dict[str, Any]:
        common = {"x-kubernetes-action": action, "x-kubernetes-group-version-kind": _gvk(resource)}
        return {"parameters": parameters, "responses": answer, **common}

    return {
        base: {"get": operation("list"), "post": operation("post")},
        f"{base}/{{name}}": {method: operation(method) for method in ("get", "put", "patch", "delete")},
    }


def _kind(resource: Resource) -> dict[str, Any]:
    schema = schemas().defs.get(resource.name) if resource.kind else None
    if schema is None:  # a kept object: any field is taken
        properties = {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": _reference("ObjectMeta"),
        }
        made: dict[str, Any] = {"type": "object", "properties": properties}
        made["x-kubernetes-preserve-unknown-fields"] = True
    else:
        made = _converted(resource.name, schema)
    return made | {"x-kubernetes-group-version-kind": [_gvk(resource)]}


def _reference(name: str) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{name}"}


def _reach(schema: Any, components: dict[str, Any]) -> None:
    """Add the definitions that the schema refers to."""
    if isinstance(schema, list):
        for each in schema:
            _reach(each, components)
    elif isinstance(schema, dict):
        reference = schema.get("$ref")
        name = reference.rpartition("/")[2] if isinstance(reference, str) else ""
        if name and name not in components:
            components[name] = _converted(name, schemas().defs[name])
            _reach(components[name], components)
        for each in schema.values():
            _reach(each, components)


def _converted(name: str, schema: Any) -> Any:
    """A definition of our subset of JSON Schema as OpenAPI 3.0 has it, with how its lists are merged."""
    made = _plain(schema)
    for field, merge in merge_keys().get(name, {}).items():
        target = made.get("properties", {}).get(field)
        if target is None:
            continue
        if "merge" in merge:
            target["x-kubernetes-patch-strategy"] = "merge"
            target |= {"x-kubernetes-patch-merge-key": merge["merge"]} if merge["merge"] else {}
        if "map" in merge:
            target |= {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": merge["map"]}
    return made


def _plain(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_plain(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    made = {key: _plain(value) for key, value in schema.items() if not key.startswith("$") or key == "$ref"}
    if isinstance(made.get("$ref"), str):
        made["$ref"] = made["$ref"].replace("#/$defs/", "#/components/schemas/")
    if isinstance(schema.get("type"), list):
        del made["type"]
        made["x-kubernetes-int-or-string"] = True
    if made.get("additionalProperties") is False:
        del made["additionalProperties"]
    return made
