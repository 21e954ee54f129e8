"""Plain data as JSON has it, and the frozen dataclasses and named tuples that are kept in files or printed: there and back.

A document is a dataclass that a verb prints with ``-o json``; ``schema`` makes the JSON Schema of its type.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, field, fields, is_dataclass
from functools import cache
from typing import Any, Literal, TypeVar, Union, cast, dataclass_transform, get_args, get_origin, get_type_hints

from netlab.values import dataclass

T = TypeVar("T")
_Reader = Callable[[Any], Any]
_TYPES = {str: "string", int: "integer", float: "number", bool: "boolean", types.NoneType: "null"}


@dataclass_transform(kw_only_default=True, frozen_default=True)
def document(kind: type[T]) -> type[T]:
    """Make a class a document: a frozen dataclass, whose field ``from_`` is the key ``from``."""
    return dataclass(frozen=True, kw_only=True)(kind)


def optional(default: Any) -> Any:
    """A field that a document leaves out where it has this default."""
    return field(default=default, metadata={"optional": True})


@cache
def _keys(kind: type) -> tuple[tuple[str, str, Any], ...]:
    """The fields of a dataclass, their keys, and the values with which they are left out; none of another type."""
    described = fields(kind) if is_dataclass(kind) else ()
    return tuple((each.name, _key(each), each.default if each.metadata else MISSING) for each in described)


def _key(each: Field[Any]) -> str:
    return each.name.removesuffix("_")


def dump(value: Any) -> Any:
    """A value as dicts, lists and scalars: a dataclass becomes a dict, a named tuple a list, bytes hexadecimal."""
    kind = type(value)
    if kind in _TYPES:
        return value
    if keys := _keys(kind):  # type: ignore[arg-type]
        values = [(key, getattr(value, name), default) for name, key, default in keys]
        return {key: dump(each) for key, each, default in values if default is MISSING or each != default}
    if isinstance(value, Mapping):
        return {key: dump(each) for key, each in value.items()}
    if isinstance(value, bytes):
        return value.hex()
    return [dump(each) for each in value] if isinstance(value, (tuple, list)) else value


def load(kind: Callable[..., T], data: Any) -> T:
    """The inverse of ``dump``; fields that are not there have their defaults.

    Raises ValueError where any part of the data is not of the type that its annotation says.
    """
    return cast("T", _reader(kind)(data))


@cache
def _reader(kind: Any) -> _Reader:
    """The function that makes a value of that type from plain data."""
    origin, inner = get_origin(kind), get_args(kind)
    if kind is Any:
        return lambda data: data
    if kind is bytes:
        text = _scalar(str)
        return lambda data: bytes.fromhex(text(data))
    if origin is Literal:
        return _scalar(*{type(value) for value in inner})
    if origin in (Union, types.UnionType):
        return _either(inner)
    if origin is tuple:
        return _list(_reader(inner[0])) if inner[-1] is Ellipsis else _row(tuple, [_reader(item) for item in inner])
    if origin is list:
        several = _list(_reader(inner[0]))
        return lambda data: list(several(data))
    if origin is not None and issubclass(origin, Mapping):
        return _dict(_reader(inner[1]))
    if is_dataclass(kind):
        hints = get_type_hints(kind)
        return _object(kind, {_key(each): (each.name, _reader(hints[each.name])) for each in fields(kind)})
    if issubclass(kind, tuple):
        return _row(lambda values: kind(*values), [_reader(hint) for hint in get_type_hints(kind).values()])
    return _scalar(kind)


def _scalar(*kinds: type) -> _Reader:
    wanted = (*kinds, int) if float in kinds else kinds

    def read(data: Any) -> Any:
        # A bool is an int to Python, and is none here.
        if not isinstance(data, wanted) or (isinstance(data, bool) and bool not in kinds):
            raise ValueError(f"{str(data)[:40]!r} is no {' or '.join(kind.__name__ for kind in kinds)}")
        return data

    return read


def _either(kinds: tuple[Any, ...]) -> _Reader:
    if all(kind in _TYPES for kind in kinds):
        return _scalar(*kinds)
    (kind,) = (kind for kind in kinds if kind is not types.NoneType)
    # Found at the first value: a type may contain itself.
    return lambda data: None if data is None else _reader(kind)(data)


def _list(each: _Reader) -> _Reader:
    check = _scalar(list)
    return lambda data: tuple(map(each, check(data)))


def _row(make: Callable[[Any], Any], readers: list[_Reader]) -> _Reader:
    check = _scalar(list)
    return lambda data: make(tuple(read(item) for read, item in zip(readers, check(data), strict=True)))


def _dict(each: _Reader) -> _Reader:
    check = _scalar(dict)
    return lambda data: {key: each(value) for key, value in check(data).items()}


def _object(kind: Any, readers: Mapping[str, tuple[str, _Reader]]) -> _Reader:
    check = _scalar(dict)

    def read(data: Any) -> Any:
        # Run state of version 1 has rows.
        there = dict(zip(readers, data, strict=False)) if isinstance(data, list) else check(data)
        try:
            return kind(**{name: reader(there[key]) for key, (name, reader) in readers.items() if key in there})
        except TypeError as error:  # a field without a default is not there
            raise ValueError(str(error)) from error

    return read


def schema(kind: Any, title: str) -> dict[str, Any]:
    """The JSON Schema of what ``dump`` makes of a type's values.  A key that is not named in it is an error."""
    named: dict[str, Any] = {}
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": title, **_schema(kind, named)}
    return schema | ({"$defs": named} if named else {})


def _schema(kind: Any, named: dict[str, Any]) -> dict[str, Any]:
    """A type's schema; those of dataclasses are put among those that have a name."""
    origin, inner = get_origin(kind), get_args(kind)
    if kind is Any:
        return {}
    if origin is Literal:
        return {"enum": list(inner)}
    if origin in (Union, types.UnionType):
        return {"anyOf": [_schema(each, named) for each in inner]}
    if origin is tuple:
        return {"type": "array", "items": _schema(inner[0], named)}
    if origin is not None:
        return {"type": "object", "additionalProperties": _schema(inner[1], named)}
    if not is_dataclass(kind):
        return {"type": _TYPES[kind]}
    name = cast("type", kind).__name__
    if name not in named:
        named[name] = {}  # it may have itself as a field
        hints = get_type_hints(kind)
        named[name] |= {
            "description": kind.__doc__,
            "type": "object",
            "properties": {_key(each): _schema(hints[each.name], named) for each in fields(kind)},
            "required": [_key(each) for each in fields(kind) if not each.metadata],
            "additionalProperties": False,
        }
    return {"$ref": f"#/$defs/{name}"}
