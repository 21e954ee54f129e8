"""Names that are near to a wrong one: the second half of an error message."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def near(word: str, known: Iterable[str], *, also: str = "") -> str:
    """``; did you mean X or Y?``, or ``""`` where nothing is near.  ``also`` is a suggestion that comes first."""
    names = list(dict.fromkeys(known))
    close = ([also] if also else []) + difflib.get_close_matches(word, names, n=2, cutoff=0.6)
    # A short name in the wrong namespace is far by letters; what ends or starts alike is what was meant.
    close += [name for name in names if word and (name.endswith(f"/{word}") or name.startswith(f"{word}-"))][:2]
    best = list(dict.fromkeys(close))[:2]
    return f"; did you mean {' or '.join(best)}?" if best else ""
