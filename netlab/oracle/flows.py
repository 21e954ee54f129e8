"""The questions of a cluster: every source to every port of every target, lazily, source by source."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from netlab.errors import BadInput, Problem
from netlab.model.cluster import Cluster
from netlab.model.cluster.policies import PROTOCOLS
from netlab.near import near
from netlab.oracle.endpoints import Endpoints
from netlab.oracle.flow import ADDRESS, SERVICE, Endpoint, Flow
from netlab.oracle.reachable import PortWish, Reachable
from netlab.oracle.selectors import Selector, sends_nothing


def parse_port(text: str) -> PortWish:
    """A port as it is typed: ``80``, ``80/UDP``, ``sql``; TCP unless said.  Raises ValueError with a sentence."""
    word, slash, protocol = text.partition("/")
    protocol = protocol.upper() if slash else "TCP"
    if protocol not in PROTOCOLS:
        raise ValueError(f"{text!r} has no protocol that is known: TCP, UDP and SCTP are{near(protocol, PROTOCOLS)}")
    if word.isascii() and word.isdigit():
        number = int(word) if len(word) <= 5 else 0  # thousands of digits are an error of int's own
        if not 1 <= number <= 65535:
            raise ValueError(f"{text!r} is no port: ports are 1 to 65535")
        return PortWish(number, "", protocol)
    if not word or len(word) > 15 or not all(each.isalnum() or each == "-" for each in word):
        raise ValueError(f"{text!r} is no port: write a number or a port's name, as in 80, 53/UDP or http")
    return PortWish(0, word, protocol)


def flows(
    cluster: Cluster,
    *,
    sources: Sequence[str] | None = None,
    targets: Sequence[str] | None = None,
    ports: Iterable[str] = (),
    namespace: str = "default",
    called: tuple[str, str] = ("--from", "--to"),
    strangers: bool = False,
) -> Iterator[Flow]:
    """Every source to every declared port of every target, in every family that both have, itself included.

    Sources are all Pods and hosts outside, targets these and all Services, unless selectors say otherwise (``expect`` has the grammar; names without a
    namespace are looked for in ``namespace``).  ``ports`` (``79/TCP``) are asked of each target besides its own.
    ``strangers``: an address that nobody in the lab has may be a source, which only the oracle can judge.
    Raises BadInput at once for a selector that matches nothing and a port that is none, by what they are ``called``.
    """
    endpoints = Endpoints(cluster)
    problems: list[Problem] = []
    wishes: list[PortWish] = []
    for text in ports:
        try:
            wishes.append(parse_port(text))
        except ValueError as error:
            problems.append(Problem(None, "--port", str(error)))
    chosen: list[list[Reachable]] = []
    for option, texts, everyone in (
        (called[0], sources, endpoints.everyone()),
        (called[1], targets, endpoints.everything()),
    ):
        named_ends: dict[str, Reachable] = {}
        client = endpoints.client([source.end for source in chosen[0]]) if chosen else None
        for text in texts or ():
            try:
                for target in Selector.parse(text, namespace).select(endpoints, client):
                    named_ends[
                        f"{target.end.kind} {target.end.name} {target.addresses if option == called[1] else ''}"
                    ] = target
            except ValueError as error:
                problems.append(Problem(None, option, str(error)))
        chosen.append(list(named_ends.values()) if texts else [Reachable(end, end.addresses) for end in everyone])
    problems += [
        Problem(None, called[0], sends_nothing(endpoints, source.end))
        for source in chosen[0]
        if not source.end.netns and not (strangers and source.end.kind == ADDRESS)
    ]
    if problems:
        raise BadInput(problems)
    return _each(endpoints, [source.end for source in chosen[0]], chosen[1], wishes)


def _each(
    endpoints: Endpoints, sources: list[Endpoint], targets: list[Reachable], wishes: list[PortWish]
) -> Iterator[Flow]:
    asked: list[tuple[Endpoint, str, bool, int, str]] = []
    for target in targets:
        end, addresses = target.end, target.addresses
        ports = target.ports(None) if target.behind else endpoints.ports(end, undeclared=False)
        ports += [(wish.number, wish.protocol) for wish in wishes if wish.number]
        ports += [pair for wish in wishes if wish.name for pair in named(endpoints, end, wish)]
        for address in addresses:
            for port, protocol in dict.fromkeys(ports):
                asked.append((end, address, ":" in address, port, protocol))
    for source in sources:
        has = {":" in address for address in source.addresses}
        for end, address, is_v6, port, protocol in asked:
            if is_v6 in has:
                yield Flow.to(source, end, address, port, protocol)


def named(endpoints: Endpoints, end: Endpoint, wish: PortWish) -> list[tuple[int, str]]:
    """The numbers of a port name at a target: its own containers decide, so replicas of two versions may differ."""
    if end.kind == SERVICE:
        ports = endpoints.service_of[end.name].ports
        return [
            (port.port, port.protocol) for port in ports if (port.name, port.protocol) == (wish.name, wish.protocol)
        ]
    pod = endpoints.pod_of.get(end.name)
    pods = [pod] if pod else list(dict.fromkeys(map(str, endpoints.serves.get(end.name, {}).values())))
    reachable = [each if not isinstance(each, str) else endpoints.pod_of[each] for each in pods]
    return [
        (port.port, port.protocol)
        for each in reachable
        for port in each.ports
        if port.name == wish.name and port.protocol == wish.protocol
    ]
