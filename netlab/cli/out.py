"""All that is printed, for people and for machines."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from typing import Any

from netlab import escape
from netlab.cli.paint import Marks
from netlab.errors import BadInput, HostLacks, NetlabError
from netlab.plain import dump
from netlab.runtime.state.sudo import behind_sudo


def line(text: str = "", marks: Marks = (), *, painted: bool = False) -> None:
    """A line on standard output, with ``marks`` where a person looks at a terminal.

    ``painted``: it has colours of ``colour``, and its other parts are escaped already.
    """
    text = text if painted else escape.terminal(text)
    if marks and _is_colourful():
        for mark in marks:
            text = mark.pattern.sub(_coloured(r"\g<0>", mark.code), text)
    sys.stdout.write(text + "\n")


def note(text: str) -> None:
    """A line for the reader that is no result: on standard error."""
    sys.stderr.write(escape.terminal(text) + "\n")


def following(line: str, why: str) -> None:
    """What a reader at a terminal may type next: the words of a verb, and what it is good for."""
    if sys.stdout.isatty() and QUIZ not in os.environ:
        sys.stdout.write(colour(f"next: {command()} {line}   # {why}", 2) + "\n")


def document(data: Any) -> None:
    """A JSON document on standard output."""
    json.dump(dump(data), sys.stdout, indent=2, ensure_ascii=False)
    sys.stdout.write("\n")


def raw(text: str) -> None:
    """A piece of a document that is written as it comes."""
    sys.stdout.write(text)


def text_json(data: Any) -> str:
    """A value as JSON on one line."""
    return json.dumps(dump(data), ensure_ascii=False)


#: Set in the shell of an exercise or a league, whose steps are what comes next.
QUIZ = "NETLAB_QUIZ"

_PROBLEMS = 100  # lines that a reader may still look at


def error(failure: NetlabError) -> None:
    """Print an error to standard error: a line for each problem, then the hint."""
    if isinstance(failure, BadInput) and len(failure.problems) > 1:
        for problem in failure.problems[:_PROBLEMS]:
            note(str(problem))
        if (more := len(failure.problems) - _PROBLEMS) > 0:
            note(f"... and {more:,} more")
        note(f"{len(failure.problems)} problems")
    elif isinstance(failure, BadInput) and failure.problems[0].mark:
        note(failure.message)
    else:
        note(f"netlab: {failure.message}")
    if failure.hint:
        note(f"  {_typed(failure.hint)}")
    if isinstance(failure, HostLacks):
        note(f"  {command()} doctor shows what else this host lacks")


def _typed(hint: str) -> str:
    """A hint whose netlab commands begin as the reader must type them."""
    return f"{command()} {hint.removeprefix('netlab ')}" if hint.startswith("netlab ") else hint


def table(rows: Sequence[Sequence[str]], header: Sequence[str] = (), least: Sequence[int] = ()) -> Sequence[int]:
    """Columns as kubectl prints them: three blanks between, the last column ragged.  Takes and returns their widths."""
    everything = [list(header), *map(list, rows)] if header else [list(row) for row in rows]
    if not everything:
        return least
    widths = [max(len(row[column]) for row in everything) for column in range(len(everything[0]))]
    widths = list(map(max, widths, least)) if least else widths
    for row in everything:
        cells = [cell.ljust(width) for cell, width in zip(row[:-1], widths, strict=False)]
        line("   ".join([*cells, row[-1]]).rstrip())
    return widths


def count(number: int, noun: str, many: str = "") -> str:
    """``1 node``, ``2 nodes``."""
    return f"{number} {noun if number == 1 else many or noun + 's'}"


def colour(text: str, code: int) -> str:
    """The text in a colour where a person looks at a terminal."""
    return _coloured(text, code) if _is_colourful() else text


def _coloured(text: str, code: int) -> str:
    return f"\x1b[{code}m{text}\x1b[0m"


def _is_colourful() -> bool:
    """Colours as https://no-color.org has them."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def command(*, root: bool = False) -> str:
    """The beginning of a netlab command line that works when it is pasted; ``root``: in any case one of root's.

    bootstrap.sh says how it was called itself (NETLAB_TYPED); sudo drops PATH, so root needs the script's way.
    """
    if not hasattr(os, "geteuid"):  # Windows, where netlab only predicts
        return "netlab"
    typed = os.environ.get("NETLAB_TYPED", "")
    if root or (not typed and behind_sudo()):
        if "bootstrap.sh" not in typed:
            typed = "./bootstrap.sh netlab" if os.path.exists("bootstrap.sh") else _program()
        return f"sudo {typed.removeprefix('sudo ')}"
    return typed or _program()


def _program() -> str:
    """The program's name where PATH leads to it, else its file: sudo's PATH has no folder of a user's."""
    file = sys.argv[0]
    name = os.path.basename(file)
    if name not in ("netlab", "kubenetlab"):
        return "netlab"
    from shutil import which

    return name if os.path.abspath(file) == which(name) else file


_WIDTHS = (80, 140)  # columns: below, a packet does not fit; above, a line is not read any better
_PLAIN = 100


def width() -> int:
    """Columns for lines of packets: a terminal's own; output into a file or a pipe is the same wherever it was made."""
    if sys.stdout.isatty():
        from shutil import get_terminal_size

        columns = get_terminal_size().columns
    else:
        columns = _PLAIN
    return min(max(columns, _WIDTHS[0]), _WIDTHS[1])
