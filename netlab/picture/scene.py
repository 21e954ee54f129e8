"""A drawing as values: boxes, lines, texts and anchors in groups.  No SVG and no lab is in here.

``Group.key`` names what a group shows (``pod:default/web``, ``if:NETNS/eth0``): a page and a walk find it by that key.
All lengths are in pixels at scale 1; y points down.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import field

from netlab.tuples import NamedTuple
from netlab.values import dataclass

Point = tuple[float, float]

#: An interface: its namespace and its name.
Interface = tuple[str, str]


class Rect(NamedTuple):
    """A box; ``radius`` is that of its corners."""

    x: float
    y: float
    width: float
    height: float
    style: str
    radius: float = 0


class Line(NamedTuple):
    """A polyline; ``soft`` is the radius of its corners."""

    points: tuple[Point, ...]
    style: str
    soft: float = 0
    key: str = ""


class Text(NamedTuple):
    """A text; ``anchor`` as SVG's text-anchor; ``turned``: it rises to the right."""

    x: float
    y: float
    text: str
    style: str
    anchor: str = "start"
    turned: bool = False


class Glyph(NamedTuple):
    """A path of SVG around the point x, y."""

    path: str
    style: str
    x: float
    y: float


@dataclass(slots=True)
class Group:
    """Items that belong together; ``title`` is shown on hover and read by screen readers."""

    key: str = ""
    style: str = ""
    title: str = ""
    items: list[Rect | Line | Text | Glyph | Group] = field(default_factory=list)

    def add(self, *items: Rect | Line | Text | Glyph | Group) -> None:
        """Append items."""
        self.items += items

    def group(self, key: str = "", style: str = "", title: str = "") -> Group:
        """A new group at the end of this group."""
        made = Group(key, style, title)
        self.items.append(made)
        return made

    def walk(self) -> Iterator[Rect | Line | Text | Glyph | Group]:
        """Every item, groups before their own items."""
        for item in self.items:
            yield item
            if isinstance(item, Group):
                yield from item.walk()


class Anchor(NamedTuple):
    """The place of an interface: ``left`` to ``right`` at ``y``, a point where both are equal.

    ``dx``, ``dy``: from the point to a number beside it.
    """

    left: float
    right: float
    y: float
    dx: float = 0
    dy: float = 0

    @property
    def is_bar(self) -> bool:
        """Whether the interface is a bar, at any point of which a line may arrive."""
        return self.left != self.right

    def near(self, x: float) -> Point:
        """The point of the anchor that is next to ``x``."""
        return min(max(x, self.left), self.right), self.y


@dataclass(slots=True)
class Scene:
    """A picture.  A walk's line lies between ``root`` and ``front``; numbers and crosses are ``over`` both.

    ``wires`` are the points of wires that are not straight.  ``inward`` is 1 or -1 for each namespace of a node: the sign of
    y from its edge toward its inside.  ``lane`` is the x of an upright bar between the nodes, None where it lies.  ``twin``
    is the picture as lines of text.
    """

    title: str
    width: float = 0
    height: float = 0
    root: Group = field(default_factory=Group)
    front: Group = field(default_factory=lambda: Group(style="front"))
    over: Group = field(default_factory=lambda: Group(style="over-g"))
    anchors: dict[Interface, Anchor] = field(default_factory=dict)
    boxes: dict[str, Rect] = field(default_factory=dict)
    wires: dict[frozenset[Interface], tuple[Point, ...]] = field(default_factory=dict)
    inward: dict[str, int] = field(default_factory=dict)
    lane: float | None = None
    twin: list[str] = field(default_factory=list)

    def bar_of(self, netns: str) -> Anchor | None:
        """The bridge, or the routing table in place of a bridge, of a namespace."""
        return next((anchor for (place, _), anchor in self.anchors.items() if place == netns and anchor.is_bar), None)
