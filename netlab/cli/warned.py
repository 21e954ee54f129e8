"""Warnings as they are printed: folded by what they say and by kind, and as JSON whole."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from netlab.cli import out

if TYPE_CHECKING:
    from netlab.errors import Mark
    from netlab.output import changes
    from netlab.runtime.state.resolved import Lab
    from netlab.runtime.state.rundir import Applied
    from netlab.spec import Documents, Warning

_UNMODELLED = "not-modelled"
_SHOWN = 3  # of one code and kind, before they are only counted


def of_lab(lab: Lab, ignore: Sequence[str] = ()) -> list[Warning]:
    """The warnings about a lab, of its reading and of lint, without those that ``ignore`` and annotations name."""
    from netlab.lint import kept, lint, ordered

    warnings = kept((*lab.warnings, *lint(lab.built, lab.documents)), lab.documents, ignore)
    return ordered(warnings, lab.documents.sources)


def refuse_unmodelled(draft: Applied) -> None:
    """``up --strict``: raises BadInput with every object that matters to the network and is not modelled."""
    from netlab.errors import BadInput, Problem
    from netlab.runtime.state.resolved import documents_of

    documents = documents_of(draft)
    problems = [
        Problem(warning.mark, "", warning.message)
        for warning in documents.warnings
        if warning.code.startswith(_UNMODELLED)
    ]
    if problems or documents.problems:
        hint = "without --strict these are warnings, and the lab is without what they do" if problems else ""
        raise BadInput([*documents.problems, *problems], hint=hint)


def filters(applied: Applied) -> list[Warning]:
    """The objects of a lab that filter traffic and are not modelled, and a note where netlab enforces no policies."""
    from netlab.runtime.state.resolved import documents_of

    documents = documents_of(applied)
    found = [warning for warning in documents.warnings if warning.code == f"{_UNMODELLED}-filter"]
    return [*found, *unenforced(documents)]


def unenforced(documents: Documents) -> list[Warning]:
    """The note of a lab in which netlab enforces no policies."""
    from netlab.lint.policies import unenforced as note

    return note(documents.lab)


def tell_filters(warnings: Sequence[Warning]) -> None:
    """Say in one line that verdicts are without these objects: a flow may be denied in a cluster."""
    tell(warning for warning in warnings if warning.level == "note")
    if warnings := [warning for warning in warnings if warning.level != "note"]:
        names = ", ".join(
            f"{warning.object} ({warning.mark.file}:{warning.mark.line})" for warning in warnings[:_SHOWN]
        )
        more = f" and {len(warnings) - _SHOWN} more" if len(warnings) > _SHOWN else ""
        message = (
            "1 object filters traffic and is"
            if len(warnings) == 1
            else f"{len(warnings)} objects filter traffic and are"
        )
        out.note(f"warning: {message} not modelled, so a flow may be denied in a cluster: {names}{more}")


def tell(warnings: Iterable[Warning]) -> None:
    """Print warnings on standard error, the first few of each code and kind.

    An error of lint is called a warning here: the lab is made all the same, and the command does not fail.
    """
    for line in folded(
        warning._replace(level="note" if warning.level == "note" else "warning") for warning in warnings
    ):
        out.note(line)


def folded(warnings: Iterable[Warning]) -> list[str]:
    """A line a warning, in their order; of one code and kind three, and how many more there are."""
    groups: dict[tuple[str, str, str], list[Warning]] = {}
    for warning in warnings:
        groups.setdefault((warning.code, warning.object.partition(" ")[0], warning.level), []).append(warning)
    lines = []
    for (_, kind, _), group in groups.items():
        shown = group if len(group) == _SHOWN + 1 else group[:_SHOWN]
        lines += [f"{_prefix(warning.mark)}{warning.level}: {warning.message}" for warning in shown]
        if more := len(group) - len(shown):
            lines.append(f"... and {more} more {_plural(kind) if kind else 'such warnings'}; -o json has them all")
    return lines


def documents(warnings: Iterable[Warning]) -> tuple[changes.Notice, ...]:
    """As ``up``, ``apply``, ``plan``, ``reach`` and ``check`` have them with ``-o json``."""
    from netlab.lint.document import notice

    return tuple(map(notice, warnings))


def _prefix(mark: Mark) -> str:
    return f"{mark}: " if mark.line else ""


def _plural(kind: str) -> str:
    if kind == "Endpoints":
        return kind
    if kind.endswith("y") and kind[-2:-1] not in "aeou":
        return f"{kind[:-1]}ies"
    return f"{kind}es" if kind.endswith(("s", "x", "ch")) else f"{kind}s"
