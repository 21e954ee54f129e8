"""The events of a lab's page (``netlab serve``), as ``GET /page/v1/events`` has them."""

from __future__ import annotations

from netlab.output.changes import Foreign
from netlab.output.faults import OpenFault
from netlab.plain import document


@document
class Picture:
    """The lab as it was applied: ``names`` are the targets of a trace, ``svg`` has no style of its own.

    ``pods`` are those of the lab's manifests.
    """

    lab: str
    svg: str
    names: tuple[str, ...]
    pods: tuple[str, ...]


@document
class Mark:
    """An object that differs from the lab: the verb of it, the reason, the commands that mend it.

    ``at`` is its place in the picture, null where the picture lacks it; ``line`` the points of a line to the other node.
    """

    kind: str
    netns: str
    name: str
    verb: str
    why: str
    mend: tuple[str, ...]
    at: tuple[float, float] | None
    line: tuple[tuple[float, float], ...]


@document
class Drift:
    """All that differs from the lab; ``foreign`` and ``faults`` are those of ``netlab diff -o json``."""

    marks: tuple[Mark, ...]
    foreign: tuple[Foreign, ...]
    faults: tuple[OpenFault, ...]


@document
class Down:
    """The lab is down, or the server ends."""

    lab: str


@document
class Step:
    """A step of the exercise: ``how`` is ``done``, ``skipped``, or "" where it was not reached."""

    title: str
    how: str


@document
class Check:
    """A check of the current step: ``saw`` is its finding, ``question`` what the learner is asked, or ""."""

    kind: str
    ok: bool
    saw: str
    question: str


@document
class Exercise:
    """The exercise of the lab; ``none`` is the reason where there is no exercise, and else "".

    ``goes_on``: a learner is in it, ``is_begun``: it can be continued, ``busy``: the lab is being built.  ``number`` is the
    current step (from 0), ``text``, ``checks`` and ``hints`` are of it.  ``seconds``, ``hints_taken``, ``answer`` (the
    paragraphs for an interview) and ``following`` (the next exercise) are set when it is ``over``.
    """

    none: str = ""
    title: str = ""
    goal: str = ""
    level: int = 0
    minutes: int = 0
    goes_on: bool = False
    is_begun: bool = False
    note: str = ""
    busy: str = ""
    steps: tuple[Step, ...] = ()
    number: int = 0
    text: str = ""
    checks: tuple[Check, ...] = ()
    hints: tuple[str, ...] = ()
    more_hints: bool = False
    over: bool = False
    seconds: int = 0
    hints_taken: int = 0
    answer: tuple[str, ...] = ()
    following: str = ""
