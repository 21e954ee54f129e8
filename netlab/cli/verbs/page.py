"""``netlab page``: the page of a lab, on the terminal or as a handout."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import click

from netlab.cli import out
from netlab.cli.files import require_writable, text_of, write
from netlab.errors import BadInput
from netlab.escape import terminal
from netlab.learn.handout import Handout, answer_sheet, handout
from netlab.learn.page import PAGE
from netlab.runtime.state.labs import find

_WIDEST = 100  # columns: longer lines are hard to read
_PICTURE = re.compile(r"^!\[[^\]\n]*\]\([^)\n]*\)\n\n?", re.M)
_PICTURE_MAX = 4 << 20  # bytes of a picture; those of netlab have 100 KiB


@click.command()
@click.argument("lab")
@click.option("--html", "html_file", default="", metavar="FILE", help="write one file of HTML, to read or to print")
@click.option("--answers/--no-answers", default=None,
              help="with the answers (default with --html, on a sheet of their own) or without them")  # fmt: skip
def command(lab: str, html_file: str, answers: bool | None) -> None:
    """Show the page of a lab: what it teaches, what to type, and what to see.

    LAB is the name of a lab or a folder with a README.md.  The answers to its questions are left out on a terminal.
    """
    require_writable("--html", html_file)
    folder = find(lab).path
    folder = folder.parent if folder.is_file() else folder
    if not (folder / PAGE).is_file():
        raise BadInput(f"{lab}: there is no {PAGE} in {folder}")
    sheet = handout(text_of(folder / PAGE))
    if html_file:
        from netlab.learn.handouthtml import html

        write("--html", html_file, html(sheet, lambda path: _picture(folder, path), answers=answers is not False))
        return
    _show(sheet, answers=bool(answers), again=f"{out.command()} page {lab} --answers")


def _show(sheet: Handout, *, answers: bool, again: str) -> None:
    """On a terminal by its pager; elsewhere as plain text."""
    from rich.console import Console
    from rich.markdown import Markdown

    more = (
        f"\n\n{answer_sheet(sheet.answers)}" if answers else f"\n\n---\n\nanswers: `{again}`\n" if sheet.answers else ""
    )
    tty = sys.stdout.isatty()
    console = Console(force_terminal=tty, width=min(_WIDEST, Console().width))
    with console.capture() as capture:
        console.print(Markdown(terminal(_PICTURE.sub("", sheet.text) + more), hyperlinks=False))
    if tty:
        click.echo_via_pager(capture.get())
    else:
        for line in capture.get().splitlines():
            out.line(line.rstrip())


def _picture(folder: Path, name: str) -> bytes | None:
    """A picture in the lab's own folder; of another folder nothing is read."""
    path = folder / name
    if not path.is_file() or path.resolve().parent != folder.resolve() or path.stat().st_size > _PICTURE_MAX:
        return None
    return path.read_bytes()
