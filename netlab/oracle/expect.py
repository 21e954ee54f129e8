"""``expect.yaml``: what a lab's author expects, read with positions.

Reading (``parse``) needs no cluster and finds every error of form; resolving (``resolve.expected``) finds the Pods that
the selectors mean.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from types import MappingProxyType
from typing import TypeVar

from netlab.errors import BadInput, Mark, Problem
from netlab.names import is_dns_label, is_dns_subdomain
from netlab.near import near
from netlab.oracle.flow import Outcome
from netlab.oracle.flows import parse_port
from netlab.oracle.reachable import PortWish
from netlab.oracle.selectors import Selector, is_label_key, is_label_value
from netlab.spec.compose import MappingNode, Node, ScalarNode, SequenceNode, compose, mark_of, pairs
from netlab.spec.scalars import is_null
from netlab.tuples import NamedTuple

T = TypeVar("T")

ALLOW, DENY = "allow", "deny"
#: ``error`` is no answer of the network, so nobody can expect it.
EXPECTABLE = (ALLOW, DENY, *(outcome.value for outcome in Outcome if outcome is not Outcome.ERROR))
_TOP = ("default", "flows", "pods", "namespaces")
_POD, _NAMESPACE = ("name", "namespace", "labels", "ports"), ("name", "labels")
_LINE = ("from", "to", "port", "size", "resolves", "expect", "why")
SIZE_MAX = 65000  # bytes, what a datagram can have


class Written(NamedTuple):
    """A selector and where it stands."""

    selector: Selector
    mark: Mark


class Line(NamedTuple):
    """One item of ``flows``.  ``port`` None: each that the target serves.

    ``size``: the bytes that must arrive, 0 where that does not matter.  ``resolves``: the DNS name that the sources look
    up; such a line has no ``to``.
    """

    sources: tuple[Written, ...]
    targets: tuple[Written, ...]
    port: PortWish | None
    expect: str
    why: str
    mark: Mark
    port_mark: Mark | None = None
    size: int = 0
    resolves: str = ""


class StandIn(NamedTuple):
    """A Pod that ``netlab test`` adds to the manifests, so that lines can name it."""

    namespace: str
    name: str
    labels: Mapping[str, str]
    ports: tuple[PortWish, ...] = ()


class Expectations(NamedTuple):
    """A whole file.  ``default`` is allow, deny, or "" where flows that are not listed do not matter.

    ``pods`` and ``namespaces`` (their labels by name) are not in the manifests.
    """

    default: str
    lines: tuple[Line, ...]
    mark: Mark
    pods: tuple[StandIn, ...] = ()
    namespaces: Mapping[str, Mapping[str, str]] = MappingProxyType({})


def parse(text: str, file: str = "expect.yaml", namespace: str = "default") -> Expectations:
    """Read a file's text; names without a namespace are meant in ``namespace``.

    Raises BadInput with every problem in it, each with its line and column.
    """
    reader = _Reader(file, namespace)
    nodes, problems = compose(text, file)
    if problems:
        raise BadInput(problems)
    nodes = [node for node in nodes if not is_null(node)]
    result = Expectations("", (), Mark(file, 1))
    if len(nodes) > 1:
        reader.wrong(nodes[1], "", "is a second document; expectations are one")
    elif nodes:
        result = reader.file_(nodes[0])
    if reader.problems:
        raise BadInput(sorted(reader.problems, key=lambda each: each.mark or Mark(file, 0)))
    return result


class _Reader:
    """Walks the nodes of one file and keeps what is wrong."""

    def __init__(self, file: str, namespace: str) -> None:
        self.file, self.namespace = file, namespace
        self.problems: list[Problem] = []

    def wrong(self, node: Node, path: str, message: str) -> None:
        self.problems.append(Problem(mark_of(node, self.file), path, message))

    def fields(self, node: Node, path: str, names: tuple[str, ...]) -> dict[str, Node]:
        """The fields of a mapping that are known and not null; each other one is a problem."""
        values: dict[str, Node] = {}
        if not isinstance(node, MappingNode):
            noun = "a list" if isinstance(node, SequenceNode) else repr(node.value)
            self.wrong(node, path, f"must be a mapping with {', '.join(names)}, not {noun}")
            return values
        for key, value in pairs(node):
            name = key.value if isinstance(key, ScalarNode) else "?"
            if name not in names:
                hint = near(name, names) or f"; known are {', '.join(names)}"
                self.wrong(key, path, f"unknown field {name!r}{hint}")
            elif name in values:
                self.wrong(key, path, f"the field {name!r} is given twice")
            elif not is_null(value):
                values[name] = value
        return values

    def file_(self, root: Node) -> Expectations:
        fields = self.fields(root, "", _TOP)
        default, lines = "", []
        if "default" in fields:
            default = self.word(fields["default"], "default", (DENY, ALLOW))
        if "flows" in fields:
            node = fields["flows"]
            if isinstance(node, SequenceNode):
                lines = [self.line(each, f"flows[{at}]") for at, each in enumerate(node.value) if not is_null(each)]
            else:
                self.wrong(node, "flows", "must be a list of {from, to, port, size, resolves, expect, why}")
        pods = tuple(self.pod(fields, path) for fields, path in self.items(fields, "pods", _POD))
        namespaces = {
            self.scalar(entry["name"], f"{path}.name", _dns_label) or "": self.labels(entry, path)
            for entry, path in self.items(fields, "namespaces", _NAMESPACE)
        }
        return Expectations(default, tuple(lines), mark_of(root, self.file), pods, namespaces)

    def items(
        self, fields: Mapping[str, Node], name: str, names: tuple[str, ...]
    ) -> Iterator[tuple[dict[str, Node], str]]:
        """The fields of each item of a list, which must have a name, and the item's path."""
        node = fields.get(name)
        if node is not None and not isinstance(node, SequenceNode):
            self.wrong(node, name, f"must be a list of {{{', '.join(names)}}}")
        for at, item in enumerate(node.value if isinstance(node, SequenceNode) else ()):
            path = f"{name}[{at}]"
            entry = self.fields(item, path, names)
            if "name" in entry:
                yield entry, path
            elif isinstance(item, MappingNode):
                self.wrong(item, path, "lacks name")

    def pod(self, fields: dict[str, Node], path: str) -> StandIn:
        name = self.scalar(fields["name"], f"{path}.name", _dns_label) or ""
        namespace = self.scalar(fields["namespace"], f"{path}.namespace", _dns_label) if "namespace" in fields else ""
        node = fields.get("ports")
        ports: list[PortWish | None] = []
        if isinstance(node, SequenceNode):
            ports = [self.scalar(each, f"{path}.ports[{at}]", parse_port) for at, each in enumerate(node.value)]
        elif node is not None:
            self.wrong(node, f"{path}.ports", "must be a list of ports")
        numbers = tuple(port for port in ports if port is not None)
        return StandIn(namespace or "", name, self.labels(fields, path), numbers)

    def labels(self, fields: Mapping[str, Node], path: str) -> dict[str, str]:
        """``labels`` as a mapping of texts."""
        node = fields.get("labels")
        if node is None:
            return {}
        if not isinstance(node, MappingNode):
            self.wrong(node, f"{path}.labels", "must be a mapping of label keys to values")
            return {}
        labels = {
            self.scalar(key, f"{path}.labels", _label_key): self.scalar(value, f"{path}.labels", _label_value)
            for key, value in pairs(node)
        }
        return {key: value or "" for key, value in labels.items() if key}

    def line(self, node: Node, path: str) -> Line:
        before = len(self.problems)
        fields = self.fields(node, path, _LINE)
        needed = ("from", "expect") if "resolves" in fields else ("from", "to", "expect")
        missing = [name for name in needed if name not in fields]
        if missing and len(self.problems) == before:
            self.wrong(node, path, f"lacks {' and '.join(missing)}")
        expect = self.word(fields["expect"], f"{path}.expect", EXPECTABLE) if "expect" in fields else ALLOW
        port = self.scalar(fields["port"], f"{path}.port", parse_port) if "port" in fields else None
        why = (self.scalar(fields["why"], f"{path}.why", str) or "") if "why" in fields else ""
        sources = self.selectors(fields.get("from"), f"{path}.from")
        targets = self.selectors(fields.get("to"), f"{path}.to")
        port_mark = mark_of(fields["port"], self.file) if "port" in fields else None
        size = (self.scalar(fields["size"], f"{path}.size", _size) or 0) if "size" in fields else 0
        if size and port and port.protocol == "SCTP":
            self.wrong(fields["size"], f"{path}.size", "is of TCP and UDP alone")
        resolves = (self.scalar(fields["resolves"], f"{path}.resolves", _name) or "") if "resolves" in fields else ""
        for name in ("to", "port", "size"):
            if resolves and name in fields:
                self.wrong(fields[name], f"{path}.{name}", "a line with resolves sends nothing but the query")
        return Line(sources, targets, port, expect, why, mark_of(node, self.file), port_mark, size, resolves)

    def selectors(self, node: Node | None, path: str) -> tuple[Written, ...]:
        if node is None:
            return ()
        if isinstance(node, SequenceNode):
            if not node.value:
                self.wrong(node, path, "is an empty list, which names nothing")
            each = [(item, f"{path}[{at}]") for at, item in enumerate(node.value)]
        else:
            each = [(node, path)]
        selectors = []
        for item, where in each:
            selector = self.scalar(item, where, partial(Selector.parse, namespace=self.namespace))
            if selector is not None:
                selectors.append(Written(selector, mark_of(item, self.file)))
        return tuple(selectors)

    def word(self, node: Node, path: str, words: tuple[str, ...]) -> str:
        def one_of(text: str) -> str:
            if text not in words:
                raise ValueError(f"{text!r} is not one of {', '.join(words)}{near(text.lower(), words)}")
            return text

        return self.scalar(node, path, one_of) or words[0]

    def scalar(self, node: Node, path: str, read: Callable[[str], T]) -> T | None:
        """A text's value by ``read``, whose ValueError is the problem; numbers are taken as they are written."""
        if not isinstance(node, ScalarNode) or is_null(node):
            noun = (
                "null" if isinstance(node, ScalarNode) else "a list" if isinstance(node, SequenceNode) else "a mapping"
            )
            self.wrong(node, path, f"must be a text, not {noun}")
            return None
        try:
            return read(node.value)
        except ValueError as error:
            self.wrong(node, path, str(error))
            return None


def _dns_label(text: str) -> str:
    if not is_dns_label(text):
        raise ValueError(f"{text!r} is no name: a DNS label of at most 63 characters")
    return text


def _label_key(text: str) -> str:
    if not is_label_key(text):
        raise ValueError(f"{text!r} is no label's key")
    return text


def _label_value(text: str) -> str:
    if not is_label_value(text):
        raise ValueError(f"{text!r} is no label's value")
    return text


def _size(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(SIZE_MAX)) and 1 <= int(text) <= SIZE_MAX):
        raise ValueError(f"{text!r} is no size: a number of bytes from 1 to {SIZE_MAX:,}")
    return int(text)


def _name(text: str) -> str:
    if not is_dns_subdomain(text.removesuffix(".")):
        raise ValueError(f"{text!r} is no DNS name, such as web.shop or web.shop.svc.cluster.local")
    return text
