"""The patches of the API: JSON merge patch, JSON patch, strategic merge patch, and server-side apply.

Which lists are merged, and by which keys, is in data/merge.json.  Server-side apply knows for each manager the last
object that it applied: a field that it no longer applies goes away.  Conflicts of managers are not reported.
"""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from netlab.spec.schema import schemas

_DEFAULTS = {"protocol": "TCP"}  # of merge keys that may be left out


@cache
def merge_keys() -> dict[str, dict[str, dict[str, Any]]]:
    """By definition and field: ``merge``: the key of strategic merge patch ("" for scalars), ``map``: those of apply."""
    with open(os.path.join(os.path.dirname(__file__), "data", "merge.json"), "rb") as file:
        fields: dict[str, dict[str, dict[str, Any]]] = json.load(file)["fields"]
    return fields


def _field(definition: str, key: str) -> tuple[str, dict[str, Any]]:
    """(The definition of a field's value or of its items, how a list is merged)."""
    schema = schemas().defs.get(definition, {}).get("properties", {}).get(key, {})
    reference = str(schema.get("$ref") or schema.get("items", {}).get("$ref", ""))
    return reference.rpartition("/")[2], merge_keys().get(definition, {}).get(key, {})


def strategic(definition: str, live: Any, patch: Any, *, apply: bool = False) -> Any:
    """A strategic merge patch; ``apply``: an applied object, whose lists merge by the keys of server-side apply."""
    if not isinstance(patch, dict):
        return patch
    if patch.get("$patch") == "replace":
        return {key: value for key, value in patch.items() if key != "$patch"}
    merged = dict(live) if isinstance(live, dict) else {}
    if isinstance(retained := patch.get("$retainKeys"), list):
        merged = {key: value for key, value in merged.items() if key in retained}
    for key, value in patch.items():
        directive, _, name = key.partition("/")
        if directive == "$deleteFromPrimitiveList":
            merged[name] = [each for each in merged.get(name) or () if each not in value]
        if key.startswith("$"):
            continue
        if value is None or (isinstance(value, dict) and value.get("$patch") == "delete"):
            merged.pop(key, None)
            continue
        of, how = _field(definition, key)
        if isinstance(value, list):
            order = patch.get(f"$setElementOrder/{key}")
            merged[key] = _list(of, how, merged.get(key), value, order, apply=apply)
        else:
            merged[key] = strategic(of, merged.get(key), value, apply=apply)
    return merged


def _list(of: str, how: Mapping[str, Any], live: Any, patch: list[Any], order: Any, *, apply: bool) -> list[Any]:
    had = live if isinstance(live, list) else []
    keys = _keys(how, apply=apply)
    if keys and all(isinstance(each, dict) for each in (*patch, *had)):
        merged = {_identity(each, keys): each for each in had}
        for each in patch:
            if each.get("$patch") == "replace":
                merged = {}
            elif each.get("$patch") == "delete":
                merged.pop(_identity(each, keys), None)
            else:
                merged[_identity(each, keys)] = strategic(of, merged.get(_identity(each, keys)), each, apply=apply)
        if isinstance(order, list):
            rank = {_identity(each, keys): index for index, each in enumerate(order)}
            merged = dict(sorted(merged.items(), key=lambda item: rank.get(item[0], len(rank))))
        return list(merged.values())
    if how.get("set") if apply else how.get("merge") == "":
        return [*had, *(each for each in patch if each not in had)]
    return [strategic(of, None, each, apply=apply) for each in patch]


def _keys(how: Mapping[str, Any], *, apply: bool) -> tuple[str, ...]:
    if apply and "map" in how:
        return tuple(how["map"])
    return (how["merge"],) if how.get("merge") else ()


def _identity(item: Mapping[str, Any], keys: Sequence[str]) -> tuple[Any, ...]:
    return tuple(item.get(key, _DEFAULTS.get(key)) for key in keys)


def merge(live: Any, patch: Any) -> Any:
    """A JSON merge patch (RFC 7386)."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(live) if isinstance(live, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = merge(merged.get(key), value)
    return merged


def json_patch(live: Any, operations: Any) -> Any:
    """A JSON patch (RFC 6902).  Raises ValueError where it does not fit the object."""
    if not isinstance(operations, list):
        raise ValueError("a JSON patch is a list of operations")
    root = [copy.deepcopy(live)]  # so that the whole document has a parent too
    for operation in operations:
        try:
            _perform(root, operation)
        except (KeyError, IndexError, TypeError, AttributeError) as error:
            raise ValueError(f"the operation {json.dumps(operation)} does not fit the object") from error
    return root[0]


def _perform(root: list[Any], operation: Mapping[str, Any]) -> None:
    action, path = operation["op"], operation["path"]
    if action in ("copy", "move"):
        parent, last = _at(root, operation["from"])
        value = copy.deepcopy(parent[last])
        if action == "move":
            del parent[last]
    else:
        value = operation.get("value")
    parent, last = _at(root, path)
    if action == "test":
        if parent[last] != value:
            raise ValueError(f"testing value {path} failed")
    elif action == "remove":
        del parent[last]
    elif action == "replace":
        parent[last]
        parent[last] = value
    elif action in ("add", "copy", "move"):
        if isinstance(parent, list) and parent is not root:
            if last > len(parent):
                raise IndexError(last)
            parent.insert(last, value)
        else:
            parent[last] = value
    else:
        raise ValueError(f"there is no operation {action!r}")


def _at(root: list[Any], path: str) -> tuple[Any, Any]:
    """The parent of the value at a path (RFC 6901), and the value's key or index in it."""
    parent: Any = root
    last: Any = 0
    for part in path.split("/")[1:]:
        parent = parent[last]
        last = part.replace("~1", "/").replace("~0", "~")
        if isinstance(parent, list):
            last = len(parent) if last == "-" else int(last)
            if last < 0:
                raise IndexError(last)
    return parent, last


def applied(definition: str, live: Any, before: Any, now: Any) -> Any:
    """Server-side apply: ``live`` after a manager that applied ``before`` applies ``now``."""
    base = _forget(definition, live, before, now) if before is not None else live
    return strategic(definition, base, now, apply=True)


def _forget(definition: str, live: Any, before: Any, now: Any) -> Any:
    """``live`` without the fields that ``before`` has and ``now`` has not."""
    if not (isinstance(live, dict) and isinstance(before, dict) and isinstance(now, dict)):
        return live
    kept = dict(live)
    for key, value in before.items():
        if key not in kept:
            continue
        of, how = _field(definition, key)
        if key not in now:
            del kept[key]
        elif isinstance(value, dict):
            kept[key] = _forget(of, kept[key], value, now[key])
        elif isinstance(value, list) and (keys := _keys(how, apply=True)) and isinstance(kept[key], list):
            had = {_identity(each, keys): each for each in value if isinstance(each, dict)}
            has = {_identity(each, keys): each for each in now[key] or () if isinstance(each, dict)}
            kept[key] = [
                _forget(of, each, had.get(_identity(each, keys)), has.get(_identity(each, keys)))
                for each in kept[key]
                if _identity(each, keys) not in had or _identity(each, keys) in has
            ]
    return kept
