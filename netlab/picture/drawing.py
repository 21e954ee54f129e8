"""What all parts of a topology's picture share: the scene, the links, the tags, the words for the legend; and the chip."""

from __future__ import annotations

from dataclasses import field

from netlab.output.graph import Graph
from netlab.picture.cards import CHIP, chip_width
from netlab.picture.metrics import width
from netlab.picture.scene import Anchor, Group, Line, Rect, Scene, Text
from netlab.picture.tags import Tags
from netlab.picture.wiring import Wiring
from netlab.values import dataclass

MARGIN = 28
PORT = 8  # the side of a bridge's port


@dataclass(slots=True)
class Drawing:
    """``used`` are the words of the legend that the picture needs."""

    graph: Graph
    wiring: Wiring
    tags: Tags
    scene: Scene
    used: set[str] = field(default_factory=set)

    def chip(
        self,
        middle: float,
        y: float,
        name: str,
        rest: str = "",
        *,
        tunnel: bool = False,
        key: str = "",
        title: str = "",
    ) -> None:
        """An interface, across the edge at ``y``."""
        wide = chip_width(name, rest)
        group = self.scene.front.group(key=key, style="pick" if key else "", title=title)
        group.add(Rect(middle - wide / 2, y - CHIP / 2, wide, CHIP, "chip over" if tunnel else "chip", 4))
        if rest:
            group.add(Text(middle - wide / 2 + 7, y + 3.5, name, "m10 b"))
            group.add(Text(middle + wide / 2 - 7, y + 3.5, rest, "m10 over" if tunnel else "m10", "end"))
        else:
            group.add(Text(middle, y + 3.5, name, "m10", "middle"))

    def bar(
        self,
        group: Group,
        x: float,
        y: float,
        wide: float,
        netns: str,
        words: str,
        router: str = "",
        router_width: float = 0,
    ) -> None:
        """The underlay's bridge br0 in a namespace, at its right end the router."""
        bar = group.group(key=f"if:{netns}/br0", style="pick", title=words)
        bar.add(Rect(x, y, wide, 24, "bar", 5))
        self.scene.front.add(Text(x + 12, y + 16, words, "t11 b onbar"))
        left = x + 12
        if router:
            bar.add(Line(((x + wide - router_width, y), (x + wide - router_width, y + 24)), "inner"))
            self.scene.front.add(Text(x + wide - 12, y + 16, router, "m10 onbar", "end"))
            left = x + wide - router_width + 12
        self.scene.anchors[netns, "br0"] = Anchor(left, x + wide - 12, y + 12)


def port(x: float, y: float) -> Rect:
    """A port of a bridge, or the host's end of a veth pair."""
    return Rect(x - PORT / 2, y - PORT / 2, PORT, PORT, "port", 1.5)


def plural(number: int, noun: str) -> str:
    """A number with its noun."""
    return f"{number} {noun}" + "s" * (number != 1)


def label_width(text: str, style: str) -> float:
    """The width of a label with room on both sides."""
    return width(text, style) + 6
