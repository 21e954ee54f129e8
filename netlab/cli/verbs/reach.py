"""``netlab reach``: which Pods can connect to which ports, by real packets."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from netlab.cli import out, paint
from netlab.cli.options import Seconds, lab_argument, own_lab, pictured
from netlab.cli.progress import under_way
from netlab.errors import Exit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from netlab.model import Cluster
    from netlab.oracle.flow import Flow, Verdict


_NOTHING = "nothing was probed: no target declares a port (--port PORT probes any port)"


@click.command()
@lab_argument
@click.option("--from", "sources", multiple=True, metavar="SELECTOR", help="probe only from these sources; repeatable")
@click.option("--to", "targets", multiple=True, metavar="SELECTOR", help="probe only these targets; repeatable")
@click.option("--port", "ports", multiple=True, metavar="PORT[/PROTOCOL]", help="also probe this port; repeatable")
@click.option(
    "--timeout",
    type=Seconds(0, 600),
    default=0.0,
    metavar="SECONDS",
    help="how long to wait for the second attempt (default: 1.0)",
)
@click.option(
    "--policies", is_flag=True, help="also show the verdicts of the policies, without packets: egress, ingress, both"
)
@click.option("-n", "--namespace", default="default", show_default=True, help="namespace of names without one")
@pictured
def command(
    lab: str,
    lab_option: str,
    sources: tuple[str, ...],
    targets: tuple[str, ...],
    ports: tuple[str, ...],
    timeout: float,
    policies: bool,
    namespace: str,
    output: str,
) -> int:
    r"""Probe with real packets which Pods can connect to which ports.

    Without options, every Pod connects to every declared port of every Pod and Service.

    \b
    SELECTOR  the name of a Pod, Service, node or external host, a DNS name,
              svc|node|external/NAME, deploy|sts|ds|job/NAME,
              [namespace/]key=value, an address or a CIDR
    .  open
    D  denied by a policy          R  refused (RST or port unreachable)
    T  no reply to two attempts    U  unreachable (another ICMP error)
    !  reply from another Pod      M  mixed: the backends of a Service differ;
                                      netlab explain shows which
    """
    from netlab.cli import warned
    from netlab.kernel.neighbours import KernelNeighbours
    from netlab.model.topology.places import places
    from netlab.observe.evidence import probed
    from netlab.observe.probe import TIMEOUT, Prober
    from netlab.oracle.flow import Outcome
    from netlab.oracle.flows import flows
    from netlab.oracle.matrix import draw
    from netlab.oracle.report import flow_line
    from netlab.runtime.state.running import load_cluster, open_running

    name = own_lab(lab, lab_option)
    cluster = load_cluster(name)
    filters = warned.filters(open_running(name)[1])
    questions = flows(cluster, sources=sources or None, targets=targets or None, ports=ports, namespace=namespace)
    if policies and output == "text":
        questions = iter(_tell_policies(cluster, list(questions)))
    patience = TIMEOUT if timeout <= 0 else (min(TIMEOUT[0], timeout), timeout)
    began = time.monotonic()
    broken = False
    with KernelNeighbours() as neighbours:
        prober = Prober(cluster, neighbours=neighbours, timeout=patience)
        if output == "json":
            # Streamed: a million flows are 180 MB.
            first = True
            out.raw(f'{{"lab": {out.text_json(name)}, "places": {out.text_json(places(cluster))}, "flows": [')
            for verdict in probed(prober, cluster, questions):
                broken = broken or verdict.outcome is Outcome.ERROR
                out.raw(("\n" if first else ",\n") + flow_line(verdict))
                first = False
            if first:
                out.note(_NOTHING)
            out.raw(f'\n], "seconds": {time.monotonic() - began:.3f}, ')
            out.raw(f'"warnings": {out.text_json(warned.documents(filters))}}}\n')
            return Exit.REFUSED if broken else Exit.OK
        warned.tell_filters(filters)
        asked = list(questions)
        with under_way(f"probing {out.count(len(asked), 'flow')}"):
            observed = {verdict.flow: verdict for verdict in probed(prober, cluster, asked)}
        verdicts = [observed[flow] for flow in asked]
    seconds = time.monotonic() - began
    errors = [verdict for verdict in verdicts if verdict.outcome is Outcome.ERROR]
    if output == "svg":
        out.raw(_picture(cluster, verdicts, seconds))
        return Exit.REFUSED if errors else Exit.OK
    where = {str(pod): pod.node for pod in cluster.pods} | {node.name: node.name for node in cluster.nodes}
    out.line(draw(verdicts, nodes=where).rstrip(), paint.MATRIX)
    out.line()
    out.line(f"{out.count(len(verdicts), 'flow')} in {seconds:.2f} s")
    for verdict in errors[:10]:
        out.note(f"error: {verdict.flow}: {verdict.because[0].message if verdict.because else 'no reason given'}")
    return Exit.REFUSED if errors else Exit.OK


def _picture(cluster: Cluster, verdicts: Sequence[Verdict], seconds: float) -> str:
    from netlab.model.topology.places import places
    from netlab.oracle.report import flow_fields
    from netlab.output.flows import Flow as Shown
    from netlab.output.flows import Reach
    from netlab.picture.matrix import matrix
    from netlab.picture.svg import render

    flows = tuple(Shown(**flow_fields(verdict)) for verdict in verdicts)
    return render(matrix(Reach(lab=cluster.lab, places=places(cluster), flows=flows, seconds=seconds, warnings=())))


def _tell_policies(cluster: Cluster, questions: list[Flow]) -> list[Flow]:
    """The three tables of what policies say; what packets do comes after them."""
    from netlab.oracle.denials import Denials
    from netlab.oracle.explain import tables
    from netlab.oracle.matrix import draw

    heads = {
        "egress": "egress of the sources, by policy:",
        "ingress": "ingress of the targets, by policy:",
        "both": "both, by policy:",
    }
    for name, verdicts in tables(Denials(cluster), questions).items():
        out.line(heads[name])
        out.line(draw(verdicts), paint.MATRIX)
    out.line("by packets:")
    return questions
