"""Names that are near to a wrong one: how every message of netlab ends that could guess what was meant."""

from __future__ import annotations

import re
from collections.abc import Iterable

# Measures of likeness as difflib has them: of names, and of words that a reader can look up.
_CLOSE = 0.6
_CLOSE_WORD = 0.7
_CLOSE_LABEL = 0.75
# What is called a misspelling, and not only likely: so many edits, and not more than one to so many letters.
_EDITS, _LETTERS_AN_EDIT = 2, 3


def near(word: str, words: Iterable[str], *, also: str = "") -> str:
    """`` (did you mean "X" or "Y"?)``, or ``""`` where nothing is near.  ``also`` is a suggestion that comes first."""
    import difflib  # here: only a mistake needs it

    names = list(dict.fromkeys(words))
    close = difflib.get_close_matches(word, names, n=2, cutoff=_CLOSE)
    # A short name in the wrong namespace is far by letters; what ends or starts alike is what was meant.
    close += [name for name in names if word and (name.endswith(f"/{word}") or name.startswith(f"{word}-"))][:2]
    return meant(also, *close)


def meant(*guesses: str) -> str:
    """The same for guesses that were found in another way; the first two that are not empty are said."""
    best = [f'"{guess}"' for guess in dict.fromkeys(guesses) if guess][:2]
    return f" (did you mean {' or '.join(best)}?)" if best else ""


def closest(word: str, words: Iterable[str]) -> str:
    """The word of a fixed vocabulary that was probably meant, whatever its case; ``""`` where none is near."""
    import difflib

    by_case = {each.lower(): each for each in words}
    matches = difflib.get_close_matches(word.lower(), by_case, 1, _CLOSE_WORD)
    return by_case[matches[0]] if matches else ""


def close(word: str, words: Iterable[str]) -> str:
    """The label that was misspelt: nearer than ``near`` asks for, since it is said of text that may be right."""
    import difflib

    matches = difflib.get_close_matches(word, list(words), 1, _CLOSE_LABEL)
    return matches[0] if matches else ""


def misspelt(word: str, words: Iterable[str]) -> str:
    """The value that was certainly meant: at most two edits away, and at most a third of the word; ``""`` for none.

    An edit is a character too much, missing or wrong, or two neighbours in the wrong order.  What differs in its numbers
    alone (``shard-3``, ``v1.2.4``) is another one of a series.
    """
    limit = min(_EDITS, len(word) // _LETTERS_AN_EDIT)
    series = _numberless(word)
    others = [each for each in words if abs(len(each) - len(word)) <= limit and _numberless(each) != series]
    near_by = ((_edits(word, each), each) for each in others)
    edits, nearest = min(near_by, default=(limit + 1, ""))
    return nearest if 0 < edits <= limit else ""


def _numberless(word: str) -> str:
    """A word with one sign for each number: equal for words that differ in their numbers alone."""
    return re.sub("[0-9]+", "0", word)


def _edits(word: str, other: str) -> int:
    """The distance of two words (optimal string alignment)."""
    before: list[int] = []
    row = list(range(len(other) + 1))
    for at, letter in enumerate(word, 1):
        before, last, row = row, before, [at]
        for index, wanted in enumerate(other, 1):
            least = min(before[index] + 1, row[-1] + 1, before[index - 1] + (letter != wanted))
            if at > 1 and index > 1 and letter == other[index - 2] and word[at - 2] == wanted:
                least = min(least, last[index - 2] + 1)
            row.append(least)
    return row[-1]
