"""``--watch``: list the objects of a kind, then each that comes, changes or goes, until Ctrl-C."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from netlab.cli import out
from netlab.cli.kinds.kind import Item, Kind
from netlab.cli.kinds.printer import Shape, as_yaml, table
from netlab.cli.kinds.request import Request
from netlab.errors import BadInput, Exit

_ADDED, _MODIFIED, _DELETED = "ADDED", "MODIFIED", "DELETED"
_INTERVAL = 0.3  # seconds between two readings: too short to notice, and cheap
_INTERRUPTED = 130  # 128 + SIGINT, as with kubectl
Changes = Sequence[tuple[str, Item]]


def watch(kind: Kind, read: Callable[[], Sequence[Item]], request: Request, shape: Shape, *, events: bool) -> int:
    """Print the objects that ``read`` returns, then the changes; with ``events`` each with what happened to it.

    When the lab goes down meanwhile, all its objects are deleted, and the exit status is 0.
    """
    widths: Sequence[int] = ()  # a column never becomes narrower

    def print_changes(changes: Changes) -> None:
        nonlocal widths
        if shape.output in ("text", "wide"):
            rows, heads = _rows(kind, changes, request, shape, events=events)
            widths = out.table(rows, () if widths else heads, widths)
        else:
            for event, item in changes:
                _print_item(kind, {"type": event, "object": item} if events else item, item, shape.output)
        sys.stdout.flush()

    try:
        before = _by_key(kind, read())
        if before:
            print_changes([(_ADDED, item) for item in before.values()])
        while True:
            time.sleep(_INTERVAL)
            try:
                now = _by_key(kind, read())
            except BadInput:  # the lab was taken down
                print_changes([(_DELETED, item) for item in before.values()])
                return Exit.OK
            if changes := _changes(kind, before, now):
                print_changes(changes)
            before = now
    except KeyboardInterrupt:
        return _INTERRUPTED


def _by_key(kind: Kind, items: Sequence[Item]) -> dict[str, Item]:
    by_key: dict[str, Item] = {}
    for item in items:
        key = kind.key(item)
        while key in by_key:  # the kernel may have two routes that differ in nothing else
            key += "+"
        by_key[key] = item
    return by_key


def _changes(kind: Kind, before: Mapping[str, Item], now: Mapping[str, Item]) -> Changes:
    changes = []
    for key, item in now.items():
        if key not in before:
            changes.append((_ADDED, item))
        elif kind.still(before[key]) != kind.still(item):
            changes.append((_MODIFIED, item))
    return changes + [(_DELETED, item) for key, item in before.items() if key not in now]


def _rows(
    kind: Kind, changes: Changes, request: Request, shape: Shape, *, events: bool
) -> tuple[list[list[str]], list[str]]:
    heads, rows = table(kind, [item for _, item in changes], request, shape)
    for (event, _), row in zip(changes, rows, strict=True):
        if events:
            row.insert(0, event)
        elif event == _DELETED:
            for head, cell in kind.deleted:
                row[heads.index(head)] = cell
    return rows, ["EVENT"] * events + heads if shape.header else []


def _print_item(kind: Kind, data: Any, item: Item, output: str) -> None:
    if output == "json":
        out.document(data)
    elif output == "yaml":
        out.line("---\n" + as_yaml(data))
    else:
        out.line(kind.named(item))
