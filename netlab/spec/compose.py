"""From text to composed YAML nodes, with a bound on everything that a file could make grow.

PyYAML's composer gives nodes with lines and columns; its constructors are never used, since one plain ``=`` in a kind
that nobody reads would stop them.  Plain scalars are composed with the tag ``?`` and resolved where they are read
(scalars.py), which also halves the time.

Limits: nesting 128, one million nodes a file, and one million after aliases are followed (an alias bomb is counted
over the graph, never expanded).  The parser is a stream, so none of these is reached before it is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from netlab.errors import Mark, Problem
from netlab.spec.scalars import PLAIN

__all__ = [
    "MAP",
    "MappingNode",
    "Node",
    "ScalarNode",
    "SequenceNode",
    "compose",
    "expansion",
    "locate",
    "mark_of",
    "pairs",
]

DEPTH_MAX = 128
NODES_MAX = 1_000_000

_STR, _SEQ, MAP = (f"tag:yaml.org,2002:{each}" for each in ("str", "seq", "map"))


class TooMuchError(Exception):
    """A limit of this module was passed; the message says which, ``node`` is where."""

    def __init__(self, message: str, node: Node | None) -> None:
        super().__init__(message)
        self.node = node


class _Hooks:
    """What PyYAML's composers call for each node: here they give a tag and keep count."""

    depth = 0
    nodes = 0

    def resolve(self, kind: type[Node], _value: Any, implicit: Any) -> str:
        if kind is ScalarNode:
            return PLAIN if implicit[0] else _STR
        return _SEQ if kind is SequenceNode else MAP

    def descend_resolver(self, parent: Node | None, _index: Any) -> None:
        self.depth += 1
        self.nodes += 1
        if self.depth > DEPTH_MAX:
            raise TooMuchError(f"nested more than {DEPTH_MAX} deep", parent)
        if self.nodes > NODES_MAX:
            raise TooMuchError(f"more than {NODES_MAX:,} values in one file", parent)

    def ascend_resolver(self) -> None:
        self.depth -= 1


def _loader() -> type[Any]:
    """A composer over libyaml; PyYAML's own where it was built without (ten times slower, the same nodes)."""
    try:
        from yaml.cyaml import CParser  # type: ignore[attr-defined]
    except ImportError:
        return _pure_loader()

    class Fast(_Hooks, CParser):
        pass

    return Fast


def _pure_loader() -> type[Any]:
    from yaml.composer import Composer
    from yaml.parser import Parser
    from yaml.reader import Reader
    from yaml.scanner import Scanner

    class Slow(_Hooks, Reader, Scanner, Parser, Composer):
        def __init__(self, text: str) -> None:
            Reader.__init__(self, text)
            Scanner.__init__(self)
            Parser.__init__(self)
            Composer.__init__(self)

    return Slow


LOADER = _loader()


def compose(text: str, file: str) -> tuple[list[Node], list[Problem]]:
    """The documents of a stream, and what is wrong: what stopped the reading, and documents whose aliases have no end.

    The documents before a problem are given too, so that what is wrong with them is said in the same run.  In those that
    are given every walk ends.
    """
    nodes: list[Node] = []
    problems: list[Problem] = []
    try:
        loader = LOADER(text)
        while loader.check_node():
            node = loader.get_node()
            try:
                if "&" in text:
                    expansion(node)
                nodes.append(node)
            except TooMuchError as error:
                problems.append(Problem(mark_of(error.node or node, file), "", str(error)))
    except TooMuchError as error:
        problems.append(Problem(mark_of(error.node, file) if error.node else Mark(file, 1), "", str(error)))
    except yaml.MarkedYAMLError as error:
        problems.append(_problem(error, text, file))
    except yaml.YAMLError as error:
        problems.append(Problem(Mark(file, 1), "", f"is not YAML: {' '.join(str(error).split())}"))
    return nodes, problems


def mark_of(node: Node, file: str) -> Mark:
    """Where a node starts; lines and columns from 1."""
    return Mark(file, node.start_mark.line + 1, node.start_mark.column + 1)


def pairs(node: MappingNode) -> list[tuple[Node, Node]]:
    """The keys and values of a mapping; those that merge keys (``<<``) bring come after its own, and never win.

    A merge key whose value is no mapping is left as it is, and so becomes an unknown field to whoever checks.
    """
    for key, _ in node.value:  # a plain loop: this is asked of every mapping, and next to none merges
        if key.value == "<<" and _merges(key):
            break
    else:
        own: list[tuple[Node, Node]] = node.value
        return own
    out = [(key, value) for key, value in node.value if not _merges(key)]
    keys = {key.value for key, _ in out if isinstance(key, ScalarNode)}
    for key, value in node.value:
        if not _merges(key):
            continue
        sources = value.value if isinstance(value, SequenceNode) else [value]
        if not all(isinstance(source, MappingNode) for source in sources):
            out.append((key, value))
            continue
        for source in sources:
            for inner, inner_value in pairs(source):
                if not isinstance(inner, ScalarNode):
                    out.append((inner, inner_value))
                elif inner.value not in keys:
                    keys.add(inner.value)
                    out.append((inner, inner_value))
    return out


