"""The whole surface of netlab in one file: verbs, options, exit statuses, documents.  A change of it is seen in review.

NETLAB_UPDATE_GOLDENS=1 writes it anew.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import click

from netlab.cli.helptext import VERBS
from netlab.cli.main import cli
from netlab.errors import Exit
from netlab.output import DOCUMENTS, document
from netlab.plain import schema

GOLDEN = Path(__file__).with_name("surface.txt")


def options(command: click.Command, words: str) -> Iterator[str]:
    for parameter in command.params:
        names = "|".join((*parameter.opts, *parameter.secondary_opts))
        if isinstance(parameter, click.Argument):
            names = parameter.make_metavar(click.Context(command))
        kind = (
            parameter.type.name
            if not isinstance(parameter.type, click.Choice)
            else "|".join(map(str, parameter.type.choices))
        )
        yield f"{words} {names} {'flag' if getattr(parameter, 'is_flag', False) else kind}"
    if isinstance(command, click.Group):
        for name in command.list_commands(click.Context(command)):
            part = command.get_command(click.Context(command), name)
            assert part is not None
            yield from options(part, f"{words} {name}")


def keys(title: str) -> list[str]:
    made = schema(document(title), title)
    kind = made.get("items", made)
    kind = made["$defs"][kind["$ref"].rpartition("/")[2]] if "$ref" in kind else kind
    return list(kind.get("properties", {}))


def surface() -> Iterator[str]:
    for verb in VERBS:
        command = cli.get_command(click.Context(cli), verb)
        assert command is not None
        yield from options(command, verb)
    yield from (f"exit status {status.value} {status.name}" for status in Exit)
    yield from (f"document {title}: {', '.join(keys(title))}" for title in sorted(DOCUMENTS))


def test_the_surface_is_as_it_was() -> None:
    lines = "".join(f"{line}\n" for line in surface())
    if os.environ.get("NETLAB_UPDATE_GOLDENS") == "1":
        GOLDEN.write_text(lines)
    assert lines == GOLDEN.read_text(), "NETLAB_UPDATE_GOLDENS=1 writes it anew; CHANGELOG.md says what changed"
