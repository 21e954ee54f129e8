"""Documents of every kind that netlab reads, each with a field or two set to what nobody expects there.

The fields are those of netlab's own schemas, so a field that is added is mutated without a line here.
"""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Iterator
from typing import Any, NamedTuple

import through
import yaml

from netlab.spec.schema import CHECKED, Schema, schemas

Path = tuple[str | int, ...]
_DEFS = schemas().defs

#: What a field may be, as YAML: absent, null, empty, zero, negative, huge, and of every other type.
VALUES = (
    "null", "~", '""', "[]", "{}", "0", "-1", "1", "2", "65536", "2147483648", "9223372036854775808",
    "1" + "0" * 400, "1.5", ".inf", "-.inf", ".nan", "0644", "true", "no", "text", '"a b; c\\n"', '"\\e[31m"', '"\\0"',
    "[null]", "[[]]", "[{}]", "[1]", "[text]", "[text, text]", "{a: null}", "{a: b}", '{"": ""}', "{a: {b: []}}",
    "{1: 2}", "{null: null}", "{[a]: b}", "2001-12-14", "2001-12-14T21:59:43.10-05:00", "!!binary aGVsbG8=",
    "!!set {a, b}", "!!omap [a: b]", "!!python/name:os.system", "!!int x", "None", "default", '"80"', "80", "web",
    "0.0.0.0", "255.255.255.255", '"::"', "10.244.1.9", '"::ffff:10.0.0.1"', "0.0.0.0/0", "10.0.0.0/33", '"::/0"',
    "10.244.0.0/16", "../../etc/passwd", "$(A)",
)  # fmt: skip
#: Too large for every field; few fields, since a megabyte is read each time.
HUGE = (
    json.dumps("x" * 1_000_000),
    "[" + ", ".join(["a"] * 100_000) + "]",
    "[" + ", ".join(["{name: a}"] * 50_000) + "]",
    "{" + ", ".join(f"k{number}: v" for number in range(50_000)) + "}",
)
ABSENT = object()
_MARK = "\N{REPLACEMENT CHARACTER}{}"


class Case(NamedTuple):
    """A document and what was done to it."""

    kind: str
    what: str
    text: str


def bodies(kind: str) -> list[dict[str, Any]]:
    """The realistic documents of a kind, as plain values."""
    return [yaml.safe_load(text) for text in through.whole(kind)]


def fields(kind: str) -> list[Path]:
    """Every field of a kind by one path: each definition's once, and each that the realistic documents have."""
    found: dict[Path, None] = {}
    seen: set[str] = set()

    def walk(schema: Schema, path: Path, bodies: list[Any]) -> None:
        name = schema.get("$ref", "")[8:]
        if name:
            if name in seen and not bodies:
                return
            seen.add(name)
            schema = _DEFS[name]
        if path:
            found[path] = None
        for key, each in schema.get("properties", {}).items():
            walk(each, (*path, key), [body[key] for body in bodies if isinstance(body, dict) and key in body])
        for key, step in (("items", 0), ("additionalProperties", "a")):
            if isinstance(schema.get(key), dict):
                inner = [body[0] for body in bodies if isinstance(body, list) and body] if step == 0 else []
                walk(schema[key], (*path, step), inner)

    walk(_DEFS[kind], (), bodies(kind))
    return list(found)


def own_values(kind: str, path: Path) -> list[str]:
    """What the schema itself names for a field: its words, its bounds, and a body with what it requires alone."""
    schema = _schema(kind, path)
    types = schema.get("type", "string")
    out = [json.dumps(each) for each in schema.get("enum", ())]
    for bound in ("minimum", "maximum"):
        out += [str(schema[bound])] if bound in schema and "format" not in schema else []
    if types in ("object", "array"):
        out.append(json.dumps(smallest(schema)))
        if types == "array":
            out.append(json.dumps([smallest(schema["items"])] * 2))
    return out


def _schema(kind: str, path: Path) -> Schema:
    schema = _DEFS[kind]
    for step in path:
        inner = schema.get("properties", {}).get(step)
        if inner is None:
            inner = schema["items" if isinstance(step, int) else "additionalProperties"]
        schema = _DEFS[inner["$ref"][8:]] if "$ref" in inner else inner
    return schema


def smallest(schema: Schema) -> Any:
    """A value with what the schema requires, and nothing else."""
    while "$ref" in schema:
        schema = _DEFS[schema["$ref"][8:]]
    kinds = schema.get("type", "object")
    kind = kinds if isinstance(kinds, str) else kinds[0]
    if kind == "object":
        return {name: smallest(schema["properties"][name]) for name in schema.get("required", ())}
    if kind == "array":
        return [smallest(schema["items"])] * schema.get("minItems", 0)
    if kind == "string":
        return schema.get("enum", ["a"])[0]
    return False if kind == "boolean" else schema.get("minimum", 1)


def mutated(kind: str, body: dict[str, Any], changes: list[tuple[Path, str | object]]) -> Case:
    """The document with these fields set; what lies above a field is made as far as it is absent."""
    body = copy.deepcopy(body)
    texts = {}
    for number, (path, value) in enumerate(changes):
        mark = _MARK.format(number)
        if _set(kind, body, path, ABSENT if value is ABSENT else mark) and value is not ABSENT:
            texts[json.dumps(mark)] = str(value)
    text = json.dumps(body, indent=1)
    for mark, value in texts.items():
        text = text.replace(mark, value)
    said = ", ".join(f"{'.'.join(map(str, path))} = {'absent' if v is ABSENT else str(v)[:60]}" for path, v in changes)
    return Case(kind, said, text)


def _set(kind: str, body: Any, path: Path, value: object) -> bool:
    here = body
    for at, step in enumerate(path):
        last = at == len(path) - 1
        if isinstance(here, dict):
            if last and value is ABSENT:
                here.pop(step, None)
            elif last:
                here[step] = value
            else:
                here = here.setdefault(step, smallest(_schema(kind, path[: at + 1])))
        elif isinstance(here, list):
            if not here:
                here.append(smallest(_schema(kind, path[: at + 1])))
            if last and value is ABSENT:
                del here[0]
            elif last:
                here[0] = value
            else:
                here = here[0]
        else:
            return False  # another change of the same document has taken its place
    return True


def drawn(seed: int, count: int, changes: int) -> Iterator[Case]:
    """Some of them by chance, several fields at once; fields that the realistic documents have come more often."""
    rng = random.Random(seed)
    kinds = [kind for _, kind in CHECKED]
    known = {kind: (bodies(kind), fields(kind)) for kind in kinds}
    near = {kind: [path for path in paths if any(_there(body, path) for body in all_)] or paths
            for kind, (all_, paths) in known.items()}  # fmt: skip
    for _ in range(count):
        kind = rng.choice(kinds)
        wanted = []
        for _ in range(changes):
            path = rng.choice(near[kind] if rng.random() < 0.8 else known[kind][1])
            own = own_values(kind, path)
            value = rng.choice(own if own and rng.random() < 0.4 else [ABSENT, *VALUES])
            wanted.append((path, value))
        yield mutated(kind, rng.choice(known[kind][0]), wanted)


def _there(body: Any, path: Path) -> bool:
    for step in path:
        if isinstance(body, dict) and step in body:
            body = body[step]
        elif isinstance(body, list) and body and step == 0:
            body = body[0]
        else:
            return False
    return True
