"""Plain data as JSON has it, and the frozen dataclasses and named tuples that are kept in files: there and back."""

from __future__ import annotations

import types
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any, TypeVar, Union, cast, get_args, get_origin, get_type_hints

T = TypeVar("T")
_Reader = Callable[[Any], Any]


def dump(value: Any) -> Any:
    """A value as dicts, lists and scalars: a dataclass becomes a dict, a named tuple a list."""
    if is_dataclass(value):
        return {one.name: dump(getattr(value, one.name)) for one in fields(value)}
    if isinstance(value, Mapping):
        return {key: dump(each) for key, each in value.items()}
    return [dump(each) for each in value] if isinstance(value, (tuple, list)) else value


def load(kind: Callable[..., T], data: Any) -> T:
    """The inverse of ``dump``; fields that are not there have their defaults.

    Raises ValueError where any part of the data is not of the type that its annotation says.
    """
    return cast("T", _reader(kind)(data))


@cache
def _reader(kind: Any) -> _Reader:
    """What makes a value of that type of plain data."""
    origin, inner = get_origin(kind), get_args(kind)
    if kind is Any:
        return lambda data: data
    if origin in (Union, types.UnionType):
        return _scalar(*inner)
    if origin is tuple:
        return _list(_reader(inner[0])) if inner[-1] is Ellipsis else _row(tuple, [_reader(one) for one in inner])
    if origin is not None and issubclass(origin, Mapping):
        return _dict(_reader(inner[1]))
    if is_dataclass(kind):
        hints = get_type_hints(kind)
        return _object(kind, {one.name: _reader(hints[one.name]) for one in fields(kind)})
    if issubclass(kind, tuple):
        return _row(lambda values: kind(*values), [_reader(one) for one in get_type_hints(kind).values()])
    return _scalar(kind)


def _scalar(*kinds: type) -> _Reader:
    wanted = (*kinds, int) if float in kinds else kinds

    def read(data: Any) -> Any:
        # A bool is an int to Python, and is none here.
        if not isinstance(data, wanted) or (isinstance(data, bool) and bool not in kinds):
            raise ValueError(f"{str(data)[:40]!r} is no {' or '.join(kind.__name__ for kind in kinds)}")
        return data

    return read


def _list(each: _Reader) -> _Reader:
    check = _scalar(list)
    return lambda data: tuple(map(each, check(data)))


def _row(make: Callable[[Any], Any], readers: list[_Reader]) -> _Reader:
    check = _scalar(list)
    return lambda data: make(tuple(read(one) for read, one in zip(readers, check(data), strict=True)))


def _dict(each: _Reader) -> _Reader:
    check = _scalar(dict)
    return lambda data: {key: each(one) for key, one in check(data).items()}


def _object(kind: Any, readers: Mapping[str, _Reader]) -> _Reader:
    check = _scalar(dict)

    def read(data: Any) -> Any:
        # Run state of version 1 has rows.
        there = dict(zip(readers, data, strict=False)) if isinstance(data, list) else check(data)
        try:
            return kind(**{name: reader(there[name]) for name, reader in readers.items() if name in there})
        except TypeError as error:  # a field without a default is not there
            raise ValueError(str(error)) from error

    return read
