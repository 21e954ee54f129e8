"""``netlab check``: expectations, prediction and packets against each other."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import click

from netlab.cli import cireports, out, paint
from netlab.cli.files import shown, text_of
from netlab.cli.options import lab_argument, output, own_lab
from netlab.cli.progress import under_way
from netlab.errors import Exit
from netlab.model import Cluster, Port
from netlab.model.workloads.ports import states

EXPECT = "expect.yaml"
_SINGLE = 3  # failures of one cause that have lines of their own; more are a block


@click.command()
@lab_argument
@click.option(
    "--expect",
    "expect_file",
    default="",
    metavar="FILE",
    help="file with expectations (default: expect.yaml of the lab)",
)
@cireports.options
@click.option("--coverage", "covers", is_flag=True, help="list the rules that no expectation holds (by the prediction)")
@click.option("--matrix", is_flag=True, help="also print the whole matrix of the flows")
@click.option("-q", "--quiet", is_flag=True, help="print failures only")
@output
def command(
    lab: str,
    lab_option: str,
    expect_file: str,
    junit: str,
    markdown: str,
    sarif: str,
    covers: bool,
    matrix: bool,
    quiet: bool,
    output: str,
) -> int:
    """Compare expectations, predictions and real packets.

    The predicted result of each flow is computed from the manifests.  check prints each flow that differs, with the
    nearest rules of the policies, and then ends with exit status 1.  Flows that fail for one reason, as those of
    replicas do, are one block.
    """
    from netlab.cli import warned
    from netlab.kernel.neighbours import KernelNeighbours
    from netlab.observe.evidence import probed
    from netlab.observe.lookup import lookups as resolved
    from netlab.observe.probe import Prober
    from netlab.oracle import coverage, lookups
    from netlab.oracle.compare import check, document, failures
    from netlab.oracle.expect import parse
    from netlab.oracle.explain import judged
    from netlab.oracle.flows import flows
    from netlab.oracle.junit import suite as junit_suite
    from netlab.oracle.matrix import draw
    from netlab.oracle.predict import Predictor
    from netlab.oracle.resolve import expected, wanted_ports
    from netlab.runtime.client.temporary_listeners import answering
    from netlab.runtime.state.resolved import documents_of
    from netlab.runtime.state.running import load_cluster, open_running
    from netlab.testing.failures import causes
    from netlab.testing.prepared import Prepared
    from netlab.testing.report import View, report
    from netlab.testing.result import Result

    cireports.require_writable(junit, markdown, sarif)
    name = own_lab(lab, lab_option)
    rundir, applied = open_running(name)
    cluster = load_cluster(name)
    path = Path(expect_file) if expect_file else _beside(applied.source)
    began = time.monotonic()
    wanted = {}
    names: tuple[lookups.Asked, ...] = ()
    extra: dict[str, list[Port]] = {}
    if path is not None:
        expectations = parse(text_of(path), shown(path))
        for port in wanted_ports(expectations, cluster):
            extra.setdefault(port.pod, []).append(Port(port.port, port.protocol, "", "", False, port.mark))
        cluster = _with_ports(cluster, extra)
        wanted = dict(expected(expectations, cluster))
        names = lookups.asked(expectations, cluster)
    questions = dict.fromkeys((*wanted, *flows(cluster)))
    predictor = Predictor(cluster)
    predicted = predictor.answer(questions)
    with under_way("checking"), answering(rundir, cluster, extra), KernelNeighbours() as neighbours:
        observed = {
            verdict.flow: verdict for verdict in probed(Prober(cluster, neighbours=neighbours), cluster, questions)
        }
    rows = check(wanted, predicted, observed, partial(judged, predictor.denials))
    rows += lookups.rows(names, resolved(cluster, names), cluster) if names else []
    filters = warned.filters(applied)
    held = coverage.coverage(cluster, wanted) if covers else None
    seconds = time.monotonic() - began
    failed = [row for row in rows if not row.ok]
    groups = []
    if failed or cireports.wanted(junit, markdown, sarif):  # the documents are read for these alone
        prepared = Prepared.running(cluster, documents_of(applied), wanted, tuple(questions), extra)
        result = Result(prepared, tuple(rows), predicted, observed, tuple(filters), seconds)
        groups = causes(result)
    if cireports.wanted(junit, markdown, sarif):
        reports = [report(result, View(), suite=junit_suite(rows, name=name, seconds=seconds))]
        cireports.tell(reports, junit=junit, markdown=markdown, sarif=sarif, beside_json=output == "json")
    if output == "json":
        checked = document(rows, warned.documents(filters), cluster)
        out.document(replace(checked, coverage=coverage.document(held)) if held is not None else checked)
        return Exit.NO if failed else Exit.OK
    if not quiet:
        warned.tell_filters(filters)
    each = {id(row): line for row, line in zip(failed, failures(rows), strict=True)}
    for cause in groups:
        for line in cause.lines() if len(cause.rows) > _SINGLE else [each[id(row)] for row in cause.rows]:
            out.line(line, paint.CHECK)
    for line in coverage.lines(held) if held is not None else ():
        out.line(line)
    if matrix:
        where = {str(pod): pod.node for pod in cluster.pods} | {node.name: node.name for node in cluster.nodes}
        out.line(draw(observed.values(), nodes=where).rstrip(), paint.MATRIX)
    if quiet:
        return Exit.NO if failed else Exit.OK
    verdict = f"{len(failed)} failed, " if failed else ""
    good = f"lab {name}: {verdict}{len(rows) - len(failed)} of {len(rows)} flows "
    if path is not None:
        out.line(f"{good}as they should be ({shown(path)}, predictions and packets, {seconds:.2f} s)", paint.CHECK)
    else:
        nothing = "nothing was expected: there is no expect.yaml of this lab"
        out.line(f"{good}as predicted; {nothing} ({seconds:.2f} s)", paint.CHECK)
        if (near := _folder(applied.source) / EXPECT).is_file():
            out.line(f"{shown(near)} is of the lab in that folder; --expect {shown(near)} takes it all the same")
    if failed:
        out.following(f"diagnose {name}", "the causes of what does not work")
    return Exit.NO if failed else Exit.OK


def _with_ports(cluster: Cluster, extra: dict[str, list[Port]]) -> Cluster:
    """The cluster with ports that expectations name; a responder answers there meanwhile.

    Only in Pods that declare none of that protocol: the others refuse what they do not declare.
    """
    pods = []
    for pod in cluster.pods:
        declared = {(port.port, port.protocol) for port in pod.ports}
        asked = [port for port in extra.get(str(pod), []) if (port.port, port.protocol) not in declared]
        more = [port for port in asked if not states(pod.ports, port.protocol)]
        extra[str(pod)] = more
        pods.append(replace(pod, ports=(*pod.ports, *more)) if more else pod)
    return replace(cluster, pods=tuple(pods))


def _folder(source: str) -> Path:
    return Path(source) if os.path.isdir(source) else Path(source).parent


def _beside(source: str) -> Path | None:
    """The expectations of the lab that a folder is; a file of another name in it is another lab."""
    path = _folder(source) / EXPECT
    whole = os.path.isdir(source) or Path(source).name == "lab.yaml"
    return path if whole and path.is_file() else None
