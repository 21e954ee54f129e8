"""A node: its cards, the veth pairs to its bridge (or to its routes), and the chips at its edge.

A node below the underlay's bar is the same drawing upside down, so that every eth0 faces the underlay.
"""

from __future__ import annotations

from netlab.output.graph import Node, Pod
from netlab.picture.cards import (
    BAR,
    CARD,
    CHIP,
    EDGE,
    GAP,
    LINE,
    PAD,
    PER,
    ROW,
    SQUARE,
    STEP,
    Box,
    Card,
    bridge_text,
    chip_width,
    edge_width,
    span,
    workload,
)
from netlab.picture.drawing import Drawing, label_width, port
from netlab.picture.metrics import fit, width
from netlab.picture.scene import Anchor, Group, Line, Rect, Text
from netlab.picture.tags import name
from netlab.picture.wiring import chip_text, tunnel_text
from netlab.tuples import NamedTuple


class Spot(NamedTuple):
    """A node as drawn: the middles of eth0 and of its tunnels' chips on the edge at ``edge``; ``sign`` 1: upside down."""

    node: Node
    eth0: float
    edge: float
    tunnels: tuple[float, ...]
    sign: int


class _Place(NamedTuple):
    """A node's box at x, y; ``sign`` is that of y from its edge toward its inside."""

    drawing: Drawing
    group: Group
    box: Box
    x: float
    y: float
    sign: int

    def top(self, far: float, size: float) -> float:
        """The top of a thing of this size that begins ``far`` from the side that the edge is not on."""
        return self.y + self.box.height - far - size if self.sign > 0 else self.y + far

    @property
    def edge(self) -> float:
        """The y of the edge that faces the underlay."""
        return self.y if self.sign > 0 else self.y + self.box.height

    @property
    def bar(self) -> float:
        """The top of the bridge."""
        return self.top(self.box.height - EDGE - BAR, BAR)

    @property
    def inner_side(self) -> float:
        """The side of the bridge that faces the Pods."""
        return self.bar + BAR if self.sign > 0 else self.bar

    @property
    def outer_side(self) -> float:
        """The side of the bridge that faces the edge."""
        return self.bar if self.sign > 0 else self.bar + BAR


def draw(drawing: Drawing, group: Group, box: Box, x: float, y: float, sign: int) -> Spot:
    """Draw a node with its upper left corner at x, y."""
    node, scene = box.node, drawing.scene
    place = _Place(drawing, group.group(key=f"node:{node.name}", style="node-g"), box, x, y, sign)
    frame = place.group.group(key=f"node:{node.name}", style="pick", title=f"node {node.name}")
    scene.boxes[f"node:{node.name}"] = Rect(x, y, box.width, box.height, "node", 10)
    frame.add(scene.boxes[f"node:{node.name}"])
    scene.inward[node.netns] = sign
    baseline = place.top(8, 18) + 14
    frame.add(Text(x + PAD, baseline, node.name, "nname"))
    frame.add(Text(x + box.width - PAD, baseline, " ".join(node.pod_cidrs), "m10 mute", "end"))
    far = 34.0
    if box.rules:
        frame.add(Text(x + PAD, place.top(28, 12) + 9, box.rules, "t10 mute"))
        far += 15
    _cards(place, far)
    _bridge(place)
    return _edge(place)


def _cards(place: _Place, far: float) -> None:
    box = place.box
    wires = place.group.group(style="wires")
    rows = box.rows()
    for index, row in enumerate(rows):
        tall = max(card.height for card in row)
        columns = len(row) if len(rows) == 1 else box.columns
        x = place.x + (box.width - columns * CARD - (columns - 1) * GAP) / 2
        for card in row:
            y = place.top(far + tall - card.height, card.height)
            _card(place, wires, card, x, y, is_last=index == len(rows) - 1)
            x += CARD + GAP
        far += tall + ROW


def _card(place: _Place, wires: Group, card: Card, x: float, y: float, *, is_last: bool) -> None:
    middle = x + CARD / 2
    edge = y if place.sign > 0 else y + card.height
    on_host = all(pod.host_network for pod in card.pods)
    if not on_host:
        _veth(place, wires, card, middle, edge, x - GAP / 2, is_last=is_last)
    body = y + (CHIP / 2 + 2 if place.sign > 0 else 2)
    if card.folded:
        _folded(place, card, x, y, body)
    else:
        _single(place, card, x, y, body, edge)
    if not on_host:
        count = f" ×{len(card.pods)}" if len(card.pods) > 1 else ""
        place.drawing.chip(middle, edge, f"eth0{count}")


