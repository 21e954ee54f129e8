"""Nodes on the underlay's bars, the tunnels above them, hosts outside, and the spine of a routed underlay."""

from __future__ import annotations

from collections.abc import Sequence

from netlab.output.graph import External
from netlab.picture import node as nodes
from netlab.picture.cards import BAR, CHIP, Box
from netlab.picture.drawing import MARGIN, Drawing, port
from netlab.picture.metrics import width
from netlab.picture.scene import Anchor, Group, Line, Rect, Text
from netlab.picture.wiring import tunnel_text

APART = 24  # between nodes
FULL = 1500  # nodes that are together wider stand in several rows
SHAPE = 1.55  # width by height of a screen
OUTSIDE = 52  # the height of a host outside


def space(drawing: Drawing) -> float:
    """The height between the nodes' edge and the bar; tunnels need more."""
    return 74 if drawing.graph.tunnels else 40


def across(boxes: Sequence[Box]) -> float:
    """The width of nodes side by side."""
    return sum(box.width for box in boxes) + APART * max(0, len(boxes) - 1)


def per_row(boxes: Sequence[Box]) -> int:
    """The number of nodes in a row: all where they fit, else the number that comes next to the shape of a screen."""
    count = len(boxes)
    wide, high = sum(box.width + APART for box in boxes) / count, max(box.height for box in boxes)
    if count * wide <= FULL:
        return count

    def oddness(columns: int) -> float:
        rows = -(-count // columns)
        ratio = columns * wide / (rows * high + -(-rows // 2) * (124 + BAR + 26)) / SHAPE
        unpaired = 1.15 if rows > 2 and rows % 2 else 1
        return max(ratio, 1 / ratio) * (1 + 0.4 * (rows * columns - count) / count) * unpaired

    return min(range(1, count + 1), key=oddness)


def row(drawing: Drawing, group: Group, boxes: Sequence[Box], middle: float, y: float, sign: int) -> list[nodes.Spot]:
    """Nodes side by side around ``middle``, their edges at ``y``; ``sign`` 1: below it."""
    x = middle - across(boxes) / 2
    spots = []
    for box in boxes:
        spots.append(nodes.draw(drawing, group, box, x, y if sign > 0 else y - box.height, sign))
        x += box.width + APART
    return spots


def connect(drawing: Drawing, group: Group, spots: Sequence[nodes.Spot], bar: float, netns: str) -> None:
    """The veth pairs of the nodes to the bar at ``bar``, and the tunnels, a second bus between the edge and the bar."""
    for sign in (-1, 1):
        there = [spot for spot in spots if spot.sign == sign and spot.tunnels]
        if there:
            _tunnels(drawing, group, there, bar + BAR + space(drawing) - 32 if sign > 0 else bar - space(drawing) + 32)
    for spot in spots:
        side = bar + BAR if spot.sign > 0 else bar
        start = spot.edge - spot.sign * CHIP / 2
        if spot.tunnels:  # the bus of the tunnels passes behind the wire
            group.add(Rect(spot.eth0 - 4, min(start, side) + 2, 8, abs(side - start) - 4, "paper"))
        group.add(Line(((spot.eth0, start), (spot.eth0, side)), "wire", 0, f"wire:{spot.node.netns}/eth0"))
        group.add(port(spot.eth0, side))
        host = drawing.wiring.peer.get((spot.node.netns, "eth0"), (netns, spot.node.name))
        group.add(Text(spot.eth0 + 8, side + (13 if spot.sign > 0 else -7), host[1], "m9 mute"))
        drawing.scene.anchors[host] = Anchor(spot.eth0, spot.eth0, side, -14, 12 * spot.sign)


def _tunnels(drawing: Drawing, group: Group, spots: Sequence[nodes.Spot], y: float) -> None:
    ends = [x for spot in spots for x in spot.tunnels]
    for spot in spots:
        for x in spot.tunnels:
            group.add(Line(((x, spot.edge - spot.sign * CHIP / 2), (x, y)), "tunnel"))
    if max(ends) > min(ends):
        group.add(Line(((min(ends), y), (max(ends), y)), "tunnel"))
    if len(spots) > 1 and spots[0].sign < 0:
        left, right = spots[0].eth0, spots[1].tunnels[0]
        words = tunnel_text(drawing.wiring.tunnels[spots[0].node.netns][0])
        if width(words, "t10") < right - left - 12:
            group.add(Text((left + right) / 2, y - 6, words, "t10 over", "middle"))
    drawing.used.add("tunnel")


def outside_width(host: External) -> float:
    """The width of a host outside."""
    return max(110, width(host.name, "pname") + 24, width(" ".join(host.addresses), "m10") + 24)


def outsides(drawing: Drawing) -> float:
    """The width of all hosts outside."""
    return sum(outside_width(host) + 16 for host in drawing.graph.externals)


def outside(drawing: Drawing, group: Group, x: float, y: float, bar_bottom: float) -> None:
    """The hosts outside side by side from ``x``, with their veth pairs up to the bar."""
    for host in drawing.graph.externals:
        wide = outside_width(host)
        middle = x + wide / 2
        group.add(Line(((middle, bar_bottom), (middle, y - CHIP / 2)), "wire", 0, f"wire:{host.netns}/eth0"))
        group.add(port(middle, bar_bottom))
        host_box(drawing, group, host, x, y)
        end = drawing.wiring.peer.get((host.netns, "eth0"), (drawing.graph.underlay.netns, host.name))
        drawing.scene.anchors[end] = Anchor(middle, middle, bar_bottom, -14, 12)
        x += wide + 16


def host_box(drawing: Drawing, group: Group, host: External, x: float, y: float) -> None:
    """A host outside with its eth0 on its upper edge."""
    wide = outside_width(host)
    middle = x + wide / 2
    box = group.group(key=f"ext:{host.name}", style="pick node-like", title=f"host outside {host.name}")
    drawing.scene.boxes[f"ext:{host.name}"] = Rect(x, y, wide, OUTSIDE, "out", 2)
    box.add(drawing.scene.boxes[f"ext:{host.name}"], Rect(x + 3, y + 3, wide - 6, OUTSIDE - 6, "hair", 1))
    box.add(Text(middle, y + 24, host.name, "pname", "middle"))
    box.add(Text(middle, y + 39, " ".join(host.addresses), "m10 mute", "middle"))
    drawing.chip(middle, y, "eth0")
    drawing.scene.anchors[host.netns, "eth0"] = Anchor(middle, middle, y, -29)
    drawing.used.add("outside")


def router_text(gateways: Sequence[str]) -> str:
    """The words for a router with these addresses."""
    return "router " + " ".join(gateway.partition("/")[0] for gateway in gateways)


class Flat:
    """One segment: bands of nodes above and below a bar each."""

    def __init__(self, drawing: Drawing, boxes: list[Box]) -> None:
        self._drawing = drawing
        if per_row(boxes) < len(boxes):
            usual = sorted(box.width for box in boxes)[len(boxes) // 2]
            boxes = [box._replace(width=max(box.width, usual)) for box in boxes]
        count = per_row(boxes)
        self._rows = [boxes[i : i + count] for i in range(0, len(boxes), count)]
        self._left = MARGIN + (26 if len(self._rows) > 2 else 0)
        self._wide = max(*map(across, self._rows), outsides(drawing) + 330 if drawing.graph.externals else 0, 584)
        self.right = self._left + self._wide

    def draw(self, group: Group, top: float) -> float:
        """Draw from ``top`` on; the bottom."""
        drawing, under = self._drawing, self._drawing.graph.underlay
        bands = [self._rows[i : i + 2] for i in range(0, len(self._rows), 2)]
        middle, gap, bars, y = self._left + self._wide / 2, space(drawing), [], top
        for band in bands:
            above, below = band[0], band[1] if len(band) > 1 else []
            bar = y + max(box.height for box in above) + gap
            is_last = band is bands[-1]
            router = router_text(under.gateways) if is_last else ""
            room = max(width(router, "m10") + 92, outsides(drawing) + 20)
            words = "underlay switch br0   " + " ".join(under.cidrs)
            drawing.bar(group, self._left, bar, self._wide, under.netns, words, router, room)
            bars.append(bar + BAR / 2)
            spots = row(drawing, group, above, middle, bar - gap, -1)
            y = bar + BAR
            if below:
                spots += row(drawing, group, below, middle, y + gap, 1)
                y += gap + max(box.height for box in below) + (8 if is_last else 26)
            connect(drawing, group, spots, bar, under.netns)
            if is_last and drawing.graph.externals:
                y += 0 if below else 44
                outside(drawing, group, self.right - outsides(drawing) + 16, y, bar + BAR)
                y += OUTSIDE + 14
            elif not below:
                y += 12
        if len(bars) > 1:  # the bars are one switch
            x = self._left - 18
            group.add(
                Line(((x, bars[0]), (x, bars[-1])), "wire"),
                *(Line(((x, bar), (self._left, bar)), "wire") for bar in bars),
            )
        return y


class Racks:
    """A switch and a router in each rack, and a spine between the routers."""

    def __init__(self, drawing: Drawing, boxes: list[Box]) -> None:
        self._drawing = drawing
        self._racks = [
            (
                rack,
                [box for box in boxes if box.node.rack == rack.name],
                f"{rack.name} switch br0  {' '.join(rack.cidrs)}",
            )
            for rack in drawing.graph.racks
        ]
        self._inner = [max(across(there), width(words, "t11 b") + 210) for _, there, words in self._racks]
        self._height = max(box.height for box in boxes)
        self.right = MARGIN + sum(self._inner) + 40 * len(self._inner) + 26 * (len(self._inner) - 1)

    def draw(self, group: Group, top: float) -> float:
        """Draw from ``top`` on; the bottom."""
        drawing, x, gap = self._drawing, float(MARGIN), space(self._drawing)
        bar = top + 30 + self._height + gap
        uplinks = []
        for (rack, boxes, words), inner in zip(self._racks, self._inner, strict=True):
            group.add(
                Rect(x, top, inner + 40, bar + BAR + 20 - top, "rack", 8), Text(x + 14, top + 20, rack.name, "cap mute")
            )
            drawing.bar(group, x + 20, bar, inner, rack.netns, words, router_text(rack.gateways), 190)
            connect(drawing, group, row(drawing, group, boxes, x + 20 + inner / 2, bar - gap, -1), bar, rack.netns)
            uplinks.append((rack.name, rack.netns, x + inner - 55))
            x += inner + 66
        return self._spine(group, uplinks, bar + BAR)

    def _spine(self, group: Group, uplinks: Sequence[tuple[str, str, float]], bottom: float) -> float:
        drawing, under = self._drawing, self._drawing.graph.underlay
        y, wide = bottom + 66, max(300.0, width("spine router", "t11 b") + 240)
        middle = (MARGIN + self.right) / 2
        left = middle - wide / 2
        box = group.group(key=f"if:{under.netns}/spine", style="pick", title="spine router")
        knows = "has routes to the Pods" if under.learns_pod_routes else "has no route to Pods"
        box.add(Rect(left, y, wide, 34, "bar", 5), Text(left + 14, y + 21, "spine router", "t11 b"))
        box.add(Text(left + wide - 14, y + 21, knows, "t10 mute", "end"))
        for index, (rack, netns, x) in enumerate(uplinks):
            end = left + wide * (index + 1) / (len(uplinks) + 1)
            lane = y - 18 - (4 * index if len(uplinks) > 2 else 0)
            path = ((x, bottom), (x, lane), (end, lane), (end, y))
            peer = drawing.wiring.peer.get((netns, "uplink"), (under.netns, rack))
            group.add(
                Line(path, "wire", 8), port(x, bottom), port(end, y), Text(x + 8, bottom + 13, "uplink", "m9 mute")
            )
            beside = (8, "start") if end >= middle else (-8, "end")
            group.add(Text(end + beside[0], y - 6, peer[1], "m9 mute", beside[1]))
            drawing.scene.anchors[netns, "uplink"] = Anchor(x, x, bottom, -14, 12)
            drawing.scene.anchors[peer] = Anchor(end, end, y, 0, 16)
            drawing.scene.wires[frozenset(((netns, "uplink"), peer))] = path
        if not drawing.graph.externals:
            return y + 46
        outside(drawing, group, left, y + 74, y + 34)
        return y + 74 + OUTSIDE + 8
