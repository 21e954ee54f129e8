"""The path of a flow as text and as data, for ``netlab explain``.  Nothing is sent.

A path is written namespace by namespace, with the interfaces on the path in each:

    client eth0 > node-1 veth-client cni0 vxlan0 > VXLAN [node-1 eth0 > underlay node-1 node-2 > node-2 eth0] > ...

A denied path ends at the node with the rules: the source's node for egress, the target's for ingress.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import groupby

from netlab.diagnose.annotate import end
from netlab.diagnose.document import leg
from netlab.diagnose.expected.expect import Expecter, RoundTrip
from netlab.diagnose.expected.path import Hop, Path
from netlab.model.cluster.policies import EGRESS
from netlab.oracle.explain import Judged
from netlab.oracle.flow import Flow
from netlab.output import flows as output
from netlab.values import dataclass

_WIDTH = 100


@dataclass(frozen=True, slots=True)
class FlowPath:
    """A flow's paths; ``port`` is the translated port, ``denied`` the direction whose policies deny it ("": none)."""

    round_trip: RoundTrip
    port: int
    denied: str = ""


def flow_path(expecter: Expecter, flow: Flow, judged: Judged | None = None) -> FlowPath | None:
    """The path of a flow, to the backend in ``judged``; None for a source outside the lab."""
    if not flow.src.netns:
        return None
    arrives = judged.step.flow if judged is not None else flow
    backend = arrives.address if arrives.address != flow.address else ""
    round_trip = expecter.round_trip(flow, backend=backend)
    side = next((party for party in judged.sides if not party.allowed), None) if judged is not None else None
    if side is None or side.party.pod is None:
        return FlowPath(round_trip, arrives.port)
    nodes = expecter.endpoints.cluster.nodes
    node = next((node for node in nodes if node.name == side.party.pod.node), None)
    if node is None:
        return FlowPath(round_trip, arrives.port)
    reason = f"policies deny {side.direction}"
    request = _until(round_trip.request, node.netns, reason, first=side.direction == EGRESS)
    return FlowPath(replace(round_trip, request=request, reply=None), arrives.port, side.direction)


def _until(path: Path, netns: str, reason: str, *, first: bool) -> Path:
    """The path up to a node's rules, before the packet leaves the node."""
    positions = [
        number
        for number, hop in enumerate(path.hops)
        if hop.netns == netns and hop.direction == "in" and not hop.encapsulated and _goes_on(path.hops, number)
    ]
    if not positions:
        return path
    last = positions[0 if first else -1]
    return replace(path, hops=path.hops[: last + 1], arrives=False, reason=reason, netns=netns)


def _goes_on(hops: Sequence[Hop], number: int) -> bool:
    """Whether the next hop leaves the namespace or is in another one."""
    following = hops[number + 1] if number + 1 < len(hops) else None
    return following is None or following.netns != hops[number].netns or following.direction == "out"


def text(path: Path, lab: str) -> str:
    """The path on one line."""
    parts = []
    for encapsulated, group in groupby(path.hops, key=lambda hop: hop.encapsulated):
        namespaces = []
        for netns, inside in groupby(group, key=lambda hop: hop.netns):
            names = dict.fromkeys(hop.interface for hop in inside)
            namespaces.append(f"{netns.removeprefix(f'{lab}-')} {' '.join(names)}")
        shown = " > ".join(namespaces)
        parts.append(f"{path.encapsulation} [{shown}]" if encapsulated else shown)
    line = " > ".join(parts) or path.netns.removeprefix(f"{lab}-")
    return line if path.arrives else f"{line}; ends there: {path.reason}"


def tell(path: FlowPath, lab: str, indent: str = "  ") -> Iterator[str]:
    """Lines: the path, its translations, and the reply's path."""
    round_trip = path.round_trip
    yield from _folded(f"{indent}path: {text(round_trip.request, lab)}", indent)
    for netns in round_trip.request.translated:
        yield f"{indent}  {netns.removeprefix(f'{lab}-')} translates the target to {end(round_trip.backend, path.port)}"
    if round_trip.reply is None:
        return
    if round_trip.seen_as and round_trip.seen_as != round_trip.source:
        yield f"{indent}  the target sees {round_trip.seen_as} and not {round_trip.source}: it is masqueraded"
    if not _mirrored(round_trip):
        yield from _folded(f"{indent}back: {text(round_trip.reply, lab)}", indent)


def _mirrored(round_trip: RoundTrip) -> bool:
    """Whether the reply takes the reverse path, which is then not printed."""
    reply = round_trip.reply
    if reply is None or not reply.arrives:
        return False
    back = [hop.at for hop in reversed(reply.hops)]
    return [hop.at for hop in round_trip.request.hops] == back


def _folded(line: str, indent: str) -> Iterator[str]:
    yield from textwrap.wrap(
        line, _WIDTH, initial_indent="", subsequent_indent=f"{indent}  ", break_long_words=False, break_on_hyphens=False
    )


def document(path: FlowPath) -> output.Path:
    """The document of the paths."""
    round_trip = path.round_trip
    return output.Path(
        question=leg(round_trip.request),
        answer=leg(round_trip.reply) if round_trip.reply else None,
        translated_in=tuple(round_trip.request.translated),
        target=round_trip.backend or None,
        target_port=path.port if round_trip.backend else None,
        source=round_trip.source or None,
        seen_as=round_trip.seen_as or None,
        denied_by=path.denied or None,
    )
