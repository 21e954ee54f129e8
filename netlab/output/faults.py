"""The documents of ``break`` and ``heal``, and the open faults that other documents list."""

from __future__ import annotations

from netlab.plain import document


@document
class KnownFault:
    """A fault that ``break --list`` lists; ``planes`` are the data planes on which it makes sense.

    ``source`` is a public report or document; ``look_alikes`` are faults with the same symptom.
    """

    fault: str
    symptom: str
    cause: str
    level: int
    planes: tuple[str, ...]
    source: str
    requires: str
    look_alikes: tuple[str, ...]


@document
class OpenFault:
    """An open fault of a lab; all is null of a secret fault."""

    fault: str | None
    at: str | None
    symptom: str | None
    cause: str | None


@document
class Broken(OpenFault):
    """``break``."""

    lab: str
    changed: int
    seconds: float


@document
class Healed:
    """``heal``: the faults that were open; secret ones are named now."""

    lab: str
    healed: tuple[OpenFault, ...]
    open: int
    changed: int
    seconds: float
