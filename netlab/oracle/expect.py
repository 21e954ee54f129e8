"""``expect.yaml``: what a lab's author expects, read with positions.

Reading (``parse``) needs no cluster and finds every error of form; resolving (``resolve.expected``) finds the Pods that
the selectors mean.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeVar

from netlab.errors import BadInput, Mark, Problem
from netlab.near import near
from netlab.oracle.flow import Outcome
from netlab.oracle.flows import parse_port
from netlab.oracle.reachable import PortWish
from netlab.oracle.selectors import Selector
from netlab.spec.compose import MappingNode, Node, ScalarNode, SequenceNode, compose, mark_of, pairs
from netlab.spec.scalars import is_null

T = TypeVar("T")

ALLOW, DENY = "allow", "deny"
#: ``error`` is no answer of the network, so nobody can expect it.
EXPECTABLE = (ALLOW, DENY, *(outcome.value for outcome in Outcome if outcome is not Outcome.ERROR))
_TOP = ("default", "flows")
_LINE = ("from", "to", "port", "expect", "why")


class Written(NamedTuple):
    """A selector and where it stands."""

    selector: Selector
    mark: Mark


class Line(NamedTuple):
    """One item of ``flows``.  ``port`` None: each that the target serves."""

    sources: tuple[Written, ...]
    targets: tuple[Written, ...]
    port: PortWish | None
    expect: str
    why: str
    mark: Mark
    port_mark: Mark | None = None


class Expectations(NamedTuple):
    """A whole file.  ``default`` is allow, deny, or "" where flows that are not listed do not matter."""

    default: str
    lines: tuple[Line, ...]
    mark: Mark


def parse(text: str, file: str = "expect.yaml") -> Expectations:
    """Read a file's text.  Raises BadInput with every problem in it, each with its line and column."""
    reader = _Reader(file)
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

    def __init__(self, file: str) -> None:
        self.file = file
        self.problems: list[Problem] = []

    def wrong(self, node: Node, path: str, says: str) -> None:
        self.problems.append(Problem(mark_of(node, self.file), path, says))

    def fields(self, node: Node, path: str, known: tuple[str, ...]) -> dict[str, Node]:
        """The fields of a mapping that are known and not null; each other one is a problem."""
        found: dict[str, Node] = {}
        if not isinstance(node, MappingNode):
            what = "a list" if isinstance(node, SequenceNode) else repr(node.value)
            self.wrong(node, path, f"must be a mapping with {', '.join(known)}, not {what}")
            return found
        for key, value in pairs(node):
            name = key.value if isinstance(key, ScalarNode) else "?"
            if name not in known:
                hint = near(name, known) or f"; known are {', '.join(known)}"
                self.wrong(key, path, f"unknown field {name!r}{hint}")
            elif name in found:
                self.wrong(key, path, f"the field {name!r} is given twice")
            elif not is_null(value):
                found[name] = value
        return found

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
                self.wrong(node, "flows", "must be a list of {from, to, port, expect, why}")
        return Expectations(default, tuple(lines), mark_of(root, self.file))

    def line(self, node: Node, path: str) -> Line:
        before = len(self.problems)
        fields = self.fields(node, path, _LINE)
        missing = [name for name in ("from", "to", "expect") if name not in fields]
        if missing and len(self.problems) == before:
            self.wrong(node, path, f"lacks {' and '.join(missing)}")
        expect = self.word(fields["expect"], f"{path}.expect", EXPECTABLE) if "expect" in fields else ALLOW
        port = self.scalar(fields["port"], f"{path}.port", parse_port) if "port" in fields else None
        why = (self.scalar(fields["why"], f"{path}.why", str) or "") if "why" in fields else ""
        sources = self.selectors(fields.get("from"), f"{path}.from")
        targets = self.selectors(fields.get("to"), f"{path}.to")
        port_mark = mark_of(fields["port"], self.file) if "port" in fields else None
        return Line(sources, targets, port, expect, why, mark_of(node, self.file), port_mark)

    def selectors(self, node: Node | None, path: str) -> tuple[Written, ...]:
        if node is None:
            return ()
        if isinstance(node, SequenceNode):
            if not node.value:
                self.wrong(node, path, "is an empty list, which names nothing")
            each = [(item, f"{path}[{at}]") for at, item in enumerate(node.value)]
        else:
            each = [(node, path)]
        found = []
        for item, where in each:
            selector = self.scalar(item, where, Selector.parse)
            if selector is not None:
                found.append(Written(selector, mark_of(item, self.file)))
        return tuple(found)

    def word(self, node: Node, path: str, known: tuple[str, ...]) -> str:
        def one_of(text: str) -> str:
            if text not in known:
                raise ValueError(f"{text!r} is none of {', '.join(known)}{near(text.lower(), known)}")
            return text

        return self.scalar(node, path, one_of) or known[0]

    def scalar(self, node: Node, path: str, read: Callable[[str], T]) -> T | None:
        """A text's value by ``read``, whose ValueError is the problem; numbers are taken as they are written."""
        if not isinstance(node, ScalarNode) or is_null(node):
            what = (
                "null" if isinstance(node, ScalarNode) else "a list" if isinstance(node, SequenceNode) else "a mapping"
            )
            self.wrong(node, path, f"must be a text, not {what}")
            return None
        try:
            return read(node.value)
        except ValueError as error:
            self.wrong(node, path, str(error))
            return None
