"""The checker: composed YAML and a schema in, plain values and problems out.

One walk does it all: nulls fall away, scalars are resolved, types, names, ranges and unknown fields are checked, every
problem with the place and the path, and none stops the walk.  After an object of a definition is found good, the
cross-field rules of that definition (rules.py) are asked.

Kubernetes takes the zero value for absent in every optional field that is no pointer in Go, and clients and charts
write such fields (``hostPort: 0``); so does this, but for the Lab's own fields.  Of the rest, an empty text is absent in
every field that is an address, a name or one of a few words.
"""

from __future__ import annotations

import math
from typing import Any

from netlab.errors import Problem
from netlab.near import closest, meant
from netlab.spec import scalars
from netlab.spec.compose import MAP, MappingNode, Node, ScalarNode, SequenceNode, locate, mark_of, pairs
from netlab.spec.documents import Warning
from netlab.spec.formats import FORMATS, UNITS, shown
from netlab.spec.rules import RULES
from netlab.spec.scalars import PLAIN
from netlab.spec.schema import Schema, Schemas

#: A path that is only put into words when there is something to say: (the path before, the step).
Path = tuple[Any, "str | int"] | None


class _Absent:
    """Null, or an empty text that means the same."""


class _Bad:
    """A value that has a problem: there, but not to be looked at again."""


ABSENT, BAD = _Absent(), _Bad()

_WANTED = {
    "string": "a string",
    "integer": "an integer",
    "number": "a number",
    "boolean": "true or false",
    "object": "a mapping",
    "array": "a list",
}
_LIMITS = {"int32": (-(2**31), 2**31 - 1), "int64": (-(2**63), 2**63 - 1)}


def _is_zero(node: Node, types: str | list[str]) -> bool:
    """Whether a value of one of these types is Go's zero: 0, an empty text, list or map."""
    if not isinstance(node, ScalarNode):
        return not node.value and types == ("array" if isinstance(node, SequenceNode) else "object")
    if not node.value:
        return node.tag != PLAIN and "string" in types
    return node.value == "0" and node.tag == PLAIN and ("integer" in types or "number" in types)


def spelled(path: Path) -> str:
    """``spec.containers[0].name``; a step that has a dot or the like is put in brackets."""
    steps: list[str | int] = []
    while path is not None:
        path, step = path
        steps.append(step)
    out = ""
    for step in reversed(steps):
        if isinstance(step, int):
            out += f"[{step}]"
        elif step.replace("-", "").replace("_", "").isalnum():
            out += f".{step}" if out else step
        else:
            out += f"[{shown(step)}]"
    return out


