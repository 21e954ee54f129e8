"""A kind of objects: its names, the source of its objects, its columns, and its description."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from netlab.cli.kinds.request import Request
from netlab.cli.kinds.times import ago
from netlab.tuples import NamedTuple

Item = dict[str, Any]  # an object as the API server would return it, or a row of what the kernel has
NONE = "<none>"


class Column(NamedTuple):
    """A heading and the cell below it; only ``-o wide`` prints a ``wide`` column."""

    head: str
    cell: Callable[[Item], object]
    wide: bool = False


NAME = Column("NAME", lambda item: item["metadata"]["name"])
AGE = Column("AGE", lambda item: ago(item["metadata"]["creationTimestamp"]))


def _object_key(item: Item) -> str:
    return f"{item['metadata'].get('namespace', '')}/{item['metadata']['name']}"


class Kind(NamedTuple):
    """A kind.  ``items`` reads the objects of a running lab; the printer, the watcher and the verbs do all else."""

    name: str
    plural: str
    short: tuple[str, ...]
    group: str
    items: Callable[[Request], list[Item]]
    columns: tuple[Column, ...]
    # The lines of each object.  None: ``describe`` prints the manifest.
    describe: Callable[[Request, Sequence[Item]], Iterable[Iterable[str]]] | None = None
    namespaced: bool = True
    # Read from the kernel: rows instead of API objects; ``items`` itself selects by name, namespace and label.
    kernel: bool = False
    # For --watch: the identity of an object, the part of it whose changes count, and the cells of a deleted object.
    key: Callable[[Item], str] = _object_key
    still: Callable[[Item], object] = lambda item: item
    deleted: tuple[tuple[str, str], ...] = ()

    @property
    def words(self) -> tuple[str, ...]:
        """All names of the kind on the command line, in lower case."""
        return (self.plural, *self.short) if self.kernel else (self.name.lower(), self.plural, *self.short)

    def named(self, item: Item) -> str:
        """``deployment.apps/web``."""
        group = f".{self.group}" if self.group else ""
        return f"{self.name.lower()}{group}/{item['metadata']['name']}"


def pairs(values: Mapping[str, object] | None) -> str:
    """``app=web,tier=front``."""
    return ",".join(f"{key}={value}" for key, value in (values or {}).items()) or NONE
