"""The width of text, without a font at hand."""

from __future__ import annotations

# Advances of Inter 400 for ASCII from the space on, in thousandths of an em: the font's own table.
_REGULAR = (281,278,403,631,638,812,639,222,362,362,500,659,280,460,276,357,625,464,605,636,642,608,624,571,616,624,276,280,659,659,659,507,936,676,651,727,719,598,587,743,740,264,543,652,562,889,753,761,635,761,639,638,642,741,676,949,642,665,625,362,357,362,469,452,497,564,621,558,621,582,361,609,591,237,237,544,237,869,585,597,609,609,372,523,364,581,557,812,540,557,541,362,327,362,659)  # fmt: skip
_OTHER = 900  # a character that is not ASCII
_BOLD = 1.045  # Inter 600 over Inter 400, the mean over ASCII
_SLACK = 1.04  # without Inter, the system's font is at most so much wider
_MONO = 0.602  # of an em: DejaVu Sans Mono's; JetBrains Mono has 0.600

#: The size in pixels of each style of text, as picture.css has it.
SIZES = {"h1": 17, "h2": 11.5, "nname": 13.5, "pname": 12.5, "mono": 11, "m10": 10, "m9": 9.5, "t11": 11, "t10": 10.5}
SIZES |= {"cap": 10.5, "num": 10, "byte": 12}

_IS_MONO = frozenset(("mono", "m10", "m9", "byte"))
_IS_BOLD = frozenset(("h1", "nname", "pname", "cap", "num"))


def width(text: str, style: str) -> float:
    """The width of a text in pixels; the first word of ``style`` is its size, the word ``b`` makes it bold."""
    words = style.split()
    size = SIZES[words[0]]
    if words[0] in _IS_MONO:
        return len(text) * _MONO * size
    units = sum(_REGULAR[ord(char) - 32] if 32 <= ord(char) < 127 else _OTHER for char in text)
    return units / 1000 * size * _SLACK * (_BOLD if words[0] in _IS_BOLD or "b" in words else 1)


def fit(text: str, room: float, style: str) -> str:
    """The text, its middle left out where it is wider than ``room``: the ends of generated names tell them apart."""
    if width(text, style) <= room:
        return text
    for kept in range(len(text) - 1, 2, -1):
        tail = min(kept // 2, 6)
        short = f"{text[: kept - tail]}…{text[len(text) - tail :]}"
        if width(short, style) <= room:
            return short
    return f"{text[:1]}…"


def lines(text: str, room: float, style: str) -> list[str]:
    """The text in lines that are at most as wide as ``room``, but for a word that is wider."""
    made = [""]
    for word in text.split(" "):
        longer = f"{made[-1]} {word}".strip()
        if made[-1] and width(longer, style) > room:
            made.append(word)
        else:
            made[-1] = longer
    return made
