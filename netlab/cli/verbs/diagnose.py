"""``netlab diagnose``: why a lab does not work."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from netlab.cli import out, paint
from netlab.cli.elsewhere import point_to_shell
from netlab.cli.options import lab_argument, output, own_lab
from netlab.cli.progress import under_way
from netlab.errors import Exit

if TYPE_CHECKING:
    from netlab.oracle.expect import Expectations
    from netlab.runtime.state.rundir import Applied

_EXPECT = "expect.yaml"
_TIME = 2.2  # seconds after which no further trace begins


@click.command()
@lab_argument
@output
def command(lab: str, lab_option: str, output: str) -> int:
    """Find out why a lab does not work, without being told which flow fails.

    diagnose probes chosen flows with real packets, looks names up, compares the kernel with the documents, and traces
    a few of the broken flows.  It prints the causes, the likeliest first: where, the evidence, how to see it, how to mend
    it, and what a real cluster shows.  The exit status is 0 if nothing was found, and 1 if causes were.
    """
    from netlab.cli import warned
    from netlab.diagnose.labwide import manifests, report
    from netlab.diagnose.labwide.fold import Fold
    from netlab.diagnose.labwide.recognise import Recogniser
    from netlab.faults.apply import objects_with
    from netlab.observe import survey
    from netlab.runtime.client.settle import settle
    from netlab.runtime.state.rundir import RunDir
    from netlab.runtime.state.running import load_meant, load_plain, open_running

    began = time.monotonic()
    name = own_lab(lab, lab_option)
    _, applied = open_running(name)
    running = load_plain(name)
    warnings = [*warned.of_lab(running), *settle(name, RunDir(name).path, running.cluster, ())]
    with under_way("probing and tracing"):
        evidence = survey.survey(running, _expectations(applied), warnings)
        tracer = survey.Tracer(running, evidence, began + _TIME)
        meant = load_meant(name).documents
        written = meant.objects != running.documents.objects
        recogniser = Recogniser(
            evidence,
            survey.variants(name, meant),
            written=written,
            makes=lambda injected: objects_with((injected,), running.documents.objects) == meant.objects,
        )
        fold = Fold(evidence, tracer, lambda rows: survey.again(running.cluster, rows), recogniser)
        mistakes = manifests.causes(evidence, survey.events(running))
        causes = manifests.merged([*fold.causes(), *mistakes])
    seconds, broken = time.monotonic() - began, len(evidence.broken)
    notes = manifests.notes(evidence)
    if output == "json":
        out.document(report.document(name, causes, notes, len(evidence.rows), broken, tracer.count, seconds))
        return Exit.NO if causes else Exit.OK
    shown = list(report.lines(causes, _typed, out.width()))
    for line in shown:
        out.line(line, paint.DIAGNOSE)
    point_to_shell(shown)
    for note in notes:
        out.line(f"note: {note}")
    flows = f"{broken} of {out.count(len(evidence.rows), 'probed flow')} broken"
    verdict = out.count(len(causes), "cause") if causes else "nothing found"
    out.line(f"lab {name}: {verdict}; {flows} ({seconds:.2f} s)", paint.DIAGNOSE)
    if not causes:
        out.following(f"check {name}", "the expectations of the lab, flow by flow")
    return Exit.NO if causes else Exit.OK


def _typed(line: str) -> str:
    return f"{out.command()} {line.removeprefix('netlab ')}"


def _expectations(applied: Applied) -> Expectations | None:
    """The expectations beside the lab's files, if there are some that can be read."""
    from netlab.cli.files import shown, text_of
    from netlab.oracle.expect import parse

    folder = Path(applied.source) if os.path.isdir(applied.source) else Path(applied.source).parent
    whole = os.path.isdir(applied.source) or Path(applied.source).name == "lab.yaml"
    path = folder / _EXPECT
    return parse(text_of(path), shown(path)) if whole and path.is_file() else None
