"""Kubernetes' protobuf bodies as plain values.  Go's typed clients send them; answers are JSON, which all of them take.

data/protobuf.json has the messages: by number the field's name, its type and a flag.  Types: ``s`` text, ``b`` bytes,
``o`` boolean, ``d`` double, ``i`` integer, else a message.  Flags: ``r`` repeated, ``m`` map, ``I`` inlined into its
parent, ``z`` no pointer in Go, so that its zero value means absent.
"""

from __future__ import annotations

import base64
import json
import os
import struct
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache
from typing import Any

MAGIC = b"k8s\0"  # apimachinery pkg/runtime/serializer/protobuf: before an Unknown
_META = "k8s.io.apimachinery.pkg.apis.meta.v1."
_OPTIONS = ("DeleteOptions", "Status", "ListOptions", "PatchOptions", "CreateOptions", "UpdateOptions")
#: Structs that Go always writes, and that mean nothing where they are empty.
_EMPTY = ("status", "resources", "strategy", "loadBalancer", "updateStrategy")
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5  # wire types
_DEPTH = 64


@cache
def _messages() -> dict[str, dict[str, tuple[str, str, str]]]:
    with open(os.path.join(os.path.dirname(__file__), "data", "protobuf.json"), "rb") as file:
        messages: dict[str, dict[str, tuple[str, str, str]]] = json.load(file)["messages"]
    return messages


def decode(body: bytes) -> dict[str, Any]:
    """An object of the API.  Raises ValueError where the body is not understood."""
    try:
        unknown = dict(_fields(body[len(MAGIC) :]))
        types = dict(_fields(unknown.get(1, b"")))
        version, kind = types.get(1, b"").decode(), types.get(2, b"").decode()
        decoded = _pruned(_message(_full(version, kind), unknown.get(2, b""), 0))
    except (IndexError, KeyError, TypeError, AttributeError, struct.error, OverflowError, RecursionError) as error:
        raise ValueError(f"not a protobuf body of Kubernetes ({type(error).__name__}: {error})") from error
    return {"apiVersion": version, "kind": kind, **decoded}


def _full(version: str, kind: str) -> str:
    if kind in _OPTIONS:
        return _META + kind
    group, _, number = version.rpartition("/")
    return f"k8s.io.api.{group.partition('.')[0] or 'core'}.{number}.{kind}"


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, at
        if shift > 63:
            raise ValueError("a number of more than 64 bits")


def _fields(data: bytes) -> Iterator[tuple[int, Any]]:
    """The numbers and raw values of a message's fields."""
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        number, wire = tag >> 3, tag & 7
        value: int | bytes
        if wire == _VARINT:
            value, at = _varint(data, at)
        else:
            if wire == _BYTES:
                size, at = _varint(data, at)
            elif wire in (_FIXED64, _FIXED32):
                size = 8 if wire == _FIXED64 else 4
            else:
                raise ValueError(f"wire type {wire}")
            if at + size > len(data):
                raise ValueError("the body ends early")
            value = data[at : at + size]
            at += size
        yield number, value


def _signed(value: int) -> int:
    return value - (1 << 64) if value >> 63 else value


def _scalar(kind: str, value: Any) -> Any:
    if kind == "s":
        return value.decode()
    if kind == "b":
        return base64.b64encode(value).decode()
    if kind == "o":
        return bool(value)
    return struct.unpack("<d", value)[0] if kind == "d" else _signed(value)


def _time(data: bytes, *, micro: bool) -> str | None:
    fields = dict(_fields(data))
    if not fields:
        return None
    moment = datetime.fromtimestamp(_signed(fields.get(1, 0)), UTC)
    fraction = f".{fields.get(2, 0) // 1000:06d}" if micro else ""
    return f"{moment:%Y-%m-%dT%H:%M:%S}{fraction}Z"


def _special(name: str, data: bytes) -> tuple[bool, Any]:
    """Messages that JSON writes in another way: (whether it is one, its value)."""
    short = name.rpartition(".")[2]
    if name in (f"{_META}Time", f"{_META}MicroTime"):
        return True, _time(data, micro=short == "MicroTime")
    if short == "IntOrString":
        fields = dict(_fields(data))
        return True, fields.get(3, b"").decode() if fields.get(1) else _signed(fields.get(2, 0))
    if short == "Quantity":
        return True, dict(_fields(data)).get(1, b"0").decode()
    if short in ("FieldsV1", "RawExtension", "JSON"):
        return True, json.loads(dict(_fields(data)).get(1) or b"{}")
    return False, None


def _value(kind: str, raw: Any, depth: int) -> Any:
    return _message(kind, raw, depth + 1) if "." in kind else _scalar(kind, raw)


def _message(name: str, data: bytes, depth: int) -> Any:
    if depth > _DEPTH:
        raise ValueError("nested too deeply")
    special, value = _special(name, data)
    if special:
        return value
    table = _messages()[name]
    made: dict[str, Any] = {}
    for number, raw in _fields(data):
        if str(number) not in table:
            continue  # a newer client's
        field, kind, flag = table[str(number)]
        if flag == "m":
            entry = dict(_fields(raw))
            made.setdefault(field, {})[entry.get(1, b"").decode()] = _value(kind, entry.get(2, b""), depth)
            continue
        value = _value(kind, raw, depth)
        if value is None or (flag == "z" and value in (0, False, "")):
            continue
        if flag == "I":
            made.update(value)
        elif flag == "r":
            made.setdefault(field, []).append(value)
        else:
            made[field] = value
    return made


def _pruned(value: Any) -> Any:
    """Without what Go writes and JSON's omitempty leaves out."""
    if isinstance(value, list):
        return [_pruned(each) for each in value]
    if not isinstance(value, dict):
        return value
    made = {key: _pruned(each) for key, each in value.items()}
    return {key: each for key, each in made.items() if each not in ("", None) and not (each == {} and key in _EMPTY)}
