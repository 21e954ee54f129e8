"""``netlab trace``: one packet and its answer, over every interface."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from netlab.cli import out, paint
from netlab.cli.elsewhere import point_to_shell
from netlab.cli.options import Seconds, lab, own_lab, pictured
from netlab.errors import BadInput, Exit

if TYPE_CHECKING:
    from netlab.cli.traced import Question
    from netlab.diagnose.compare import Comparison
    from netlab.diagnose.finding import Finding
    from netlab.diagnose.story import Story
    from netlab.diagnose.versus import Way
    from netlab.oracle.flow import Flow
    from netlab.runtime.state.resolved import Lab

_SOURCES = ("frames", "rules", "drops", "counters")


@click.command()
@click.argument("client")
@click.argument("target", metavar="TARGET[:PORT[/PROTOCOL]]", default="")
@click.option("-n", "--namespace", default="default", show_default=True, help="namespace of names without one")
@click.option("--icmp", is_flag=True, help="send an ICMP echo request, even if the target serves ports")
@click.option("--size", type=click.IntRange(0, 65000), default=0, metavar="BYTES",
              help="size of the payload; for TCP, sent on the connection and acknowledged")  # fmt: skip
@click.option("--df", is_flag=True, help="forbid fragmentation (set Don't Fragment)")
@click.option("-v", "--verbose", is_flag=True, help="show the fields of all layers, wherever the packet changes")
@click.option("--packet", metavar="EXPRESSION", default="",
              help="send this packet in scapy's notation, instead of a packet to TARGET")  # fmt: skip
@click.option("-4", "version", flag_value=4, type=int, default=0, help="use IPv4")
@click.option("-6", "version", flag_value=6, type=int, help="use IPv6")
@click.option("--timeout", type=Seconds(0.01, 60), metavar="SECONDS",
              help="how long to wait if no evidence of a loss appears (default: 0.9, more over links with a delay)")  # fmt: skip
@click.option("--compare", is_flag=True, help="compare the result with the prediction; exit status 4 if they differ")
@click.option("--versus", metavar="LAB", default="",
              help="trace the same flow in this running lab too, and show where the two paths differ")  # fmt: skip
@click.option("--pcap", type=click.Path(dir_okay=False), metavar="FILE", help="write the packets to a pcapng file")
@click.option("--record", type=click.Path(dir_okay=False), metavar="FILE", help="write all recorded evidence as JSON")
@click.option(
    "--without", multiple=True, type=click.Choice(_SOURCES), help="do not use this source of evidence; repeatable"
)
@lab
@pictured
def command(
    client: str,
    target: str,
    namespace: str,
    icmp: bool,
    size: int,
    df: bool,
    verbose: bool,
    packet: str,
    version: int | None,
    timeout: float | None,
    compare: bool,
    versus: str,
    pcap: str | None,
    record: str | None,
    without: tuple[str, ...],
    lab_option: str,
    output: str,
) -> int:
    r"""Send one real packet, follow it and its reply over every interface, and report the result.

    \b
    CLIENT  the sender: a Pod, a node or an external host
    TARGET  the name of a Pod, Service, node or external host, a DNS name,
            svc|node|external/NAME, deploy|sts|ds|job/NAME, or an address;
            a Pod looks a DNS name (web.shop) up by its own resolv.conf
    PORT    a number or a name; without it the first port that the target
            serves, or an ICMP echo

    \b
    --packet 'IP(dst="10.244.2.2")/TCP(dport=80,flags="S")'
            sends any packet that scapy can write, with spoofed sources,
            fragments, options or wrong checksums; it takes no TARGET

    The exit status is 0 if the right host replied, even where a finding tells what else is odd on the path.  It is 1 if
    not, or if policies deny a flow that passed.  With --compare it is 4 if another result was predicted, with --versus if
    the two labs have different results.
    """
    from netlab.cli.traced import Question, traced
    from netlab.diagnose.causes.answerer import as_meant
    from netlab.diagnose.report import lines
    from netlab.diagnose.versus import Way
    from netlab.objects import Vxlan
    from netlab.observe.layers import Layers

    crafted = None
    if packet:
        crafted, target, icmp = _crafted(packet, target)
    elif not target:
        raise BadInput("trace needs a TARGET, or a packet: --packet EXPRESSION")
    question = Question(client, target, namespace, icmp, size, df, version or 0, timeout, crafted, without)
    name = own_lab(lab_option)
    for file in (pcap, record):
        _writable(file)
    running, meant, story, results = traced(name, question, record)
    if versus:
        return _versus(Way(story, results), versus, question, output)
    held = _held(story, results, story.flow, running) if compare else None
    if pcap:
        _capture(pcap, story, running)
    if output != "text":
        from netlab.diagnose.document import document

        if output == "json":
            out.document(document(story, results, held))
        else:
            from netlab.graph.topology import graph
            from netlab.picture.svg import render
            from netlab.picture.walk import walk

            out.raw(render(walk(graph(running.cluster, running.want), document(story, results, held))))
    else:
        if meant.note:
            out.note(meant.note)
        width = out.width()
        tunnels = {vxlan.port for vxlan in running.want.only(Vxlan)}
        decode = Layers(tunnels, width=width - 12).of if verbose else None
        for line in lines(story, results, width=width, typed=_typed, decode=decode):
            out.line(line, paint.TRACE)
        point_to_shell(line for finding in results for line in (*finding.look, *finding.mend))
        for line in held.lines() if held else ():
            out.line(line)
        if results:
            out.following(f"diagnose {name}", "the causes of all that does not work")
    if held is not None and not held.agrees:
        return Exit.REFUSED
    return Exit.OK if as_meant(story, results) else Exit.NO


def _versus(ours: Way, lab: str, question: Question, output: str) -> int:
    """The same flow in another lab, beside this one's."""
    from netlab.cli.traced import traced
    from netlab.diagnose import versus

    if output == "svg":
        raise BadInput("--versus draws no picture", hint="-o text or -o json")
    _, _, story, findings = traced(own_lab(lab), question)
    told = versus.versus(ours, versus.Way(story, findings))
    if output == "json":
        out.document(told)
    else:
        for line in versus.lines(told):
            out.line(line)
    return Exit.OK if told.same_outcome else Exit.REFUSED


