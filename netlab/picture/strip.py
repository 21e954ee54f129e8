"""Above the nodes: a card for each Service and each policy.  Below them: the legend."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from netlab.output.graph import Policy, Service, TierPolicy
from netlab.picture.drawing import MARGIN, Drawing, plural
from netlab.picture.metrics import fit, width
from netlab.picture.scene import Group, Line, Rect, Text
from netlab.tuples import NamedTuple

_MOST = 24  # cards of each sort; the rest is a number
_HEIGHT = 38

_SERVICES = "SERVICES, AS NFTABLES ENTRIES ON EVERY NODE"
_POLICIES = "NETWORK POLICIES, AS RULES ON THE NODES OF THEIR PODS"


class _Entry(NamedTuple):
    tag: str
    name: str
    left: str
    right: str
    key: str
    title: str


def draw(drawing: Drawing, group: Group, top: float, wide: float) -> float:
    """The cards from ``top`` on; the bottom."""
    entries = [_service(drawing, tag, service) for tag, service in drawing.tags.services]
    policies = [_policy(drawing, tag, policy) for tag, policy in drawing.tags.policies]
    y = _cards(group, top, wide, _SERVICES, entries, "svc") if entries else top
    y = _cards(group, y, wide, _POLICIES, policies, "pol") if policies else y
    return y + 6 if y > top else top


def _service(drawing: Drawing, tag: str, service: Service) -> _Entry:
    ports = ",".join(f"{port.port}" + f":{port.node_port}" * bool(port.node_port) for port in service.ports)
    address = service.cluster_ips[0] if service.cluster_ips else service.external_name or "headless"
    address = f"{address}:{ports}" if ports else address
    left = address if service.type == "ClusterIP" else f"{service.type} {address}"
    count = len({backend.pod or backend.address for backend in service.backends})
    right = f"→ {plural(count, 'Pod')}" if count else "no endpoints"
    if service.type == "ExternalName":
        right = ""
    title = f"Service {service.namespace}/{service.name}"
    return _Entry(tag, _name(drawing, service), left, right, f"svc:{service.namespace}/{service.name}", title)


def _policy(drawing: Drawing, tag: str, policy: Policy | TierPolicy) -> _Entry:
    counts = {way: sum(rule.direction == way for rule in policy.rules) for way in ("ingress", "egress")}
    if isinstance(policy, TierPolicy):
        ways = [
            f"{word}: {plural(counts[way], 'rule')}"
            for word, way in (("in", "ingress"), ("out", "egress"))
            if counts[way]
        ]
        return _Entry(
            tag, policy.name, fit(policy.subject, 190, "m10"), " ".join(ways), f"pol:{policy.name}", policy.kind
        )
    isolated = (("in", policy.ingress, "ingress"), ("out", policy.egress, "egress"))
    ways = [
        f"{word}: " + (plural(counts[way], "rule") if counts[way] else "denied")
        for word, is_on, way in isolated
        if is_on
    ]
    selector = fit(policy.selector or "all Pods", 190, "m10")
    title = f"NetworkPolicy {policy.namespace}/{policy.name}"
    return _Entry(tag, _name(drawing, policy), selector, " ".join(ways), f"pol:{policy.namespace}/{policy.name}", title)


def _name(drawing: Drawing, thing: Service | Policy) -> str:
    several = len({pod.namespace for pod in drawing.graph.pods if not pod.system}) > 1
    return f"{thing.namespace}/{thing.name}" if several and thing.namespace != "default" else thing.name


def _cards(group: Group, y: float, wide: float, caption: str, entries: Sequence[_Entry], style: str) -> float:
    group.add(Text(MARGIN, y + 8, fit(caption, wide - 2 * MARGIN, "cap"), "cap mute"))
    x, y = float(MARGIN), y + 17
    for entry in entries[:_MOST]:
        name, left = fit(entry.name, 190, "pname"), fit(entry.left, 190, "m10")
        tag = width(entry.tag, "t11 b")
        room = max(tag + 12 + width(name, "pname"), width(left, "m10") + 8 + width(entry.right, "t10")) + 24
        if x + room > wide - MARGIN and x > MARGIN:
            x, y = MARGIN, y + _HEIGHT + 8
        card = group.group(key=entry.key, style="pick", title=entry.title)
        card.add(Rect(x, y, room, _HEIGHT, f"{style}box", 6), Text(x + 10, y + 16, entry.tag, f"t11 b {style}"))
        card.add(Text(x + 17 + tag, y + 16, name, "pname"))
        card.add(Text(x + 10, y + 30, left, "m10"), Text(x + room - 10, y + 30, entry.right, "t10 mute", "end"))
        x += room + 10
    if len(entries) > _MOST:
        group.add(Text(x + 4, y + 23, f"and {len(entries) - _MOST} more", "t11 mute"))
    return y + _HEIGHT + 14


# The words of the legend in their order; the first is in every picture.
_LEGEND = {
    "wire": "veth pair",
    "bundle": "several veth pairs",
    "bridge": "bridge; squares are its ports",
    "fib": "routing table; squares are ends of veth pairs",
    "tunnel": "tunnel, carried by eth0",
    "fold": "a Pod each",
    "outside": "host outside the cluster",
    "svc": "is behind that Service",
    "pol": "is isolated by that policy: ↓ in, ↑ out",
}
_TAGS = {"svc": "S1", "pol": "P1↓"}  # a sample of each sort of tag


def legend(drawing: Drawing, group: Group, y: float, wide: float) -> float:
    """The legend of the words that the picture uses, from ``y`` on; the bottom."""
    group.add(Line(((MARGIN, y), (wide - MARGIN, y)), "hair"))
    x, y = float(MARGIN), y + 20
    for key, words in _LEGEND.items():
        if key != "wire" and key not in drawing.used:
            continue
        room = 56 + width(words, "t10")
        if x + room > wide - MARGIN:
            x, y = MARGIN, y + 20
        group.add(*_sample(key, x, y), Text(x + 32, y, words, "t10 mute"))
        x += room
    return y + 6


def _sample(key: str, x: float, y: float) -> Iterable[Rect | Line | Text]:
    line = ((x, y - 4), (x + 24, y - 4))
    match key:
        case "wire" | "tunnel":
            return (Line(line, key),)
        case "bundle":
            return Line(line, "bundle"), Line(line, "bundle2 onpaper")
        case "bridge" | "fib":
            return Rect(x, y - 9, 24, 11, "bar" if key == "bridge" else "fib", 3), Rect(x + 8, y - 12, 6, 6, "port", 1)
        case "fold":
            return Rect(x + 2, y - 9, 9, 9, "sqr", 2), Rect(x + 14, y - 9, 9, 9, "sqr", 2)
        case "outside":
            return Rect(x, y - 10, 24, 13, "out", 2), Rect(x + 3, y - 7, 18, 7, "hair", 1)
    return (Text(x + 12, y, _TAGS[key], f"t10 b {key}", "middle"),)