def _merges(key: Node) -> bool:
    return isinstance(key, ScalarNode) and key.value == "<<" and key.tag == PLAIN


def locate(root: Node, path: Sequence[str | int]) -> Node:
    """The node of a path; else its nearest ancestor's.  Of a list that was checked, the null items are gone.

    A block collection under a key gives the key's node, a flow collection and a scalar their own.
    """
    here, node = root, root
    for step in path:
        if isinstance(here, MappingNode):
            value = next(
                (pair for pair in pairs(here) if pair[0].value == step and isinstance(pair[0], ScalarNode)), None
            )
            if value is None:
                break
            key, here = value
            node = key if isinstance(here, MappingNode | SequenceNode) and not here.flow_style else here
        elif isinstance(here, SequenceNode) and isinstance(step, int):
            items = here.value
            if not -len(items) <= step < len(items):
                break
            here = node = items[step]
        else:
            break
    return node


def expansion(root: Node) -> tuple[int, int]:
    """How many nodes ``root`` has after its aliases are followed, and how deep; counted, not followed.

    Raises TooMuchError where an alias stands inside what it names, or a limit is passed.
    """
    done: dict[int, tuple[int, int]] = {}
    open_: set[int] = set()
    stack: list[tuple[Node, Iterator[Node]]] = [(root, iter(_children(root)))]
    open_.add(id(root))
    while stack:
        node, rest = stack[-1]
        child = next(rest, None)
        if child is None:
            inner = [done[id(each)] for each in _children(node)]
            size = 1 + sum(each[0] for each in inner)
            depth = 1 + max((each[1] for each in inner), default=0)
            if size > NODES_MAX:
                raise TooMuchError(f"aliases make this more than {NODES_MAX:,} values", node)
            if depth > DEPTH_MAX:
                raise TooMuchError(f"aliases nest this more than {DEPTH_MAX} deep", node)
            done[id(node)] = size, depth
            open_.discard(id(node))
            stack.pop()
        elif id(child) in open_:
            raise TooMuchError("an alias stands inside the value that it names, so it has no end", child)
        elif id(child) not in done:
            open_.add(id(child))
            stack.append((child, iter(_children(child))))
    return done[id(root)]


def _children(node: Node) -> list[Node]:
    if isinstance(node, MappingNode):
        return [each for pair in node.value for each in pair]
    return node.value if isinstance(node, SequenceNode) else []


# -- syntax errors in our own words -----------------------------------------------------------------------------------

#: What libyaml and PyYAML say -> what a reader can act on.
_WORDS = (
    (
        "mapping values are not allowed",
        'a ":" where no value can be; is this or the line before indented wrongly, or does an unquoted text hold ": "?',
    ),
    ("undefined alias", "an alias (*name) to an anchor (&name) that is nowhere before it"),
    ("duplicate anchor", "an anchor (&name) that was given before in this document"),
    ("expected ',' or ']'", 'a list "[" that is not closed, or lacks a ","'),
    ("expected ',' or '}'", 'a mapping "{" that is not closed, or lacks a ","'),
    ("could not find expected ':'", 'a key without its ":"'),
    ("unknown escape character", "an escape that YAML does not know in \"...\"; in '...' a backslash is itself"),
    (
        "did not find expected '-' indicator",
        'a line that is no "- " item beside lines that are; is it indented wrongly?',
    ),
    ("but found '?'", 'a line that is no "- " item beside lines that are; is it indented wrongly?'),
    ("did not find expected key", "a line that does not fit the mapping around it; is it indented wrongly?"),
    ("expected <block end>", "a line that does not fit what is around it; is it indented wrongly?"),
    ("block sequence entries are not allowed", 'a "- " item where no list can be; is it indented wrongly?'),
    ("incompatible YAML document", "a %YAML line of a version other than 1.1 or 1.2"),
    ("expected <document start>", 'text after the end of the document; does a "---" or an indentation lack?'),
)


def _problem(error: yaml.MarkedYAMLError, text: str, file: str) -> Problem:
    lines = re.split("\r\n|[\r\n\x85\u2028\u2029]", text)
    mark = error.problem_mark or error.context_mark
    sentence = " ".join(each for each in (error.context, error.problem) if each)
    if mark is None:
        return Problem(Mark(file, 1), "", f"is not YAML: {sentence}")
    if "unexpected end of stream" in sentence and error.context_mark:
        mark, words = error.context_mark, "a quoted text that is never closed"
    else:
        words = next((words for phrase, words in _WORDS if phrase in sentence), "")
    row = min(mark.line, len(lines) - 1)
    column = min(mark.column, len(lines[row]))
    line = lines[row]
    indentation = line[: len(line) - len(line.lstrip())]
    if "\t" in indentation and (not words or "indent" in words):
        column, words = indentation.index("\t"), "a tab; YAML indents with spaces only"
    elif "cannot start any token" in sentence and column < len(line):
        words = f"a text cannot begin with {line[column]!r} unless it is quoted"
        if line[column] == "\t":
            words = "a tab; YAML indents with spaces only"
    return Problem(Mark(file, row + 1, column + 1), "", f"is not YAML: {words or sentence}")
