"""``netlab explain``: the reasoning of the policies about a flow."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from netlab.cli import out
from netlab.cli.options import lab, output, running_lab
from netlab.errors import BadInput, Exit

if TYPE_CHECKING:
    from netlab.oracle.endpoints import Endpoints
    from netlab.oracle.flow import Flow
    from netlab.oracle.flows import PortWish


@click.command()
@click.argument("client")
@click.argument("target", metavar="TARGET[:PORT[/PROTOCOL]]")
@click.option("-n", "--namespace", default="default", show_default=True, help="where names without one are looked for")
@lab
@output
def command(client: str, target: str, namespace: str, lab_option: str, output: str) -> int:
    """Why a flow is allowed or denied: each policy's rules, and why those that do not allow it do not match.

    No packet is sent. Exit status 1 if a policy denies. Without a PORT: each that the target serves.
    """
    from netlab.oracle.endpoints import Endpoints
    from netlab.oracle.explain import as_json, sides, tell
    from netlab.oracle.flow import Outcome
    from netlab.oracle.flows import flows, parse_port
    from netlab.oracle.predict import Predictor
    from netlab.runtime.lab import load_cluster

    name = running_lab(lab_option)
    cluster = load_cluster(name)
    place, port = _split(target)
    asked = list(flows(cluster, sources=[client], targets=[place], ports=[port] if port else [], namespace=namespace))
    if port:
        known, wish = Endpoints(cluster), parse_port(port)
        asked = [flow for flow in asked if _meant(flow, wish, known)]
    if not asked:
        raise BadInput(f"{target}: no port of that name there" if port else f"{target} serves no port: name one")
    predictor = Predictor(cluster)
    verdicts = list(predictor.predict(dict.fromkeys(asked)))
    judged = [(verdict, sides(predictor.denials, verdict.flow)) for verdict in verdicts]
    if output == "json":
        out.document({"lab": name, "flows": [as_json(*one) for one in judged]})
    else:
        for one in judged:
            for line in tell(*one):
                out.line(line)
    return Exit.NO if any(verdict.outcome is Outcome.DENIED for verdict in verdicts) else Exit.OK


def _split(target: str) -> tuple[str, str]:
    """The target and its port: ``web:80``, ``10.244.1.2:53/UDP``, ``[fd00::2]:80``; an IPv6 address alone has no port."""
    if target.startswith("["):
        address, _, port = target[1:].partition("]")
        return address, port.removeprefix(":")
    if target.count(":") != 1:
        return target, ""
    place, _, port = target.partition(":")
    return place, port


def _meant(flow: Flow, wish: PortWish, known: Endpoints) -> bool:
    """Whether a flow is to the port that was asked for, by number or by its name at the target."""
    from netlab.oracle.flows import named

    if wish.number:
        return (flow.port, flow.protocol) == (wish.number, wish.protocol)
    return (flow.port, flow.protocol) in named(known, flow.dst, wish)
