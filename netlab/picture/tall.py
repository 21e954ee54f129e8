"""The underlay of one segment for a narrow screen: nodes under each other, and its bar upright at their left."""

from __future__ import annotations

from netlab.picture import node as nodes
from netlab.picture.cards import CHIP, Box
from netlab.picture.drawing import Drawing, port
from netlab.picture.scene import Anchor, Group, Line, Point, Rect, Text
from netlab.picture.underlay import OUTSIDE, host_box, outside_width, router_text
from netlab.picture.wiring import tunnel_text

SIDE = 14  # at the picture's sides
_BAR = 24  # the bar's width
_BUS = SIDE + _BAR + 14  # the tunnels' own line
_LEFT = _BUS + 14  # of the nodes
_TUNNEL = 22  # from a node's edge to the line of its tunnel
_MIDDLE = SIDE + _BAR / 2


class Tall:
    """All nodes as wide as the widest, each below the node before it."""

    def __init__(self, drawing: Drawing, boxes: list[Box]) -> None:
        self._drawing = drawing
        hosts = max(map(outside_width, drawing.graph.externals), default=0)
        wide = max(hosts, *(box.width for box in boxes))
        self._boxes = [box._replace(width=wide) for box in boxes]
        self._wire = 42 if drawing.graph.tunnels else 24  # from a node's edge to its wire
        self.right = _LEFT + wide

    def draw(self, group: Group, top: float) -> float:
        """Draw from ``top`` on; the bottom."""
        drawing, under = self._drawing, self._drawing.graph.underlay
        words = "underlay switch br0  " + " ".join(under.cidrs)
        group.add(Text(SIDE, top + 9, words, "t11 b"))
        bar = group.group(key=f"if:{under.netns}/br0", style="pick", title=words)
        first, y, spots = top + 18, top + 22, []
        for box in self._boxes:
            spots.append(nodes.draw(drawing, group, box, _LEFT, y, -1))
            y += box.height + self._wire + 22
        self._tunnels(group, spots)
        for spot in spots:
            self._uplink(group, spot)
        for host in drawing.graph.externals:
            y += 26
            middle = _LEFT + outside_width(host) / 2
            points = ((middle, y), (middle, y - 22), (_MIDDLE, y - 22))
            self._plug(group, (host.netns, "eth0"), points, host.name)
            host_box(drawing, group, host, _LEFT, y)
            y += OUTSIDE + 18
        bar.add(Rect(SIDE, first, _BAR, y - 10 - first, "bar", 5))
        drawing.scene.anchors[under.netns, "br0"] = Anchor(SIDE + 4, SIDE + _BAR - 4, y - 18)
        drawing.scene.lane = _MIDDLE
        drawing.used.add("bridge")
        if under.gateways:
            group.add(Text(SIDE, y + 6, router_text(under.gateways), "m10"))
            y += 16
        return y

    def _uplink(self, group: Group, spot: nodes.Spot) -> None:
        y = spot.edge + self._wire
        if spot.tunnels:  # the line of the tunnels passes behind the wire
            group.add(Rect(_BUS - 4, y - 4, 8, 8, "paper"))
        points = ((spot.eth0, spot.edge), (spot.eth0, y), (_MIDDLE, y))
        self._plug(group, (spot.node.netns, "eth0"), points, spot.node.name)

    def _plug(self, group: Group, end: tuple[str, str], points: tuple[Point, Point, Point], name: str) -> None:
        """The veth pair from ``end`` to the bar, with the name of its other end."""
        (x, edge), (_, y), _ = points
        start = edge + CHIP / 2 * (1 if y > edge else -1)
        group.add(Line(((x, start), (x, y), (SIDE + _BAR, y)), "wire", 6, f"wire:{end[0]}/{end[1]}"))
        group.add(port(SIDE + _BAR, y))
        host = self._drawing.wiring.peer.get(end, (self._drawing.graph.underlay.netns, name))
        group.add(Text(_BUS + 8, y + 12, host[1], "m9 mute"))
        self._drawing.scene.anchors[host] = Anchor(_MIDDLE, _MIDDLE, y, 0, -17)
        self._drawing.scene.wires[frozenset((end, host))] = points

    def _tunnels(self, group: Group, spots: list[nodes.Spot]) -> None:
        there = [spot for spot in spots if spot.tunnels]
        if not there:
            return
        for spot in there:
            y = spot.edge + _TUNNEL
            for x in spot.tunnels:
                group.add(Line(((x, spot.edge + CHIP / 2), (x, y)), "tunnel"))
            group.add(Line(((spot.tunnels[-1], y), (_BUS, y)), "tunnel"))
        group.add(Line(((_BUS, there[0].edge + _TUNNEL), (_BUS, there[-1].edge + _TUNNEL)), "tunnel"))
        words = tunnel_text(self._drawing.wiring.tunnels[there[0].node.netns][0])
        group.add(Text(_BUS + 8, there[0].edge + _TUNNEL + 12, words, "t10 over"))
        self._drawing.used.add("tunnel")
