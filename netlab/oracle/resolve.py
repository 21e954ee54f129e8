"""From lines of expect.yaml to flows of a cluster."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from netlab.errors import BadInput, Mark, Problem
from netlab.model.cluster import Cluster
from netlab.near import near
from netlab.oracle.endpoints import Endpoints
from netlab.oracle.expect import ALLOW, DENY, Expectations, Line, Written
from netlab.oracle.flow import POD, SERVICE, Flow, Outcome
from netlab.oracle.flows import flows, named
from netlab.oracle.reachable import PortWish, Reachable, other_protocol
from netlab.oracle.selectors import sends_nothing
from netlab.oracle.service import ServiceIndex
from netlab.tuples import NamedTuple


class Expectation(NamedTuple):
    """What is expected of one flow: allow, deny or an outcome's value; ``line`` None: the file's default.

    ``selector``: the index of the selector of the line's ``to`` that matches the target.
    """

    expect: str
    line: Line | None
    mark: Mark
    why: str = ""
    selector: int = -1


#: What a line expects of a Service and so of the Pods behind it; other outcomes are those of the Service's address.
_OF_BACKENDS = (ALLOW, DENY, Outcome.OPEN, Outcome.DENIED)


class Wanted(NamedTuple):
    """A port that an expectation names: something must answer there for the line to mean anything."""

    pod: str
    port: int
    protocol: str
    mark: Mark


def expected(
    expectations: Expectations, cluster: Cluster, scope: Iterable[Flow] | None = None
) -> Mapping[Flow, Expectation]:
    """The expectation of each flow of the file, in its order; the flows of its default come last.

    A flow from a Pod to itself stays inside it, where no policy can judge it: ``deny`` speaks of such flows only where
    a line names nothing else.  Where two lines speak of one flow they must agree; of ``deny`` and ``timeout`` the
    exact one counts.  ``scope``: the flows that the default speaks of, unless all.  What a line expects of a Service, the
    default expects of the Pods behind it, and the other way round.  Raises BadInput for selectors that match nothing,
    ports that nobody has, lines without a flow, and contradictions.
    """
    endpoints = Endpoints(cluster)
    expectations_by_flow: dict[Flow, Expectation] = {}
    problems: list[Problem] = []
    for at, line in enumerate(expectations.lines):
        numbers = {
            reachable.end.name: index
            for index, target in enumerate(line.targets)
            for reachable in _ends((target,), endpoints, "", [])
        }
        for flow in _flows(line, f"flows[{at}]", endpoints, problems):
            expectation = Expectation(line.expect, line, line.mark, line.why, numbers.get(flow.dst.name, -1))
            before = expectations_by_flow.get(flow)
            if before is None or _sharper(line.expect, before.expect):
                expectations_by_flow[flow] = expectation
            elif before.expect != line.expect and not _sharper(before.expect, line.expect):
                message = f"expects {line.expect} of {flow}, but {before.mark} expects {before.expect}"
                problems.append(Problem(line.mark, f"flows[{at}]", message))
                break
    if problems:
        raise BadInput(problems)
    if expectations.default:
        rest = Expectation(expectations.default, None, expectations.mark, f"default: {expectations.default}")
        services = ServiceIndex(cluster, endpoints)
        for flow, expectation in list(expectations_by_flow.items()):
            expectations_by_flow.setdefault(flow._replace(size=0), expectation)
        for flow, expectation in list(expectations_by_flow.items()):
            paths = services.of(flow) if flow.dst.kind == SERVICE and expectation.expect in _OF_BACKENDS else None
            for behind in paths.flows if paths else ():
                why = f"as {flow.dst.name}, the Service before it"
                expectations_by_flow.setdefault(behind._replace(src=flow.src), expectation._replace(line=None, why=why))
        for flow in flows(cluster) if scope is None else scope:
            if flow not in expectations_by_flow and (expectations.default == ALLOW or flow.src.netns != flow.dst.netns):
                implied = _as_behind(flow, services, expectations_by_flow, rest)
                expectations_by_flow |= {flow: implied} if implied else {}
    return expectations_by_flow


def _as_behind(
    flow: Flow, services: ServiceIndex, listed: Mapping[Flow, Expectation], rest: Expectation
) -> Expectation | None:
    """The default for a flow; of one to a Service that no line names, what lines expect of all the Pods behind it.

    None where nobody stands behind the Service, or the client alone: there is nothing that a policy could deny.
    """
    paths = services.of(flow) if flow.dst.kind == SERVICE else None
    behind = [onward._replace(src=flow.src) for onward in paths.flows] if paths else []
    others = [listed.get(onward, rest) for onward in behind if onward.src.netns != onward.dst.netns]
    if paths and not others and rest.expect != ALLOW:
        return None
    if not others or all(other is rest for other in others):
        return rest
    if len({other.expect for other in others}) > 1:
        return rest._replace(expect=Outcome.MIXED.value, why=f"the lines for the Pods behind {flow.dst.name} differ")
    return others[0]._replace(line=None, why=f"as the Pods behind {flow.dst.name}")


def wanted_ports(expectations: Expectations, cluster: Cluster) -> Iterator[Wanted]:
    """The ports of Pods that lines name by number, and on which a responder must answer, declared or not.

    Not those of a line that expects ``refused``: that is what a port is without a responder.
    """
    endpoints = Endpoints(cluster)
    for line in expectations.lines:
        if line.port is None or not line.port.number or line.expect == Outcome.REFUSED:
            continue
        for target in _ends(line.targets, endpoints, "", [], _ends(line.sources, endpoints, "", [])):
            if target.end.kind != POD:
                continue
            for number, protocol in _ports(line.port, target, endpoints):
                yield Wanted(target.end.name, number, protocol, line.port_mark or line.mark)


def _sharper(expect: str, than: str) -> bool:
    """Whether an exact outcome says the same as ``than``, only more exactly."""
    if than == ALLOW:
        return expect in (Outcome.OPEN, Outcome.REFUSED)
    return than == DENY and expect in (Outcome.TIMEOUT, Outcome.DENIED, Outcome.UNREACHABLE, Outcome.REFUSED)


def _ends(
    written: tuple[Written, ...],
    endpoints: Endpoints,
    path: str,
    problems: list[Problem],
    sources: Sequence[Reachable] = (),
) -> list[Reachable]:
    client = endpoints.client([source.end for source in sources])
    ends: dict[tuple[str, str, tuple[str, ...]], Reachable] = {}
    for at, (selector, mark) in enumerate(written):
        try:
            for target in selector.select(endpoints, client):
                ends[target.end.kind, target.end.name, target.addresses] = target
        except ValueError as error:
            problems.append(Problem(mark, f"{path}[{at}]" if len(written) > 1 else path, str(error)))
    return list(ends.values())


def _flows(line: Line, path: str, endpoints: Endpoints, problems: list[Problem]) -> list[Flow]:
    sources = _ends(line.sources, endpoints, f"{path}.from", problems)
    targets = _ends(line.targets, endpoints, f"{path}.to", problems, sources)
    for source in sources:
        if not source.end.netns:
            message = sends_nothing(endpoints, source.end)
            problems.append(Problem(line.sources[0].mark, f"{path}.from", message))
    asked = [(target, ports) for target in targets if (ports := _ports(line.port, target, endpoints))]
    if targets and not asked and sources:
        problems.append(Problem(line.port_mark or line.mark, f"{path}.port", _no_port(line.port, targets, endpoints)))
    flows = [
        Flow(source.end, target.end, address, port, protocol, line.size if protocol != "SCTP" else 0)
        for source in sources
        for target, ports in asked
        for address in target.addresses
        if any((":" in mine) == (":" in address) for mine in source.addresses)
        for port, protocol in ports
    ]
    if asked and sources and not flows and not problems:
        message = "names no flow: no source has an address of the IP family of a target"
        problems.append(Problem(line.mark, path, message))
    if line.expect != ALLOW and line.expect != Outcome.OPEN:
        flows = [flow for flow in flows if flow.src.netns != flow.dst.netns] or flows
    return flows


def _ports(port: PortWish | None, target: Reachable, endpoints: Endpoints) -> list[tuple[int, str]]:
    if target.behind:
        return target.ports(port)
    if port is None:
        return endpoints.ports(target.end)
    return [(port.number, port.protocol)] if port.number else named(endpoints, target.end, port)


def _no_port(port: PortWish | None, targets: list[Reachable], endpoints: Endpoints) -> str:
    listed = " and ".join(target.end.name for target in targets[:3])
    if port is None:
        return f"{listed} serves no port; name one"
    names = {each.name: each.protocol for target in targets if target.end.name in endpoints.pod_of
             for each in endpoints.pod_of[target.end.name].ports if each.name}  # fmt: skip
    hint = other_protocol(port, names) or near(port.name, sorted(names))
    return f"{listed} has no port named {port.name!r} ({port.protocol}){hint}"
