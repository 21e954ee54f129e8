"""``netlab explain``: the reasoning of the policies about a flow, and its way."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import click

from netlab.cli import out, paint
from netlab.cli.options import lab, output, running_lab
from netlab.errors import BadInput, Exit

if TYPE_CHECKING:
    from collections.abc import Iterable

    from netlab.model import Cluster
    from netlab.oracle.endpoints import Endpoints
    from netlab.oracle.explain import Judged
    from netlab.oracle.flow import Flow
    from netlab.oracle.reachable import PortWish
    from netlab.output.flows import Path


@click.command()
@click.argument("client")
@click.argument("target", metavar="TARGET[:PORT[/PROTOCOL]]")
@click.option("-n", "--namespace", default="default", show_default=True, help="namespace of names without one")
@lab
@output
def command(client: str, target: str, namespace: str, lab_option: str, output: str) -> int:
    r"""Explain why a flow is allowed or denied, and show its path.

    \b
    CLIENT and TARGET are one of:
      the name of a Pod, Service, node or external host, a DNS name,
      svc|node|external/NAME, deploy|sts|ds|job/NAME, [namespace/]key=value,
      an address or a CIDR

    explain lists the rules of each policy, and says why a rule does not match.  It sends no packet.  An address as CLIENT
    need not exist in the lab.  PORT is a number or a name; without it, explain takes every port that the target serves.
    The exit status is 1 if a policy denies the flow, even to only one backend of a Service.
    """
    from netlab.cli import warned
    from netlab.diagnose import flowpath
    from netlab.diagnose.expected.expect import Expecter
    from netlab.model.topology.places import places
    from netlab.oracle.endpoints import Endpoints
    from netlab.oracle.explain import judged, tell
    from netlab.oracle.explained import document
    from netlab.oracle.flow import Outcome
    from netlab.oracle.flows import flows, parse_port
    from netlab.oracle.predict import Predictor
    from netlab.oracle.selectors import Selector
    from netlab.oracle.target import split
    from netlab.output.flows import Explanation
    from netlab.runtime.state.running import load_running

    name = running_lab(lab_option)
    running = load_running(name)
    cluster = running.cluster
    target_name, port = split(target)
    words = ("CLIENT", "TARGET")
    asked = list(
        flows(
            cluster,
            sources=[client],
            targets=[target_name],
            ports=[port] if port else [],
            namespace=namespace,
            called=words,
            strangers=True,
        )
    )
    endpoints = Endpoints(cluster)
    sender = endpoints.client([each.end for each in Selector.parse(client, namespace).select(endpoints)])
    note = Selector.parse(target_name, namespace).meant(endpoints, sender).note
    if port:
        wish = parse_port(port)
        everything, asked = asked, [flow for flow in asked if _meant(flow, wish, endpoints)]
        if not asked:
            raise BadInput(f"{target_name} has no port {wish}{_ports(everything, wish, endpoints)}")
    if not asked:
        raise BadInput(_nothing(cluster, client, target_name, namespace))
    predictor = Predictor(cluster)
    verdicts = list(predictor.predict(dict.fromkeys(asked)))
    reasons = [(verdict, judged(predictor.denials, verdict.flow)) for verdict in verdicts]
    expecter = Expecter(cluster, running.want)

    def path_document(flow: Flow, judgement: Judged | None) -> Path | None:
        path = flowpath.flow_path(expecter, flow, judgement)
        return flowpath.document(path) if path else None

    def way_lines(flow: Flow, judgement: Judged | None) -> Iterable[str]:
        path = flowpath.flow_path(expecter, flow, judgement)
        return flowpath.tell(path, name) if path else ()

    if output == "json":
        explained = tuple(document(*each, partial(path_document, each[0].flow)) for each in reasons)
        out.document(Explanation(lab=name, places=places(cluster), flows=explained, enforced=cluster.enforced))
    else:
        warned.tell(warned.unenforced(running.documents))
        if note:
            out.line(note)
        for reason in reasons:
            notes = predictor.denials.services.notes(reason[0].flow)
            for line in tell(*reason, partial(way_lines, reason[0].flow), notes):
                out.line(line, paint.EXPLAIN)
        out.following(f"trace --lab {name} {client} {target}", "what becomes of a real packet")
    ends = [part.outcome for verdict in verdicts for part in (verdict.may or (verdict,))]
    return Exit.NO if Outcome.DENIED in ends else Exit.OK


def _ports(there: Iterable[Flow], wish: PortWish, endpoints: Endpoints) -> str:
    """The ports of the target by name and number, for the error about an unknown port."""
    from netlab.near import near
    from netlab.oracle.reachable import other_protocol

    names: dict[str, str] = {}
    for flow in there:
        pod, service = endpoints.pod_of.get(flow.dst.name), endpoints.service_of.get(flow.dst.name)
        for port in pod.ports if pod else service.ports if service and flow.dst.kind == "service" else ():
            if (port.port, port.protocol) == (flow.port, flow.protocol):
                names.setdefault(port.name, port.protocol)
    shown = dict.fromkeys(f"{flow.port}/{flow.protocol}" for flow in there)
    has = f"; it serves {', '.join(shown)}" if shown else ""
    if wish.name in names:
        return other_protocol(wish, names) or has
    return near(wish.name, [name for name in names if name]) or has


def _nothing(cluster: Cluster, client: str, target: str, namespace: str) -> str:
    """Why there is no question: the target serves nothing, or the two have no address family in common."""
    from netlab.oracle.flows import flows

    some = flows(cluster, sources=[target], targets=[target], namespace=namespace, strangers=True)
    if any(True for _ in some):
        return f"{client} and {target} have no address family in common"
    return f"{target} serves no port: name one, as in {target}:80"


def _meant(flow: Flow, wish: PortWish, endpoints: Endpoints) -> bool:
    """Whether a flow goes to the requested port, by its number or by its name at the target."""
    from netlab.oracle.flows import named

    if wish.number:
        return (flow.port, flow.protocol) == (wish.number, wish.protocol)
    return (flow.port, flow.protocol) in named(endpoints, flow.dst, wish)
