"""A data plane of the user's, as its module was when it ran: its traits and all objects that it made, as text.

Only ``up``, ``apply`` and the like run the module (``runtime.planefile``).  Everything else reads what it made, from the
lab's run state: ``diff``, ``trace``, the page and the API run no code of the user's.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import fields
from enum import Enum
from functools import lru_cache
from types import MappingProxyType
from typing import Any

from netlab.planes import Plane
from netlab.tuples import NamedTuple


class RecordedPlane(NamedTuple):
    """``objects``: by what they are for (``plan.dataplanes.recorded``), each as JSON."""

    file: str
    traits: Plane
    objects: Mapping[str, tuple[str, ...]]


def written(traits: Plane, objects: Mapping[str, Iterable[str]]) -> str:
    """The plane as one text."""
    row = {field.name: _plain(getattr(traits, field.name)) for field in fields(Plane) if field.name != "agent"}
    return json.dumps({"traits": row, "objects": {key: list(each) for key, each in objects.items()}})


@lru_cache(4)
def read(plane: tuple[str, ...]) -> RecordedPlane | None:
    """The inverse of ``written``, with its file's path before it; None without either.

    Raises ValueError for what is none: run state may have been written by hand.
    """
    if len(plane) != 2 or not plane[1]:
        return None
    try:
        data = json.loads(plane[1])
        usual = Plane("", "")
        row = {name: _typed(getattr(usual, name), value) for name, value in data["traits"].items()}
        objects = {str(key): tuple(map(str, each)) for key, each in data["objects"].items()}
        return RecordedPlane(plane[0], Plane(**row), MappingProxyType(objects))
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"not a data plane's record: {error}") from error


def _plain(value: Any) -> Any:
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Mapping):
        return {str(key): each for key, each in value.items()}
    return list(value) if isinstance(value, tuple) else value


def _typed(usual: Any, value: Any) -> Any:
    """A value as the trait has it whose usual value this is."""
    if isinstance(usual, Enum):
        return type(usual)(value)
    if isinstance(usual, Mapping):
        numbers = all(isinstance(key, int) for key in usual)
        return MappingProxyType({int(key) if numbers else key: each for key, each in value.items()})
    return tuple(value) if isinstance(usual, tuple) else value
