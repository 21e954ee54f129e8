"""The forms in which objects are returned: as they are, as a table (what kubectl prints), or their metadata alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from netlab.api.resources import Resource
from netlab.cli.kinds.kind import Item

_META = "meta.k8s.io/v1"
#: An object or list, and the list's metadata.
Form = Callable[[Sequence[Item], Item, bool], Item]


def form(accept: str, resource: Resource, *, objects: bool) -> Form:
    """The form that a request's Accept header wants; ``objects``: rows of a table carry the whole objects."""
    first = accept.partition(",")[0]
    if "as=Table" in first:
        return lambda items, metadata, _: _table(resource, items, metadata, objects=objects)
    if "as=PartialObjectMetadata" in first:
        return _partial
    return lambda items, metadata, single: _plain(resource, items, metadata, single=single)


def _plain(resource: Resource, items: Sequence[Item], metadata: Item, *, single: bool) -> Item:
    if single:
        return items[0]
    name = f"{resource.name}List"
    return {"kind": name, "apiVersion": resource.api_version, "metadata": metadata, "items": list(items)}


def _partial(items: Sequence[Item], metadata: Item, single: bool) -> Item:
    made = [_metadata(item) for item in items]
    if single:
        return made[0]
    return {"kind": "PartialObjectMetadataList", "apiVersion": _META, "metadata": metadata, "items": made}


def _metadata(item: Item) -> Item:
    return {"kind": "PartialObjectMetadata", "apiVersion": _META, "metadata": item["metadata"]}


def _table(resource: Resource, items: Sequence[Item], metadata: Item, *, objects: bool) -> Item:
    columns: list[Any] = [
        {
            "name": column.head.title(),
            "type": "string",
            "format": "name" if column.head == "NAME" else "",
            "description": "",
            "priority": int(column.wide),
        }
        for column in resource.columns
    ]
    rows = [
        {
            "cells": [_cell(column.cell(_listed(item))) for column in resource.columns],
            "object": item if objects else _metadata(item),
        }
        for item in items
    ]
    return {"kind": "Table", "apiVersion": _META, "metadata": metadata, "columnDefinitions": columns, "rows": rows}


def _cell(value: object) -> object:
    return value if isinstance(value, (int, str)) else str(value)


def _listed(item: Item) -> Item:
    """The object as the columns of ``netlab get`` want it: with labels, if there are none."""
    metadata = item["metadata"]
    return item if "labels" in metadata else {**item, "metadata": {"labels": {}, **metadata}}
