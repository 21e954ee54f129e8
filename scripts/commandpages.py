"""The pages of the verbs, made of what ``netlab VERB --help`` knows: as Markdown for the site, as man pages for the wheel."""

from __future__ import annotations

import inspect
import re
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from netlab import __version__
from netlab.cli.examples import EXAMPLES
from netlab.cli.examples import lines as lines_of
from netlab.cli.helptext import GROUPS, VERBS
from netlab.cli.main import cli

_ABOUT = "a small Kubernetes network from nothing but the Linux kernel"
_STATUS = {
    "0": "All is as expected.",
    "1": "The result is negative.",
    "2": "The input is bad; nothing was changed.",
    "3": "This host lacks something, and the message names it.",
    "4": "The kernel refused.",
}


@dataclass(frozen=True)
class Page:
    """A verb's page.  ``paragraphs`` are (text, whether its lines stay as they are); ``options`` are (words, text)."""

    verb: str
    usage: str
    paragraphs: tuple[tuple[str, bool], ...]
    options: tuple[tuple[str, str], ...]


def pages(verb: str) -> tuple[Page, ...]:
    """The page of a verb, and those of its own verbs (``class new``)."""
    command = cli.get_command(click.Context(cli), verb)
    assert command is not None
    own = command.commands.items() if isinstance(command, click.Group) else ()
    return (_page(verb, command), *(_page(f"{verb} {name}", each) for name, each in own))


def _page(verb: str, command: click.Command) -> Page:
    # With the group's own settings: click keeps the help option that it makes first.
    netlab = click.Context(cli, info_name="netlab", **cli.context_settings)
    context = click.Context(command, info_name=verb, parent=netlab, terminal_width=80)
    records = [row for parameter in command.get_params(context) if (row := parameter.get_help_record(context))]
    options = tuple((words, " ".join(text.split())) for words, text in records if text)  # an argument has no text
    usage = " ".join(command.get_usage(context).removeprefix("Usage: ").split())
    return Page(verb, usage, tuple(_paragraphs(inspect.cleandoc(command.help or ""))), options)


def _paragraphs(text: str) -> Iterator[tuple[str, bool]]:
    for paragraph in re.split(r"\n\s*\n", text):
        if "\b" in paragraph:
            yield textwrap.dedent(paragraph.replace("\b\n", "")).rstrip(), True
        else:
            yield " ".join(paragraph.split()), False


def markdown(verb: str) -> str:
    """The page for the site."""
    made, *own = pages(verb)
    lines = [f"# netlab {verb}", "", VERBS[verb], "", *_body(made, "## Options")]
    for each in own:
        lines += [f"## netlab {each.verb}", "", *_body(each, f"### Options of {each.verb}")]
    return "\n".join(lines)


def _body(made: Page, heading: str) -> Iterator[str]:
    yield from ("```text", f"Usage: {made.usage}", "```", "")
    for text, as_it_is in made.paragraphs:
        yield from ("```text", text, "```", "") if as_it_is else (text, "")
    yield from (heading, "")
    for words, text in made.options:
        yield from (f"`{words}`", f": {text}", "")
    if made.verb in EXAMPLES:
        examples = (f"# {text}\n{line}" for line, text in lines_of(made.verb))
        yield from (f"### Examples of {made.verb}", "", "```text", *examples, "```", "")


# -- man pages, in the macros of man(7) --------------------------------------------------------------------------------


def manual() -> dict[str, str]:
    """All man pages of section 1, by their file's name."""
    verbs_pages = {f"netlab-{each.verb.replace(' ', '-')}.1": _verb(each) for verb in VERBS for each in pages(verb)}
    lines = [*_head("netlab", _ABOUT), r"\fBnetlab\fR \fIVERB\fR [\fIARGUMENTS\fR...]"]
    for group, verbs in GROUPS.items():
        lines.append(f".SH {_quoted(group)}")
        for verb, text in verbs.items():
            lines += [".TP", rf"\fBnetlab\-{verb}\fR(1)", _text(text)]
    lines.append('.SH "EXIT STATUS"')
    for status, text in _STATUS.items():
        lines += [".TP", status, _text(text)]
    return {"netlab.1": "\n".join(lines) + "\n", **verbs_pages}


def _verb(made: Page) -> str:
    about = VERBS.get(made.verb) or made.paragraphs[0][0].partition(".")[0]
    lines = [*_head(f"netlab-{made.verb.replace(' ', '-')}", about.rstrip(".")), _text(made.usage), ".SH DESCRIPTION"]
    for text, as_it_is in made.paragraphs:
        lines += [".PP", ".nf", _text(text), ".fi"] if as_it_is else [".PP", _text(text)]
    lines.append(".SH OPTIONS")
    for words, text in made.options:
        lines += [".TP", rf"\fB{_text(words)}\fR", _text(text)]
    if made.verb in EXAMPLES:
        lines.append(".SH EXAMPLES")
        for line, text in lines_of(made.verb):
            lines += [".TP", _text(text), _text(line)]
    return "\n".join([*lines, '.SH "SEE ALSO"', r"\fBnetlab\fR(1)"]) + "\n"


def _head(name: str, about: str) -> list[str]:
    title = f'.TH {_quoted(name.upper())} 1 "" {_quoted(f"netlab {__version__}")} "netlab manual"'
    return [title, ".SH NAME", rf"{_text(name)} \- {_text(about)}", ".SH SYNOPSIS"]


def _quoted(text: str) -> str:
    return f'"{_text(text)}"'


def _text(text: str) -> str:
    r"""Text of which troff reads nothing as a request: a backslash, a hyphen, and a dot or quote that begins a line."""
    escaped = text.replace("\\", r"\e").replace("-", r"\-")
    return re.sub(r"^(?=[.'])", r"\\&", escaped, flags=re.M)
