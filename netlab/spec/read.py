"""From composed documents to Documents: lists flattened, kinds told apart, duplicates found.

Of an object that cannot matter only apiVersion, kind and name are looked at, and what ``references`` and ``settings``
read of it; its nodes are never made into values.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from types import MappingProxyType
from typing import Any

from netlab.errors import Mark, Problem
from netlab.spec import kinds, oldversions, scalars
from netlab.spec.check import Checker
from netlab.spec.compose import (
    MappingNode,
    Node,
    ScalarNode,
    SequenceNode,
    compose,
    mark_of,
    pairs,
)
from netlab.spec.customkinds import FILTERS, MAKES_PODS, ROUTES
from netlab.spec.documents import Document, Documents, Warning
from netlab.spec.formats import shown
from netlab.spec.hooks import is_hook, left_out, no_hook, note
from netlab.spec.kinds import Fate
from netlab.spec.references import Reference, api_targets, references
from netlab.spec.schema import schemas
from netlab.spec.settings import Settings
from netlab.spec.text import unprintable

_Fields = dict[str, tuple[Node, Node]]

#: What an object that is not modelled would do -> the code of its warning.
_CODES = {FILTERS: "not-modelled-filter", ROUTES: "not-modelled-route", MAKES_PODS: "not-modelled-pods"}


class Reader:
    """Takes files one after the other, then gives the Documents of them all.

    ``hooks``: Helm hooks are taken as any other object.
    """

    def __init__(self, *, hooks: bool = False) -> None:
        self._hooks = hooks
        self._labs: list[Document] = []
        self._objects: dict[tuple[str, str, str, str], Document] = {}
        self._problems: list[Problem] = []
        self._warnings: list[Warning] = []
        self._references: list[Reference] = []
        self._settings: dict[tuple[str, str], Settings] = {}
        self._skipped: Counter[str] = Counter()
        self._unknown: dict[tuple[str, str], list[Mark]] = {}
        self._old: list[oldversions.Old] = []
        self._sources: list[str] = []
        self._seen_any = False

    def add_problem(self, problem: Problem) -> None:
        """Notes a file that could not be made into text."""
        self._seen_any = True
        self._problems.append(problem)

    def add_source(self, file: str) -> None:
        """Notes a file as read; the order is that of the problems."""
        self._sources.append(file)

    def add_text(self, text: str, file: str, namespace: str = "default") -> None:
        """Reads one stream of documents; objects that name no namespace are in ``namespace``."""
        self._namespace = namespace
        bad = unprintable(text, file)
        if bad is not None:
            self.add_problem(bad)
            return
        nodes, unread = compose(text, file)
        checker = Checker(schemas(), file)
        for node in nodes:
            if not scalars.is_null(node):
                self._seen_any = True
                self._object(node, checker, ("", ""))
        problems = [*checker.problems, *unread]
        self._problems += _unrendered(text, problems) or problems
        self._warnings += checker.warnings
        self._seen_any = self._seen_any or bool(unread)

    def documents(self) -> Documents:
        """Everything so far; problems and warnings in the order of the files and lines."""
        if not self._seen_any:
            mark = Mark(self._sources[0], 1) if self._sources else None
            more = f" and in {len(self._sources) - 1} more" if len(self._sources) > 1 else ""
            self._problems.append(Problem(mark, "", f"nothing in it{more}: no document that says anything"))
        for (version, kind), marks in self._unknown.items():
            count = f", {len(marks)} objects" if len(marks) > 1 else ""
            message = (
                f"{kind} ({version}{count}) is a kind that netlab does not know: if it makes Pods, routes or filters "
                "traffic, that is missing from the lab"
            )
            self._warnings.append(Warning("not-modelled", message, marks[0], kind))
        hooks = [obj for obj in self._objects.values() if is_hook(obj)]
        if hooks:
            self._warnings.append(note(hooks))
        if self._old:
            self._warnings.append(oldversions.warning(self._old))
        order = {file: index for index, file in enumerate(self._sources)}

        def position(mark: Mark | None) -> tuple[int, int, int]:
            return (order.get(mark.file, -1), mark.line, mark.column) if mark else (-1, 0, 0)

        for extra in self._labs[1:]:
            message = (
                f"a second Lab: {self._labs[0].name} in {self._labs[0].mark} is one already, and files make one lab"
            )
            self._problems.append(Problem(extra.mark, "", message))
        return Documents(
            lab=self._labs[0] if self._labs else None,
            objects=tuple(obj for obj in self._objects.values() if not left_out(obj)),
            references=tuple(self._references),
            settings=tuple(self._settings.values()),
            left_out=tuple(hook for hook in hooks if left_out(hook)),
            problems=tuple(sorted(self._problems, key=lambda each: position(each.mark))),
            warnings=tuple(sorted(self._warnings, key=lambda each: position(each.mark))),
            skipped=MappingProxyType(dict(sorted(self._skipped.items()))),
            sources=tuple(self._sources),
        )

    # -- one object -----------------------------------------------------------------------------------------------

    def _object(self, node: Node, checker: Checker, inherited: tuple[str, str], in_list: bool = False) -> None:
        if not isinstance(node, MappingNode):
            noun = "list" if isinstance(node, SequenceNode) else "text"
            advice = "; begin each of its items as a document, after a line ---" if noun == "list" else ""
            checker.problem(node, None, f"must be an object with apiVersion and kind, not a {noun}{advice}")
            return
        fields = _fields(node)
        version = self._word(node, fields, "apiVersion", checker, inherited[0])
        kind = self._word(node, fields, "kind", checker, inherited[1])
        if not version or not kind:
            return
        if self._list(node, fields, version, kind, checker, in_list):
            return
        old = oldversions.old(version, kind, mark_of(node, checker.file))
        if old is not None:
            self._old.append(old)
            if kinds.ruling(old.now, kind).fate is Fate.USED:
                node, version = oldversions.today(node, version, kind), old.now
        fate, message, field = kinds.ruling(version, kind)
        if fate is Fate.USED:
            self._used(node, version, kind, checker)
        elif fate is Fate.SKIPPED:
            self._skipped[kind] += 1
            self._skip(node, version.rpartition("/")[0], kind, fields, checker.file)
        elif fate is Fate.NOT_MODELLED:
            name = _name(fields)
            full = f"{kind} {name}" if name else kind
            self._not_modelled(node, full, message, checker)
            group, namespace = version.rpartition("/")[0], name.rpartition("/")[0]
            self._references += references(group, kind, full, namespace, node, checker.file)
        elif fate is Fate.UNKNOWN:
            self._unknown.setdefault((version, kind), []).append(mark_of(node, checker.file))
        else:
            checker.problem(fields[field][1] if field in fields else node, (None, field), message)

    def _skip(self, node: Node, group: str, kind: str, fields: _Fields, file: str) -> None:
        """Notes what is looked at of an object that cannot matter itself."""
        namespace, _, name = _name(fields).rpartition("/")
        if (group, kind) == ("", "ConfigMap"):
            namespace = namespace or self._namespace
            self._settings[namespace, name] = Settings(namespace, name, file, node)
        self._references += api_targets(group, kind, f"{kind} {name}", node, file)

    def _not_modelled(self, node: Node, full: str, message: str, checker: Checker) -> None:
        code = _CODES.get(message, "not-modelled")
        self._warnings.append(Warning(code, f"{full} is not modelled: {message}", mark_of(node, checker.file), full))

    @staticmethod
    def _word(node: Node, fields: _Fields, field: str, checker: Checker, inherited: str) -> str:
        """apiVersion or kind; empty where it is missing or no text, which then is a problem."""
        _, value = fields.get(field, (None, None))
        if value is None or scalars.is_null(value):
            if not inherited:
                example = "apps/v1" if field == "apiVersion" else "Deployment"
                options = shown(", ".join(fields))[1:-1]
                hint = f"; an object begins with apiVersion and kind ({field}: {example}); there is: {options}"
                checker.problem(node, (None, field), "is required" + (hint if "kind" not in fields else ""))
            return inherited
        text = scalars.plain(value.value) if isinstance(value, ScalarNode) and value.tag == scalars.PLAIN else None
        if not isinstance(value, ScalarNode):
            noun = "a list" if isinstance(value, SequenceNode) else "a mapping"
            checker.problem(value, (None, field), f"must be a string, not {noun}")
            return ""
        if text is not None and not isinstance(text, str):
            checker.problem(value, (None, field), f"must be a string, not {value.value}")
            return ""
        if len(value.value) > 253 or not value.value.replace("/", "").replace(".", "").replace("-", "").isalnum():
            checker.problem(value, (None, field), f"{shown(value.value)} is no {field}")
            return ""
        return str(value.value)

    def _list(
        self, node: MappingNode, fields: _Fields, version: str, kind: str, checker: Checker, in_list: bool
    ) -> bool:
        """Flattens a list of objects (List, PodList ...); False where the object is none."""
        if not kind.endswith("List"):
            return False
        _, items = fields.get("items", (None, None))
        if items is None or scalars.is_null(items):
            # A list without items is empty; a kind that only sounds like one (AllowList) is not.
            return kind == "List" or kinds.ruling(version, kind[:-4]).fate in (Fate.USED, Fate.SKIPPED)
        if not isinstance(items, SequenceNode):
            if kind != "List":
                return False
            checker.problem(items, (None, "items"), "must be a list")
            return True
        if in_list:
            checker.problem(node, None, "a list of objects inside a list of objects")
            return True
        inherited = ("", "") if kind == "List" else (version, kind[:-4])
        for item in items.value:
            if not scalars.is_null(item):
                self._object(item, checker, inherited, in_list=True)
        return True

    def _used(self, node: MappingNode, version: str, kind: str, checker: Checker) -> None:
        before, warned = len(checker.problems), len(checker.warnings)
        body: Any = checker.check(node, kind)
        body["apiVersion"] = version
        body.setdefault("kind", kind)
        self._named(node, kind, body, checker)
        if len(checker.problems) > before:
            return
        meta = body["metadata"]
        namespace = "" if kind in kinds.CLUSTER_SCOPED else meta.get("namespace") or self._namespace
        document = Document(version, kind, namespace, meta["name"], body, mark_of(node, checker.file), node)
        if self._hooks:
            no_hook(document)
        if kind == "Lab":
            self._labs.append(document)
            return
        checker.warnings[warned:] = [warning._replace(object=str(document)) for warning in checker.warnings[warned:]]
        key = document.group, kind, namespace, document.name
        first = self._objects.get(key)
        if first is not None:
            message = f"{document} is written twice, first at {first.mark}; this one is taken"
            self._warnings.append(Warning("duplicate", message, document.mark, str(document)))
        # Assigning keeps the first one's turn, as applying twice would: the numbers of other Pods do not move.
        self._objects[key] = document

    @staticmethod
    def _named(node: MappingNode, kind: str, body: dict[str, Any], checker: Checker) -> None:
        """metadata.name must be there; where it is there and wrong, that has been said."""
        _, meta = _fields(node).get("metadata", (None, None))
        if isinstance(meta, MappingNode):
            _, name = _fields(meta).get("name", (None, None))
            if name is not None and not scalars.is_null(name) and not (isinstance(name, ScalarNode) and not name.value):
                return
            if kind == "Lab":
                return  # its own schema requires the name
            if "generateName" in body.get("metadata", {}):
                message = (
                    "is required: generateName makes another name each time, and a lab needs the same; write a name"
                )
                checker.problem(meta, ((None, "metadata"), "name"), message)
                return
            checker.problem(meta, ((None, "metadata"), "name"), "is required")
        elif kind != "Lab" and (meta is None or scalars.is_null(meta)):
            checker.problem(node, ((None, "metadata"), "name"), "is required")


def _fields(node: MappingNode) -> _Fields:
    """The fields of a mapping by name; of a name that is written twice the first, the checker tells."""
    out: _Fields = {}
    for key, value in pairs(node):
        if isinstance(key, ScalarNode):
            out.setdefault(key.value, (key, value))
    return out


def _name(fields: _Fields) -> str:
    """namespace/name as far as they are there, for a sentence."""
    _, meta = fields.get("metadata", (None, None))
    inner = _fields(meta) if isinstance(meta, MappingNode) else {}
    words: Iterable[Node] = (inner[each][1] for each in ("namespace", "name") if each in inner)
    # Unchecked text on its way to a terminal: shown() leaves no control character in it.
    named = [each for each in words if isinstance(each, ScalarNode) and not scalars.is_null(each)]
    return "/".join(shown(each.value)[1:-1] for each in named)


def _unrendered(text: str, problems: Iterable[Problem]) -> list[Problem]:
    """One problem instead of many where what is wrong is that a template's ``{{ }}`` was not rendered.

    A text of a ConfigMap may well have them; so only lines that a problem points to are looked at.
    """
    lines: list[str] = []
    clean: set[int] = set()  # a line may be long, and many problems may be in it
    for problem in problems:
        lines = lines or text.splitlines()
        if problem.mark is None:
            continue
        at = problem.mark.line
        # A parser stumbles over the line after the braces.
        for number in range(at - 1 if problem.path else max(0, at - 2), min(at, len(lines))):
            if number in clean:
                continue
            if "{{" in lines[number]:
                message = "is a template that was not rendered ({{ }}); render it: helm template CHART | netlab up -f -"
                return [Problem(problem.mark, "", message)]
            clean.add(number)
    return []
