"""The diagnosis as text and as a document."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator, Sequence

from netlab.diagnose.labwide.cause import Cause
from netlab.diagnose.labwide.real import real
from netlab.output import diagnosis as output

WIDTH = 100


def document(
    lab: str, causes: Sequence[Cause], notes: Sequence[str], probed: int, broken: int, traced: int, seconds: float
) -> output.Diagnosis:
    """The document of ``diagnose``."""
    return output.Diagnosis(
        lab=lab,
        causes=tuple(map(_cause, causes)),
        notes=tuple(notes),
        probed=probed,
        broken=broken,
        traced=traced,
        seconds=round(seconds, 3),
    )


def _cause(cause: Cause) -> output.Cause:
    kind, name = cause.place
    return output.Cause(
        fault=cause.fault or None,
        kind=cause.kind,
        netns=cause.netns or None,
        interface=cause.interface or None,
        place=output.CausePlace(kind=kind, name=name),
        says=cause.message,
        evidence=cause.evidence,
        look=cause.look,
        mend=cause.mend,
        real=real(cause),
        flows=len(cause.flows),
        file=cause.mark.file if cause.mark else None,
        line=cause.mark.line if cause.mark else None,
    )


def lines(causes: Sequence[Cause], typed: Callable[[str], str], width: int = WIDTH) -> Iterator[str]:
    """A paragraph for each cause; ``typed`` adapts a netlab command to the reader's."""
    for number, cause in enumerate(causes, 1):
        kind, name = cause.place
        at = f", {cause.interface}" if cause.interface else ""
        fault = f", {cause.fault}" if cause.fault else ""
        yield from textwrap.wrap(
            f"{number}. {cause.kind}{fault} ({kind} {name}{at}): {cause.message}", width, subsequent_indent="   ",
            break_long_words=False, break_on_hyphens=False,
        )  # fmt: skip
        yield from _part("evidence", cause.evidence, width)
        yield from _commands("look", cause.look, typed)
        yield from _commands("mend", cause.mend, typed)
        yield from _part("real", real(cause), width)
        yield ""


def _part(title: str, texts: Sequence[str], width: int) -> Iterator[str]:
    for number, text in enumerate(texts):
        first = f"   {title if not number else '':8}  "
        yield from textwrap.wrap(
            text, width, initial_indent=first, subsequent_indent=" " * 13, break_long_words=False,
            break_on_hyphens=False,
        )  # fmt: skip


def _commands(title: str, commands: Sequence[str], typed: Callable[[str], str]) -> Iterator[str]:
    for number, command in enumerate(commands):
        text = typed(command) if command.startswith("netlab ") else command
        yield f"   {title if not number else '':8}  {text}"
