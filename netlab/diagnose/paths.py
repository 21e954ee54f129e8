"""The way of a flow in words and as data: the path part of ``netlab explain``.  Nothing is sent.

A way is written namespace by namespace, with the interfaces that the packet passes in each:

    client eth0 > node-1 veth-client cni0 vxlan0 > VXLAN [node-1 eth0 > underlay node-1 node-2 > node-2 eth0] > ...

Where a policy denies, it ends in the node whose rules say so: the source's for egress, the target's for ingress.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from netlab.diagnose.annotate import end
from netlab.diagnose.document import leg
from netlab.diagnose.expect import Expecter, Journey
from netlab.diagnose.way import Hop, Way
from netlab.model.policies import EGRESS
from netlab.oracle.explain import Judged
from netlab.oracle.flow import Flow
from netlab.output import flows as output

_WIDTH = 100


@dataclass(frozen=True, slots=True)
class Path:
    """A flow's way; ``port`` is the translated target's, ``denied`` the direction whose policies end it ("": none)."""

    journey: Journey
    port: int
    denied: str = ""


def path(expecter: Expecter, flow: Flow, way: Judged | None = None) -> Path | None:
    """The way of a flow, of a Service by the backend of ``way``; None for a source that is nobody in the lab."""
    if not flow.src.netns:
        return None
    arrives = way.step.flow if way is not None else flow
    backend = arrives.address if arrives.address != flow.address else ""
    found = expecter.journey(flow, backend=backend)
    side = next((one for one in way.sides if not one.allowed), None) if way is not None else None
    if side is None or side.party.pod is None:
        return Path(found, arrives.port)
    node = next((one for one in expecter.known.cluster.nodes if one.name == side.party.pod.node), None)
    if node is None:
        return Path(found, arrives.port)
    says = f"policies deny {side.direction}"
    question = _until(found.question, node.netns, says, first=side.direction == EGRESS)
    return Path(replace(found, question=question, answer=None), arrives.port, side.direction)


def _until(way: Way, netns: str, says: str, *, first: bool) -> Way:
    """The way up to the rules of a node: before the packet goes on from there."""
    places = [
        number
        for number, hop in enumerate(way.hops)
        if hop.netns == netns and hop.direction == "in" and not hop.wrapped and _goes_on(way.hops, number)
    ]
    if not places:
        return way
    last = places[0 if first else -1]
    return replace(way, hops=way.hops[: last + 1], arrives=False, says=says, netns=netns)


def _goes_on(hops: Sequence[Hop], number: int) -> bool:
    """Whether the packet has come in as far as it will: what follows leaves the namespace, or is in another one."""
    following = hops[number + 1] if number + 1 < len(hops) else None
    return following is None or following.netns != hops[number].netns or following.direction == "out"


def text(way: Way, lab: str) -> str:
    """The way on one line."""
    parts = []
    for wrapped, group in groupby(way.hops, key=lambda hop: hop.wrapped):
        places = []
        for netns, inside in groupby(group, key=lambda hop: hop.netns):
            names = dict.fromkeys(hop.interface for hop in inside)
            places.append(f"{netns.removeprefix(f'{lab}-')} {' '.join(names)}")
        shown = " > ".join(places)
        parts.append(f"VXLAN [{shown}]" if wrapped else shown)
    found = " > ".join(parts) or way.netns.removeprefix(f"{lab}-")
    return found if way.arrives else f"{found}; ends there: {way.says}"


def tell(found: Path, lab: str, indent: str = "  ") -> Iterator[str]:
    """Lines: the way, the translations on it, the way back."""
    journey = found.journey
    yield from _wrapped(f"{indent}path: {text(journey.question, lab)}", indent)
    for netns in journey.question.translated:
        yield f"{indent}  {netns.removeprefix(f'{lab}-')} translates the target to {end(journey.backend, found.port)}"
    if journey.answer is None:
        return
    if journey.seen_as and journey.seen_as != journey.source:
        yield f"{indent}  the target sees {journey.seen_as} and not {journey.source}: it is masqueraded"
    if not _mirrored(journey):
        yield from _wrapped(f"{indent}back: {text(journey.answer, lab)}", indent)


def _mirrored(journey: Journey) -> bool:
    """Whether the answer takes the same way back, which then need not be written again."""
    answer = journey.answer
    if answer is None or not answer.arrives:
        return False
    back = [(hop.netns, hop.interface) for hop in reversed(answer.hops)]
    return [(hop.netns, hop.interface) for hop in journey.question.hops] == back


def _wrapped(line: str, indent: str) -> Iterator[str]:
    yield from textwrap.wrap(
        line, _WIDTH, initial_indent="", subsequent_indent=f"{indent}  ", break_long_words=False, break_on_hyphens=False
    )


def document(found: Path) -> output.Path:
    """The same as a document."""
    journey = found.journey
    return output.Path(
        question=leg(journey.question),
        answer=leg(journey.answer) if journey.answer else None,
        translated_in=tuple(journey.question.translated),
        target=journey.backend or None,
        target_port=found.port if journey.backend else None,
        source=journey.source or None,
        seen_as=journey.seen_as or None,
        denied_by=found.denied or None,
    )