class Checker:
    """Checks the objects of one file; what it finds gathers in ``problems`` and ``warnings``."""

    def __init__(self, schemas: Schemas, file: str) -> None:
        self.defs = schemas.defs
        self.omitted = schemas.omitted
        self.file = file
        self.problems: list[Problem] = []
        self.warnings: list[Warning] = []
        self.empty_is_absent = True

    def check(self, node: Node, definition: str) -> Any:
        """The plain value of an object, which is trustworthy if no problem was added."""
        self.empty_is_absent = not definition.startswith("Lab")
        return self._value(node, {"$ref": f"#/$defs/{definition}"}, None)

    def problem(self, node: Node, path: Path, message: str) -> _Bad:
        self.problems.append(Problem(mark_of(node, self.file), spelled(path), message))
        return BAD

    # -- by the sort of node --------------------------------------------------------------------------------------

    def _value(self, node: Node, schema: Schema, path: Path) -> Any:
        name = ""
        while "$ref" in schema:
            name = schema["$ref"][8:]
            schema = self.defs[name]
        if isinstance(node, ScalarNode):
            return self._scalar(node, schema, path)
        wanted = schema.get("type")
        if isinstance(node, MappingNode):
            if "mapping" in schema:  # a word, or a mapping in its place
                return self._value(node, schema["mapping"], path)
            if wanted is not None and wanted != "object":
                return self.problem(node, path, f"must be {self._wants(schema)}, not a mapping")
            return self._mapping(node, schema, path, name)
        assert isinstance(node, SequenceNode)
        if wanted is not None and wanted != "array":
            return self.problem(node, path, f"must be {self._wants(schema)}, not a list")
        return self._list(node, schema, path)

    def _mapping(self, node: MappingNode, schema: Schema, path: Path, name: str) -> Any:
        before = len(self.problems)
        fields = schema.get("properties")
        others = schema.get("additionalProperties", {})
        key_format = schema.get("propertyNames", {}).get("format")
        out: dict[str, Any] = {}
        seen: dict[str, Node] = {}
        there: set[str] = set()
        omitted = self.omitted.get(name, frozenset())
        meant: set[str] = set()  # fields that an unknown one probably is: one mistake, one problem
        for key_node, value_node in pairs(node):
            if not isinstance(key_node, ScalarNode) or scalars.is_null(key_node):
                noun = "null" if isinstance(key_node, ScalarNode) else "a list or a mapping"
                self.problem(key_node, path, f"a key must be a string, not {noun}")
                continue
            key = key_node.value
            if key in seen:
                message = f"is written twice, first in line {seen[key].start_mark.line + 1}"
                if path is None and key == "apiVersion":
                    message += "; where two objects meet, a line --- is missing"
                self.problem(key_node, (path, key), message)
                continue
            seen[key] = key_node
            inner = fields.get(key) if fields is not None else None
            if inner is None:
                if others is False:
                    meant.add(self._unknown(key_node, key, fields or {}, path))
                    continue
                inner = others
                if key_format:
                    try:
                        FORMATS[key_format](key)
                    except ValueError as error:
                        self.problem(key_node, path, str(error))
                        continue
            if key in omitted and _is_zero(value_node, inner["type"]):
                continue
            value = self._value(value_node, inner, (path, key))
            if value is ABSENT:
                continue
            there.add(key)
            if value is not BAD:
                out[key] = value
        for key in schema.get("required", ()):
            if key not in there and key not in meant:
                message = "is required" + (f", and what is there ({self._raw(seen[key], node)}) means absent"
                                        if key in seen else "")  # fmt: skip
                self.problem(seen.get(key, node), (path, key), message)
        rule = RULES.get(name)
        if rule is not None and len(self.problems) == before:
            for where, message in rule(out):
                self.problem(locate(node, where), self._extended(path, where), message)
        return out

    @staticmethod
    def _raw(key_node: Node, node: MappingNode) -> str:
        value = next(value for key, value in pairs(node) if key is key_node)
        return (value.value or '""') if isinstance(value, ScalarNode) and value.tag != PLAIN else "null"

    @staticmethod
    def _extended(path: Path, steps: tuple[str | int, ...]) -> Path:
        for step in steps:
            path = (path, step)
        return path

    def _unknown(self, node: Node, key: str, fields: Schema, path: Path) -> str:
        guess = closest(key, fields)
        if guess:
            hint = meant(guess)
        elif 0 < len(fields) <= 12:
            hint = f" (known here: {', '.join(sorted(fields))})"
        else:
            hint = ""
        self.problem(node, (path, key), f"unknown field{hint}")
        return guess

    def _list(self, node: SequenceNode, schema: Schema, path: Path) -> Any:
        inner = schema.get("items", {})
        out: list[Any] = []
        node.value[:] = self._items(node, inner)
        for item in node.value:
            value = self._value(item, inner, (path, len(out)))
            if value is ABSENT:
                value = self.problem(item, (path, len(out)), "must not be empty")
            out.append(value)
        if len(out) < schema.get("minItems", 0):
            return self.problem(node, path, f"must have at least {_counted(schema['minItems'])}")
        if len(out) > schema.get("maxItems", math.inf):
            return self.problem(node, path, f"has {len(out)} items, at most {schema['maxItems']} are allowed")
        if schema.get("uniqueItems") and len({repr(each) for each in out}) < len(out):
            return self.problem(node, path, "has an item twice")
        return out

    def _items(self, node: SequenceNode, schema: Schema) -> list[Node]:
        """The items without nulls, so that an index in the body is one in the text.

        Where an empty mapping is a value of its own, null is that: Go decodes ``ingress: [null]`` as an empty struct, a
        rule that admits everything.
        """
        if not any(map(scalars.is_null, node.value)):
            return list(node.value)
        schema = self.defs[schema["$ref"][8:]] if "$ref" in schema else schema
        kept = "properties" in schema and not schema.get("required") and self.empty_is_absent
        return [
            MappingNode(MAP, [], item.start_mark, item.end_mark, flow_style=True) if scalars.is_null(item) else item
            for item in node.value
            if kept or not scalars.is_null(item)
        ]

    # -- scalars ----------------------------------------------------------------------------------------------------

    def _scalar(self, node: ScalarNode, schema: Schema, path: Path) -> Any:
        try:
            value = scalars.value(node)
        except ValueError as error:
            return self.problem(node, path, str(error))
        if value is None:
            return ABSENT
        wanted = schema.get("type")
        if wanted is None:
            return value
        types = (wanted,) if isinstance(wanted, str) else wanted
        if isinstance(value, str):
            if "string" in types:
                return self._text(node, value, schema, path)
            if "boolean" in types and node.tag == PLAIN and scalars.as_boolean(value) is not None:
                return scalars.as_boolean(value)
        elif isinstance(value, bool):
            if "boolean" in types:
                return value
        elif schema.get("format") in UNITS:
            return self._text(node, node.value, schema, path)
        elif "number" in types:
            return value
        elif "integer" in types and value == int(value):
            return self._integer(node, int(value), schema, path)
        return self.problem(
            node,
            path,
            f"must be {self._wants(schema)}, not {self._given(node, value, () if 'enum' in schema else types)}",
        )

    def _text(self, node: ScalarNode, value: str, schema: Schema, path: Path) -> Any:
        form, allowed = schema.get("format"), schema.get("enum")
        if "\0" in value:  # the API takes it; arguments, variables and names of files end there
            return self.problem(node, path, f"{shown(value)} must not hold the character NUL")
        may_be_empty = form == "label-value" or schema.get("minLength")  # then it means itself, or is wrong
        if not value and self.empty_is_absent and (form or allowed) and not may_be_empty:
            return ABSENT
        if allowed and value not in allowed:
            hint = meant(closest(value, allowed))
            return self.problem(node, path, f"must be {_one_of(allowed)}, not {shown(value)}{hint}")
        if len(value) > schema.get("maxLength", math.inf):
            message = f"{shown(value)} is too long: {len(value)} characters, at most {schema['maxLength']} are allowed"
            return self.problem(node, path, message)
        if form in FORMATS:
            try:
                kept = FORMATS[form](value)
            except ValueError as error:
                return self.problem(node, path, str(error))
            if kept is not value and kept != value.strip():
                message = f"{spelled(path)}: {shown(value)} has bits set after its prefix and is read as {kept}"
                self.warnings.append(Warning("host-bits", message, mark_of(node, self.file)))
            return kept
        return value

    def _integer(self, node: ScalarNode, value: int, schema: Schema, path: Path) -> Any:
        least, most = _LIMITS.get(schema.get("format", "int64"), _LIMITS["int64"])
        low, high = schema.get("minimum", least), schema.get("maximum", most)
        if not low <= value <= high:
            bounds = f"at least {low}" if value < low and "maximum" not in schema else f"from {low} to {high}"
            return self.problem(node, path, f"must be {bounds}, not {shown(node.value)[1:-1]}")
        return value

    def _wants(self, schema: Schema) -> str:
        types = schema["type"]
        if isinstance(types, str) and "enum" in schema:
            return _one_of(schema["enum"])
        return " or ".join(_WANTED[each] for each in ((types,) if isinstance(types, str) else types))

    @staticmethod
    def _given(node: ScalarNode, value: Any, types: Any) -> str:
        raw: str = node.value
        if isinstance(value, bool):
            return raw + (f' (write "{raw}" in quotes)' if "string" in types else "")
        if isinstance(value, str):
            quoted = node.tag != PLAIN or node.style is not None
            meant = scalars.plain(raw)
            number = isinstance(meant, int | float) and quoted
            fits = number and isinstance(meant, bool) == ("boolean" in types) and {"array", "object"}.isdisjoint(types)
            return f"the string {shown(raw)}" + (f" (write {raw} without quotes)" if fits else "")
        return f"the number {raw}" + (f' (write "{raw}" in quotes)' if "string" in types else "")


def _one_of(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"


def _counted(number: int) -> str:
    return "one item" if number == 1 else f"{number} items"
