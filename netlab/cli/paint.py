"""Colours of results on a terminal: each stands on a word or a sign that says the same without it.

Green is as it should be, red is not, yellow is what a policy or another program did on purpose.
"""

from __future__ import annotations

import re

from netlab.tuples import NamedTuple

_GOOD, _BAD, _MEANT = 32, 31, 33  # the terminal's green, red and yellow


class Mark(NamedTuple):
    """What matches the pattern has the colour, a code of SGR."""

    pattern: re.Pattern[str]
    code: int


Marks = tuple[Mark, ...]


def _marks(**patterns: str) -> Marks:
    codes = {"good": _GOOD, "bad": _BAD, "meant": _MEANT}
    return tuple(Mark(re.compile(pattern, re.M), codes[name]) for name, pattern in patterns.items())


#: ``netlab trace``: where a packet ended, what rules decided, and the headline.
TRACE = _marks(
    bad=r"\bXXX +DROPPED: .*|\[drop\]$|\[reject\]$|: (?:no reply in|refused|unreachable|the connection was made, but)\b.*",
    good=r": answered\b.*|\[accept\]$|^request and reply took the expected path$",
)

#: The cells of a matrix and its legend; no Pod has a name of one capital letter.
MATRIX = _marks(
    good=r"(?:(?<=\s)|^)\.(?=\s|$)",
    meant=r"(?:(?<=\s)|^)D(?=\s|$)",
    bad=r"(?:(?<=\s)|^)[RTU!M](?=\s|$)",
)

#: ``netlab diff``
DIFF = _marks(
    bad=r"^(?:missing|changed|learned)(?=: )|\b\d+ objects? differs?\b",
    meant=r"^(?:not part of the lab|foreign)(?=: )",
    good=r"\bno drift$",
)

#: ``netlab check`` and ``netlab test``
CHECK = _marks(
    bad=r"^FAIL\b|   (?:FAIL|ERROR|nothing was tested)$|\b[1-9]\d* failed\b|^error(?= )",
    meant=r"^warning(?= )|   ok, \d+ warnings?$",
    good=r"   ok$|\b(\d+) of \1 flows (?:as they should be|as predicted)\b|: \d+ ok$",
)

#: ``netlab diagnose``
DIAGNOSE = _marks(bad=r"^\d+\. [^:(]+", good=r"\bnothing found\b")

#: ``netlab explain``
EXPLAIN = _marks(
    good=r"(?<=: )open$|(?<=ress: )passes\b",
    meant=r"(?<=: )denied\b",
    bad=r"(?<=: )(?:timeout|refused|unreachable|mixed)\b",
)
