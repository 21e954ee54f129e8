"""Open faults as verbs show them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from netlab.cli import out
from netlab.faults.injected import Injected

if TYPE_CHECKING:
    from netlab.output.faults import OpenFault

Row = tuple[str | None, str | None, str | None, str | None]
_NOTHING: Row = (None, None, None, None)


def row(each: Injected, *, reveal: bool = False) -> Row:
    """The id, the place, the symptom and the cause; None where the fault is secret."""
    from netlab.errors import BadInput
    from netlab.faults.catalogue import fault

    if each.secret and not reveal:
        return _NOTHING
    try:
        known = fault(each.fault)
    except BadInput:  # of another version of netlab
        return each.fault, each.at, "", ""
    return known.id, each.at, known.symptom, known.cause


def documents(faults: Iterable[Injected], *, reveal: bool = False) -> tuple[OpenFault, ...]:
    """The open faults of a document."""
    from netlab.output.faults import OpenFault

    rows = [row(each, reveal=reveal) for each in faults]
    return tuple(OpenFault(fault=id_, at=at, symptom=symptom, cause=cause) for id_, at, symptom, cause in rows)


def tell(faults: Sequence[Injected], *, reveal: bool = False) -> None:
    """Print the open faults: a line each, and the number of the secret ones."""
    secret = 0
    for each in faults:
        id_, at, _, cause = row(each, reveal=reveal)
        if id_ is None:
            secret += 1
        else:
            out.line(f"open fault: {id_} at {at}{' (secret)' if each.secret else ''}: {cause}")
    if secret:
        out.line(out.count(secret, "secret fault"))
