"""The document of ``netlab diagnose``: why a lab does not work."""

from __future__ import annotations

from netlab.plain import document


@document
class CausePlace:
    """The owner of a cause: ``kind`` is pod, node, external, router, underlay, lab, or the kind of an object."""

    kind: str
    name: str


@document
class Cause:
    """A cause.  ``fault`` is its name in the list of faults, ``kind`` a stable word, ``flows`` the broken flows.

    ``look`` are lines that show it and change nothing, ``mend`` lines that repair it in this order.  ``real`` is what a
    real cluster shows.  ``netns`` is null of an object that has no namespace, ``file`` and ``line`` are what asked for it.
    """

    fault: str | None
    kind: str
    netns: str | None
    interface: str | None
    place: CausePlace
    says: str
    evidence: tuple[str, ...]
    look: tuple[str, ...]
    mend: tuple[str, ...]
    real: tuple[str, ...]
    flows: int
    file: str | None
    line: int | None


@document
class Diagnosis:
    """``diagnose``: the causes, the likeliest first; none: nothing was found.

    ``probed`` flows were sent, ``broken`` of them are not as they should be, ``traced`` were followed by a trace.
    """

    lab: str
    causes: tuple[Cause, ...]
    notes: tuple[str, ...]
    probed: int
    broken: int
    traced: int
    seconds: float
