"""What reading gives: documents, problems, warnings, and the place of everything."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from types import MappingProxyType
from typing import Any, Literal

from netlab.errors import Mark, Problem
from netlab.spec.compose import MappingNode, Node, locate, mark_of
from netlab.spec.references import Reference
from netlab.spec.settings import Settings
from netlab.tuples import NamedTuple
from netlab.values import dataclass

Level = Literal["error", "warning", "note"]


class Warning(NamedTuple):  # noqa: A001  the word of the contract; nobody here raises the builtin
    """Something legal that the author should know.

    ``code`` is stable and for machines. ``object`` is its subject (``Service shop/web``, ``Ingress``). ``level`` is
    ``error`` where the lab itself shows the intention, ``warning``, or ``note`` where most authors intend it.
    ``netlab.lint.codes`` lists the codes.
    """

    code: str
    message: str
    mark: Mark
    object: str = ""
    level: Level = "warning"

    def __str__(self) -> str:
        return f"{self.mark}: {self.message}"


@dataclass(frozen=True, slots=True)
class Document:
    """One object as it was written.

    ``namespace`` is empty for kinds that live outside namespaces and ``default`` where none is given.  ``body`` is the
    whole object in plain Python values with every null removed, also null list items: absent and null are one thing.
    A null item of a list whose items may be empty (a rule of a policy) is an empty one.
    ``mark`` is where the object starts.  ``origin`` is the composed YAML, for :meth:`at`; copies and pickles lose it.
    """

    api_version: str
    kind: str
    namespace: str
    name: str
    body: dict[str, Any]
    mark: Mark
    origin: Node | None = field(default=None, repr=False, compare=False)

    @property
    def group(self) -> str:
        """The API group: empty for core, ``apps``, ``networking.k8s.io`` ..."""
        return self.api_version.rpartition("/")[0]

    def at(self, *path: str | int) -> Mark:
        """The place of a path into ``body``, or of its nearest ancestor that exists.

        For a scalar that is the value; for a block mapping or sequence under a key it is the key, which is the line
        that a reader looks for.
        """
        if not isinstance(self.origin, MappingNode):
            return self.mark
        node = locate(self.origin, path)
        return self.mark if node is self.origin else mark_of(node, self.mark.file)

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}" if self.namespace else f"{self.kind} {self.name}"

    def __reduce__(self) -> tuple[type[Document], tuple[Any, ...]]:
        return Document, (self.api_version, self.kind, self.namespace, self.name, self.body, self.mark)


@dataclass(frozen=True, slots=True)
class Documents:
    """Everything that was read, in the order in which it was written.

    ``problems`` are in the order of the files and lines; where there is one, ``objects`` lacks what it is about.
    ``references`` are Services that objects name which are not modelled, ``settings`` the ConfigMaps.  ``left_out`` are
    Helm hooks that are not there after an installation.  ``skipped`` counts, by kind, the objects that cannot matter to
    a network.  ``sources`` are the files read.
    """

    lab: Document | None = None
    objects: tuple[Document, ...] = ()
    left_out: tuple[Document, ...] = ()
    references: tuple[Reference, ...] = ()
    settings: tuple[Settings, ...] = ()
    problems: tuple[Problem, ...] = ()
    warnings: tuple[Warning, ...] = ()
    skipped: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    sources: tuple[str, ...] = ()