def _crafted(expression: str, target: str) -> tuple[Any, str, bool]:
    """The packet of ``--packet``, the target that it goes to, and whether that is an ICMP message."""
    from netlab.observe.trace.crafted import aim
    from netlab.observe.trace.expression import parse

    if target:
        raise BadInput("--packet says where the packet goes: TARGET and --packet exclude each other")
    packet = parse(expression)
    return packet, *aim(packet)


def _typed(command: str) -> str:
    return f"{out.command()} {command.removeprefix('netlab ')}"


def _held(story: Story, results: tuple[Finding, ...], flow: Flow, running: Lab) -> Comparison:
    from netlab.diagnose.compare import compare
    from netlab.oracle.predict import Predictor
    from netlab.oracle.target import ICMP

    predicted = None if flow.protocol == ICMP else next(iter(Predictor(running.cluster).predict([flow])))
    return compare(story, results, predicted)


def _writable(path: str | None) -> None:
    """Before anything is sent: a file that cannot be written is bad input."""
    if path:
        try:
            with open(path, "ab"):
                pass
        except OSError as error:
            raise BadInput(f"{path}: {error.strerror}") from None


def _capture(path: str, story: Story, running: Lab) -> None:
    from netlab.diagnose.report import headline
    from netlab.observe.capture.names import of_addresses
    from netlab.observe.trace.file import write

    with open(path, "wb") as stream:
        write(stream.write, story, of_addresses(running.cluster), headline(story))
