"""The cards in a node: a Pod each, or a workload each with a square a Pod where a node has many Pods; and their measures."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from ipaddress import ip_address

from netlab.output.graph import Graph, Node, Pod
from netlab.picture.metrics import width
from netlab.picture.tags import Tags
from netlab.picture.wiring import Wiring, chip_text
from netlab.tuples import NamedTuple

PAD, GAP = 18, 16  # inside a node; between cards
CARD, LINE = 140, 14  # a card's width; a line of text
CHIP = 17  # the height of an interface's chip, half of it on each side of the edge
BAR = 24
WIRE = 54  # between a Pod's chip and the bridge
EDGE = 46  # between the bridge and the node's edge
ROW = 26  # between two rows of cards
SINGLE = 6  # a node shows at most so many Pods one by one
SQUARE, STEP, PER = 10, 13, 10  # a Pod's square, the distance to the next, squares in a row


class Card(NamedTuple):
    """A Pod, or the Pods of a workload (``folded``); ``more`` stands under the name."""

    pods: tuple[Pod, ...]
    name: str
    folded: bool
    height: float
    more: str = ""


class Box(NamedTuple):
    """A node with its measures; ``rules`` names the nftables tables of netlab in it."""

    node: Node
    cards: tuple[Card, ...]
    columns: int
    width: float
    height: float
    rules: str

    def rows(self) -> list[tuple[Card, ...]]:
        """The rows of cards, from the node's far side to its edge."""
        return [self.cards[i : i + self.columns] for i in range(0, len(self.cards), self.columns)]


def workload(pod: Pod) -> str:
    """namespace/name of a Pod's controller; without one the name, but for a number at its end."""
    name = pod.owner.partition("/")[2] if pod.owner else re.sub(r"-[0-9]+$", "", pod.name)
    return f"{pod.namespace}/{name}"


def boxes(graph: Graph, wiring: Wiring, tags: Tags, pods: Sequence[Pod], *, narrow: bool = False) -> list[Box]:
    """The nodes of a lab with their cards, measured; ``narrow``: at most two cards side by side."""
    by_node: dict[str, list[Pod]] = defaultdict(list)
    for pod in pods:
        by_node[pod.node].append(pod)
    fold = max(map(len, by_node.values()), default=0) > SINGLE
    most = 2 if narrow else 4 if len(graph.nodes) == 1 else 3
    return [
        _box(graph, wiring, tags, node, _cards(by_node[node.name], fold, len(graph.families)), most)
        for node in graph.nodes
    ]


def _cards(pods: Sequence[Pod], fold: bool, families: int) -> tuple[Card, ...]:
    if not fold:
        return tuple(_single(pod, families) for pod in pods)
    groups: dict[str, list[Pod]] = defaultdict(list)
    for pod in pods:
        groups[workload(pod)].append(pod)
    cards = [
        _folded(there, name.partition("/")[2]) if len(there) > 1 else _single(there[0], families)
        for name, there in groups.items()
    ]
    if len(cards) > SINGLE:
        cards.sort(key=lambda card: -len(card.pods))
        rest = [pod for card in cards[SINGLE - 1 :] for pod in card.pods]
        cards[SINGLE - 1 :] = [_folded(rest, f"{len(cards) - SINGLE + 1} more workloads")]
    return tuple(cards)


def _single(pod: Pod, families: int) -> Card:
    name, more = pod.name, ""
    own = workload(pod).partition("/")[2] if pod.owner else ""
    if own and name.startswith(own) and name != own:
        name, more = own, f"…{name[len(own) :]}"
    if pod.namespace != "default":
        more = f"{pod.namespace} {more}".strip()
    return Card((pod,), name, False, 28 + (families + bool(more)) * LINE + CHIP / 2, more)


def _folded(pods: Sequence[Pod], name: str) -> Card:
    rows = -(-len(pods) // PER)
    return Card(tuple(pods), name, True, 50 + rows * STEP + CHIP / 2)


def _box(graph: Graph, wiring: Wiring, tags: Tags, node: Node, cards: tuple[Card, ...], most: int) -> Box:
    columns = max(1, min(len(cards), 2 if len(cards) == 4 and most < 4 else most))
    rules = _rules(graph, tags, cards)
    head = width(node.name, "nname") + width(" ".join(node.pod_cidrs), "m10") + 24
    inside = (
        columns * CARD + (columns - 1) * GAP,
        head,
        edge_width(wiring, node),
        min(width(bridge_text(wiring, node), "m10") + 70, 330 if most > 2 else 2 * CARD + GAP),
        width(rules, "t10"),
    )
    high = 34.0 + (15 if rules else 0) + WIRE + BAR + EDGE
    box = Box(node, cards, columns, 2 * PAD + max(inside), 0, rules)
    rows = box.rows()
    high += sum(max(card.height for card in row) for row in rows) + ROW * max(0, len(rows) - 1)
    return box._replace(height=high)


def _rules(graph: Graph, tags: Tags, cards: Sequence[Card]) -> str:
    policed = any(
        tag.style == "pol"
        for card in cards
        for pod in card.pods
        for tag in tags.of_pod.get(f"{pod.namespace}/{pod.name}", ())
    )
    words = ["kube-proxy"] * bool(graph.services) + ["policies"] * policed
    return f"nftables: {', '.join(words)}" if words else ""


def bridge_text(wiring: Wiring, node: Node) -> str:
    """The addresses of a node's bridge."""
    return " · ".join(wiring.addresses.get((node.netns, wiring.bridge(node)), ()))


def chip_width(name: str, rest: str) -> float:
    """The width of an interface's chip."""
    return width(name, "m10") + (width(rest, "m10") + 8 if rest else 0) + 14


def edge_width(wiring: Wiring, node: Node) -> float:
    """The width of all chips at a node's edge."""
    tunnels = sum(chip_width(tunnel.dev, chip_text(tunnel)) + 18 for tunnel in wiring.tunnels[node.netns])
    return chip_width("eth0", node.addresses[0]) + tunnels


def span(pods: Sequence[Pod]) -> str:
    """The addresses of Pods, from the lowest to the highest of the first family."""
    addresses = sorted(
        {ip_address(pod.addresses[0]) for pod in pods if pod.addresses}, key=lambda each: (each.version, int(each))
    )
    if not addresses:
        return ""
    low, high = str(addresses[0]), str(addresses[-1])
    if low == high:
        return low
    return f"{low} – .{high.rpartition('.')[2]}" if addresses[0].version == 4 else f"{low} …"
