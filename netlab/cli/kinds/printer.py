"""Objects of any kind as a table, as names or as a document."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any, get_args

import click

from netlab.cli import jsonpath, out
from netlab.cli.kinds.kind import Item, Kind, pairs
from netlab.cli.kinds.request import Request
from netlab.errors import BadInput
from netlab.tuples import NamedTuple

Listed = tuple[Kind, list[Item]]


class Shape(NamedTuple):
    """The form of the output; ``labels``: a table has a column with them."""

    output: str
    header: bool
    labels: bool

    def check(self, kind: Kind, *, watching: bool) -> None:
        """Raise BadInput where the kind has no such output."""
        styles = ["text", "wide", "json", "yaml", *([] if kind.kernel else ["name"])]
        styles += [] if watching else ["jsonpath"]
        if self.output.partition("=")[0] not in styles:
            where = " with --watch" if watching else ""
            listed = ", ".join(styles).replace("jsonpath", "jsonpath=TEMPLATE")
            raise BadInput(f"-o {self.output}{where}: there are {listed}")


def show(listed: Sequence[Listed], request: Request, shape: Shape) -> None:
    """Print all objects; a table for each kind that has some."""
    style, _, template = shape.output.partition("=")
    if style in ("json", "yaml", "jsonpath"):
        _document(style, template, listed, single=len(listed) == 1 and len(request.names) == 1)
    elif style == "name":
        for kind, items in listed:
            for item in items:
                out.line(kind.named(item))
    else:
        _tables(listed, request, shape)


def _document(style: str, template: str, listed: Sequence[Listed], *, single: bool) -> None:
    kind, items = listed[0][0], [item for _, items in listed for item in items]
    data: Any = {"apiVersion": "v1", "kind": "List", "metadata": {}, "items": items}
    if kind.kernel:
        data = {"items": items} if style == "jsonpath" else items
    elif single:
        data = items[0]
    if style == "json":
        out.document(_typed(kind, items) if kind.kernel else data)
    elif style == "yaml":
        out.line(as_yaml(data))
    else:
        text = jsonpath.render(template, data)
        click.echo(text, nl=kind.kernel or (not text.endswith("\n") and sys.stdout.isatty()))


def _typed(kind: Kind, rows: Sequence[Item]) -> list[Any]:
    """Rows of the kernel as the documents that ``netlab schema`` describes."""
    from netlab.output import document

    row_type = get_args(document(f"get {kind.plural}"))[0]
    return [row_type(**row) for row in rows]


def as_yaml(data: Any) -> str:
    """A value as YAML, its keys in their order."""
    import yaml

    text: str = yaml.safe_dump(data, sort_keys=False)
    return text.rstrip()


def _tables(listed: Sequence[Listed], request: Request, shape: Shape) -> None:
    """With several kinds, each name has its kind before it, as with kubectl."""
    tables = [(kind, items) for kind, items in listed if items]
    for index, (kind, items) in enumerate(tables):
        if index:
            out.line("")
        heads, rows = table(kind, items, request, shape)
        if len(listed) > 1 and "NAME" in heads:
            column = heads.index("NAME")
            for row, item in zip(rows, items, strict=True):
                row[column] = kind.named(item)
        out.table(rows, heads if shape.header else ())
    if not tables:
        kind = listed[0][0]
        everywhere = request.every or (len(listed) == 1 and not kind.namespaced)
        where = f" in lab {request.lab}: {kind.plural}" if kind.kernel else f" in {request.where} namespace."
        out.note("No resources found" + ("" if everywhere and not kind.kernel else where))


def table(kind: Kind, items: Sequence[Item], request: Request, shape: Shape) -> tuple[list[str], list[list[str]]]:
    """The headings and the rows."""
    columns = [column for column in kind.columns if shape.output == "wide" or not column.wide]
    heads, rows = (
        [column.head for column in columns],
        [[str(column.cell(item)) for column in columns] for item in items],
    )
    if kind.kernel:
        return heads, rows
    if shape.labels:
        heads = [*heads, "LABELS"]
        rows = [[*row, pairs(item["metadata"].get("labels"))] for row, item in zip(rows, items, strict=True)]
    if request.every and kind.namespaced:
        heads = ["NAMESPACE", *heads]
        rows = [[item["metadata"]["namespace"], *row] for row, item in zip(rows, items, strict=True)]
    return heads, rows
