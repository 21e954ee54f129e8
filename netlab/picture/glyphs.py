"""Signs that a walk and its list share: the number of a hop, and the end of a lost packet."""

from __future__ import annotations

from netlab.picture.scene import Glyph, Group, Text


def badge(group: Group, x: float, y: float, number: int) -> None:
    """The number of a hop."""
    group.add(Glyph("M-8.5 0A8.5 8.5 0 1 0 8.5 0A8.5 8.5 0 1 0 -8.5 0", "badge ask", x, y))
    group.add(Text(x, y + 3.6, str(number), "num", "middle"))


def cross(group: Group, x: float, y: float) -> None:
    """The end of a lost packet."""
    group.add(Glyph("M-10 0A10 10 0 1 0 10 0A10 10 0 1 0 -10 0", "deathbed", x, y))
    group.add(Glyph("M-4.5 -4.5L4.5 4.5M4.5 -4.5L-4.5 4.5", "death", x, y))
