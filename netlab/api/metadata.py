"""Checks of an object's metadata: of kinds that netlab only keeps, nothing else looks at it."""

from __future__ import annotations

from typing import Any

from netlab.api.resources import Resource
from netlab.api.status import Refused
from netlab.cli.kinds.kind import Item
from netlab.spec.formats import dns_subdomain

_RBAC = "rbac.authorization.k8s.io"  # names of its objects are parts of a path, and no more
_NO_PART = ("/", "%")


def check(resource: Resource, item: Item) -> None:
    """Raise Refused where the metadata has a name or a field that no API server takes."""
    metadata = item.get("metadata")
    if not isinstance(metadata, dict):
        raise _invalid(resource, "metadata", "a mapping is required")
    name = metadata.get("name")
    if not isinstance(name, str) or not name:
        raise _invalid(resource, "metadata.name", "Required value: name or generateName is required")
    if resource.group == _RBAC:
        if name in (".", "..") or any(each in name for each in _NO_PART):
            raise _invalid(resource, "metadata.name", f'{name!r} is "." or "..", or has "/" or "%"')
    else:
        try:
            dns_subdomain(name)
        except ValueError as error:
            raise _invalid(resource, "metadata.name", str(error)) from error
    for field in ("labels", "annotations"):
        if not _is_texts(metadata.get(field)):
            raise _invalid(resource, f"metadata.{field}", "a mapping of texts is required")
    for field, kind in (("finalizers", str), ("ownerReferences", dict)):
        value = metadata.get(field) or []
        if not isinstance(value, list) or not all(isinstance(each, kind) for each in value):
            raise _invalid(resource, f"metadata.{field}", "a list is required")


def _is_texts(value: Any) -> bool:
    return value is None or (isinstance(value, dict) and all(isinstance(each, str) for each in value.values()))


def _invalid(resource: Resource, field: str, why: str) -> Refused:
    return Refused(422, "Invalid", f"{resource.name} is invalid: {field}: {why}")