def _veth(place: _Place, wires: Group, card: Card, middle: float, edge: float, gutter: float, *, is_last: bool) -> None:
    """The veth pair of a card; from a row that is not the last it goes between two cards of the next."""
    drawing, bar, sign = place.drawing, place.inner_side, place.sign
    start = edge - sign * CHIP / 2
    lane = start - sign * 5
    path = (
        ((middle, start), (middle, bar))
        if is_last
        else ((middle, start), (middle, lane), (gutter, lane), (gutter, bar))
    )
    end = path[-1][0]
    first = card.pods[0]
    if len(card.pods) > 1:
        wires.add(Line(path, "bundle", 6), Line(path, "bundle2", 6))
        label = f"{len(card.pods)} veth pairs"
        drawing.used.add("bundle")
    else:
        wires.add(Line(path, "wire", 6, f"wire:{first.netns}/eth0"))
        label = drawing.wiring.host_end(first)[1]
    wires.add(port(end, bar))
    wide = label_width(label, "m9")
    if is_last:
        y = bar + (31 if sign > 0 else -24)
        drawing.scene.front.add(
            Rect(end - wide / 2, y - 9, wide, 12, "node-fill"), Text(end, y, label, "m9 mute", "middle")
        )
    number = (-wide / 2 - 8, 28 if sign > 0 else -27) if is_last else (-14, 16 if sign > 0 else -16)
    for pod in card.pods:
        host = drawing.wiring.host_end(pod)
        drawing.scene.anchors[host] = Anchor(end, end, bar, *number)
        drawing.scene.wires[frozenset(((pod.netns, "eth0"), host))] = path


def _folded(place: _Place, card: Card, x: float, y: float, body: float) -> None:
    scene = place.drawing.scene
    group = place.group.group(key=f"fold:{place.box.node.name}/{workload(card.pods[0])}", style="fold")
    group.add(Rect(x, y, CARD, card.height, "card", 6))
    count = f"×{len(card.pods)}"
    group.add(Text(x + 10, body + 16, fit(card.name, CARD - 26 - width(count, "pname"), "pname"), "pname"))
    group.add(Text(x + CARD - 10, body + 16, count, "pname", "end"))
    group.add(Text(x + 10, body + 30, fit(span(card.pods), CARD - 20, "m10"), "m10 mute"))
    for index, pod in enumerate(card.pods):
        left, top = x + 7 + index % PER * STEP, body + 38 + index // PER * STEP
        square = group.group(key=f"pod:{name(pod)}", style="pick sq", title="\n".join((name(pod), *pod.addresses)))
        scene.boxes[f"pod:{name(pod)}"] = Rect(left, top, SQUARE, SQUARE, "sqr" if pod.ready else "sqr un", 2)
        square.add(scene.boxes[f"pod:{name(pod)}"])
        if not pod.host_network:
            scene.anchors[pod.netns, "eth0"] = Anchor(left + SQUARE / 2, left + SQUARE / 2, top + SQUARE / 2, -2, -14)
    place.drawing.used.add("fold")


def _single(place: _Place, card: Card, x: float, y: float, body: float, edge: float) -> None:
    drawing, (pod,) = place.drawing, card.pods
    group = place.group.group(key=f"pod:{name(pod)}", style="pick pod", title=f"Pod {name(pod)}")
    drawing.scene.boxes[f"pod:{name(pod)}"] = Rect(x, y, CARD, card.height, "card" if pod.ready else "card un", 6)
    group.add(drawing.scene.boxes[f"pod:{name(pod)}"])
    left = x + CARD - 9
    for tag in reversed(drawing.tags.shown(pod)):
        group.add(Text(left, body + 16, tag.text, f"t10 b {tag.style}", "end"))
        left -= width(tag.text, "t10 b") + 6
        drawing.used.add(tag.style)
    group.add(Text(x + 10, body + 16, fit(card.name, left - x - 12, "pname"), "pname"))
    y = body + 31
    if card.more:
        group.add(Text(x + 10, y, fit(card.more, CARD - 20, "t10"), "t10 mute"))
        y += LINE
    _ports(group, pod, x, y)
    for address in pod.addresses:
        style = "m10" if ":" in address else "mono"
        group.add(Text(x + 10, y, fit(address, CARD - 20, style), style))
        y += LINE
    if pod.host_network:
        group.add(Text(x + CARD - 9, y - LINE, "host network", "t10 mute", "end"))
    else:
        drawing.scene.anchors[pod.netns, "eth0"] = Anchor(x + CARD / 2, x + CARD / 2, edge, -29)


