"""A packet's walk on a lab's picture: a line through its hops, their numbers, and a cross where it was lost."""

from __future__ import annotations

from collections.abc import Sequence

from netlab.output.graph import Graph
from netlab.output.trace import Death, Trace
from netlab.picture.glyphs import badge, cross
from netlab.picture.hops import ANSWER, QUESTION, Hop, hops
from netlab.picture.layout import picture
from netlab.picture.scene import Anchor, Line, Point, Scene
from netlab.picture.walklist import listed
from netlab.tuples import NamedTuple

_BADGE = 17  # the least distance of two numbers


class Way(NamedTuple):
    """A packet's way through a picture: the points of its line, and each hop with its own point and that of its number.

    ``spot`` is where the packet was lost, None where it was not.
    """

    points: tuple[Point, ...]
    hops: tuple[Hop, ...]
    at: tuple[Point, ...]
    numbers: tuple[Point, ...]
    spot: Point | None


def way(scene: Scene, trace: Trace, name: str) -> Way:
    """The way of a trace's request (QUESTION) or of its reply (ANSWER)."""
    walked = hops(trace, name)
    points, at = _path(scene, walked)
    spot = None
    if trace.died and trace.died.way == name:
        spot = _spot(scene, trace.died, points)
        if points and spot != points[-1]:
            points += [(points[-1][0], spot[1]), spot]
    return Way(tuple(points), tuple(walked), tuple(at), tuple(_numbers(scene, walked, at)), spot)


def topology(graph: Graph, trace: Trace, *, narrow: bool = False) -> Scene:
    """The picture of a lab with all namespaces that a trace's packets saw; ``narrow`` as ``picture`` has it."""
    return picture(graph, {event.netns for event in trace.events if not event.copy}, narrow=narrow)


def walk(graph: Graph, trace: Trace) -> Scene:
    """The picture of a lab with the walk of a trace on it, and the list of its hops on the right."""
    scene = topology(graph, trace)
    scene.title = f"Lab {graph.lab}: {trace.from_} to {trace.to or trace.address}"
    request, reply = way(scene, trace, QUESTION), way(scene, trace, ANSWER)
    group = scene.root.group(style="walk")
    if reply.hops:
        group.add(Line(tuple((x + 4, y + 4) for x, y in reply.points), "go ans", 7))
    group.add(Line(request.points, "halo", 7), Line(request.points, "go ask", 7))
    for hop, (x, y) in zip(request.hops, request.numbers, strict=True):
        badge(scene.over, x, y, hop.number)
    if spot := request.spot or reply.spot:
        cross(scene.over, *spot)
    listed(scene, trace, request.hops, reply.hops)
    return scene


def _path(scene: Scene, walked: Sequence[Hop]) -> tuple[list[Point], list[Point]]:
    """The line through the anchors of the hops, and each hop's own point on it."""
    points: list[Point] = []
    at: list[Point] = []
    anchors = [scene.anchors.get((hop.netns, hop.interface)) for hop in walked]
    for index, (hop, anchor) in enumerate(zip(walked, anchors, strict=True)):
        if anchor is None:  # an interface that the picture does not show
            at.append(at[-1] if at else (0, 0))
            continue
        following = next((each for each in anchors[index + 1 :] if each), None)
        here = anchor.near((following.left + following.right) / 2 if following else points[-1][0] if points else 0)
        if points:
            points += _between(scene, walked[index - 1], hop, anchor, points[-1], here)
        points.append(here)
        at.append(here)
    return points, at


def _between(scene: Scene, before: Hop, hop: Hop, anchor: Anchor, last: Point, here: Point) -> list[Point]:
    """The corners of the line from ``last`` to ``here``."""
    wire = scene.wires.get(frozenset(((before.netns, before.interface), (hop.netns, hop.interface))))
    bar = scene.bar_of(hop.netns)
    if wire and len(wire) > 2:
        along = wire if abs(wire[0][1] - last[1]) < abs(wire[-1][1] - last[1]) else wire[::-1]
        return [point for point in along if point not in (last, here)]
    if anchor.is_bar:
        return [(last[0], anchor.y)]  # onto the bar, then along it
    if bar and hop.netns == before.netns and max(abs(last[1] - bar.y), abs(here[1] - bar.y)) < 16:
        return [(last[0], bar.y), (here[0], bar.y)]  # bridged, from port to port
    if last[0] == here[0]:
        return []
    if abs(last[1] - here[1]) < 1:  # from a chip of the edge to another, through the node
        turn = scene.inward.get(hop.netns, -1) * 17
        return [(last[0], last[1] + turn), (here[0], here[1] + turn)]
    return [(here[0], last[1])]


def _numbers(scene: Scene, walked: Sequence[Hop], at: Sequence[Point]) -> list[Point]:
    """The place of each hop's number: beside a chip or a port; over or under a bar, where the packet leaves it."""
    made: list[Point] = []
    for index, (hop, (x, y)) in enumerate(zip(walked, at, strict=True)):
        anchor = scene.anchors.get((hop.netns, hop.interface)) or Anchor(x, x, y)
        left, top = x + anchor.dx, y + anchor.dy
        if anchor.is_bar and index + 1 < len(at):
            top += 22 if at[index + 1][1] > y else -22
        while any(abs(left - u) < _BADGE and abs(top - v) < _BADGE for u, v in made):
            left -= _BADGE + 1
        made.append((left, top))
    return made


def _spot(scene: Scene, died: Death, points: Sequence[Point]) -> Point:
    """The place where a packet was lost."""
    last = points[-1] if points else (0, 0)
    bar = scene.bar_of(died.netns)
    anchor = scene.anchors.get((died.netns, died.interface or ""))
    if died.hook and bar:
        toward = anchor.left if anchor and not anchor.is_bar else bar.right
        return bar.near((last[0] + toward) / 2)
    if anchor:
        x, y = anchor.near(last[0])
        return min(x + 30, anchor.right), y
    return last
