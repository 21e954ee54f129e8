"""``netlab trace``: one packet and its answer, over every interface."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from netlab.cli import out
from netlab.cli.options import lab, output, running_lab
from netlab.errors import BadInput, Exit

if TYPE_CHECKING:
    from netlab.diagnose.records import Recording

_SOURCES = ("frames", "rules", "drops", "counters")


@click.command()
@click.argument("client")
@click.argument("target", metavar="TARGET[:PORT[/PROTOCOL]]")
@click.option("-n", "--namespace", default="default", show_default=True, help="where names without one are looked for")
@click.option("--icmp", is_flag=True, help="an echo, whatever ports there are")
@click.option("--size", type=click.IntRange(0, 65000), default=0, metavar="BYTES", help="of payload")
@click.option("--df", is_flag=True, help="forbid to cut the packet into fragments (Don't Fragment)")
@click.option("-4", "version", flag_value=4, type=int, default=0, help="over IPv4")
@click.option("-6", "version", flag_value=6, type=int, help="over IPv6")
@click.option("--timeout", type=click.FloatRange(0.01, 60), default=0.9, show_default=True, metavar="SECONDS",
              help="patience where nothing says what became of the packet")  # fmt: skip
@click.option(
    "--without", multiple=True, type=click.Choice(_SOURCES), help="leave a source of evidence off; repeatable"
)
@click.option("--record", type=click.Path(dir_okay=False), metavar="FILE", help="write what was recorded, as JSON")
@lab
@output
def command(
    client: str,
    target: str,
    namespace: str,
    icmp: bool,
    size: int,
    df: bool,
    version: int,
    timeout: float,
    without: tuple[str, ...],
    record: str,
    lab_option: str,
    output: str,
) -> int:
    """Follow one packet and its answer over every interface of every namespace."""
    from netlab.observe.trace.record import Question
    from netlab.observe.trace.record import record as recorded
    from netlab.oracle.target import asked
    from netlab.runtime.lab import load_cluster
    from netlab.runtime.rundir import RunDir

    name = running_lab(lab_option)
    cluster = load_cluster(name)
    meant = asked(cluster, client, target, namespace, icmp=icmp, version=version or 0)
    if meant.note:
        out.note(meant.note)
    flow = meant.flow
    question = Question(flow.src.netns, flow.protocol, flow.address, flow.port, size, df, meant.answers)
    seen = recorded(name, question, RunDir(name).assignments().netns, patience=timeout, without=without)
    if record:
        _write(record, seen)
    out.line(f"{flow}: {seen.probe.outcome} {seen.probe.error}".rstrip())
    for one in seen.frames:
        out.line(f"{(one.time - seen.probe.sent) / 1000:9.1f} {one.netns} {one.interface} {one.direction} {one.length}")
    for drop in seen.drops:
        out.line(
            f"{(drop.time - seen.probe.sent) / 1000:9.1f} {drop.netns} {drop.interface} {drop.reason} {drop.function}"
        )
    return Exit.OK if seen.probe.outcome == "open" else Exit.NO


def _write(path: str, recording: Recording) -> None:
    import json

    from netlab.diagnose.records import to_json

    try:
        with open(path, "w", encoding="utf-8") as stream:
            json.dump(to_json(recording), stream, indent=1)
            stream.write("\n")
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror}") from error
