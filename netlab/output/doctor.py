"""The document of ``netlab doctor``: what this host can do.  It has no address, name, user or path of the machine."""

from __future__ import annotations

from typing import Literal

from netlab.plain import document, optional


@document
class HostCheck:
    """A row of the table; ``works`` is null where it was not tried, and ``remedy`` the line to type."""

    group: str
    name: str
    works: bool | None
    detail: str
    remedy: str = optional("")


@document
class LabCheck:
    """Whether a lab runs on this host; ``lacks`` are names of checks."""

    lab: str
    runs: bool | None
    lacks: tuple[str, ...]


@document
class VerbCheck:
    """Whether verbs work on this host; ``detail`` is what they cannot do."""

    verbs: tuple[str, ...]
    runs: bool | None
    detail: str


@document
class Mend:
    """A line to type, and the checks that it mends."""

    command: str
    checks: tuple[str, ...]


@document
class Doctor:
    """``doctor``; ``ok``: a lab runs here; ``pods``: about how many fit, by the resource ``limit``."""

    ok: bool
    privilege: Literal["root", "rootless", "none"]
    netlab: str
    system: str
    kernel: str
    machine: str
    python: str
    pods: int | None
    limit: str
    checks: tuple[HostCheck, ...]
    labs: tuple[LabCheck, ...]
    verbs: tuple[VerbCheck, ...]
    mend: tuple[Mend, ...]