def _ports(group: Group, pod: Pod, x: float, y: float) -> None:
    """The ports of a Pod, right of its IPv4 address where there is room."""
    text = ":" + ",".join(str(number) for number in dict.fromkeys(each.port for each in pod.ports))
    is_short = pod.addresses and width(text, "m10") + width(pod.addresses[0], "mono") < CARD - 26
    if pod.ports and not pod.host_network and is_short:
        group.add(Text(x + CARD - 9, y, text, "m10 mute", "end"))


def _bridge(place: _Place) -> None:
    """The bridge, or the routes in place of a bridge."""
    drawing, box, x, y = place.drawing, place.box, place.x, place.bar
    node, front = box.node, drawing.scene.front
    bridge = drawing.wiring.bridge(node)
    group = place.group.group(key=f"if:{node.netns}/{bridge}", style="pick", title=bridge or "a route for each Pod")
    group.add(Rect(x + 8, y, box.width - 16, BAR, "bar" if bridge else "fib", 5))
    if bridge:
        addresses = fit(bridge_text(drawing.wiring, node), box.width - 2 * PAD - 70, "m10")
        front.add(Text(x + PAD + 2, y + 16, bridge, "m10 b onbar"))
        front.add(Text(x + box.width - PAD - 2, y + 16, addresses, "m10 onbar", "end"))
    else:
        words = "host routes: one for each Pod, no bridge" if box.width > 290 else "a host route for each Pod"
        front.add(Text(x + box.width / 2, y + 16, words, "t10 mute onnode", "middle"))
    drawing.scene.anchors[node.netns, bridge] = Anchor(x + 18, x + box.width - 18, y + BAR / 2)
    drawing.used.add("bridge" if bridge else "fib")


def _edge(place: _Place) -> Spot:
    """The chips at the edge: the tunnels, and eth0 at their right."""
    drawing, node, edge, outer = place.drawing, place.box.node, place.edge, place.outer_side
    group, tunnels = place.group, place.drawing.wiring.tunnels[node.netns]
    x = place.x + (place.box.width - edge_width(drawing.wiring, node)) / 2
    middles = []
    for tunnel in tunnels:
        wide = chip_width(tunnel.dev, chip_text(tunnel))
        middle = x + wide / 2
        bridged = drawing.wiring.is_port(tunnel)
        group.add(Line(((middle, outer), (middle, edge)), "wire" if bridged else "inner"))
        if bridged:
            group.add(port(middle, outer))
        drawing.scene.anchors[node.netns, tunnel.dev] = Anchor(middle, middle, edge, -wide / 2 - 6)
        title = f"{tunnel.dev}: {tunnel_text(tunnel)}" + f", local {tunnel.local}" * bool(tunnel.local)
        drawing.chip(
            middle, edge, tunnel.dev, chip_text(tunnel), tunnel=True, key=f"if:{node.netns}/{tunnel.dev}", title=title
        )
        middles.append(middle)
        x += wide + 18
    wide = chip_width("eth0", node.addresses[0])
    eth0 = x + wide / 2
    group.add(Line(((eth0, outer), (eth0, edge)), "inner"))
    title = f"eth0 of {node.name}: {' '.join(node.addresses)}"
    drawing.chip(eth0, edge, "eth0", node.addresses[0], key=f"if:{node.netns}/eth0", title=title)
    drawing.scene.anchors[node.netns, "eth0"] = Anchor(eth0, eth0, edge, wide / 2 + 6)
    routed = middles and not drawing.wiring.is_port(tunnels[0])
    middle = (middles[0] + eth0) / 2 if routed else eth0
    y = (outer + edge + place.sign * CHIP / 2) / 2 + 4 - (2 if middles else 0)
    group.add(Rect(middle - 25, y - 11, 50, 15, "node-fill"), Text(middle, y, "routing", "t10 mute", "middle"))
    return Spot(node, eth0, edge, tuple(middles), place.sign)
