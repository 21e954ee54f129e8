"""The tags by which a Pod's corner names its Services and policies: S1, P1 with arrows (down: ingress, up: egress), T1 of a tier."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import field

from netlab.output.graph import Graph, Pod, Policy, Rule, Service, TierPolicy
from netlab.tuples import NamedTuple
from netlab.values import dataclass

INGRESS, EGRESS = "↓", "↑"


class Tag(NamedTuple):
    """A tag on a Pod; ``style`` is svc, pol, or another key of the legend."""

    text: str
    style: str


@dataclass(slots=True)
class Tags:
    """``services`` and ``policies`` have the tag of each, ``of_pod`` the tags of each Pod."""

    services: list[tuple[str, Service]] = field(default_factory=list)
    policies: list[tuple[str, Policy | TierPolicy]] = field(default_factory=list)
    of_pod: dict[str, list[Tag]] = field(default_factory=lambda: defaultdict(list))

    def shown(self, pod: Pod) -> list[Tag]:
        """The tags for a card: of more than two the number of each sort."""
        there = self.of_pod.get(name(pod), [])
        if len(there) <= 2:
            return there
        letters = dict.fromkeys(tag.text[0] for tag in there)
        sorts = [[tag for tag in there if tag.text[0] == letter] for letter in letters]
        return [tags[0] if len(tags) == 1 else Tag(f"{len(tags)}{tags[0].text[0]}", tags[0].style) for tags in sorts]


def name(thing: Pod | Service | Policy) -> str:
    """namespace/name, as documents name Pods."""
    return f"{thing.namespace}/{thing.name}"


def tags(graph: Graph) -> Tags:
    """The tags of a lab; netlab's own Services have none."""
    made = Tags()
    for service in graph.services:
        if not service.system:
            text = f"S{len(made.services) + 1}"
            made.services.append((text, service))
            for pod in dict.fromkeys(backend.pod for backend in service.backends if backend.pod):
                made.of_pod[pod].append(Tag(text, "svc"))
    for policy in graph.policies:
        text = f"P{len(made.policies) + 1}"
        made.policies.append((text, policy))
        arrows = INGRESS * policy.ingress + EGRESS * policy.egress
        for pod in policy.pods:
            made.of_pod[pod].append(Tag(text + arrows, "pol"))
    for number, tier in enumerate(graph.tiers, 1):
        made.policies.append((f"T{number}", tier))
        for pod in tier.pods:
            made.of_pod[pod].append(Tag(f"T{number}{_arrows(tier.rules)}", "pol"))
    return made


def _arrows(rules: Iterable[Rule]) -> str:
    directions = {rule.direction for rule in rules}
    return INGRESS * ("ingress" in directions) + EGRESS * ("egress" in directions)
