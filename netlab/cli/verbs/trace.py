"""``netlab trace``: one packet and its answer, over every interface."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from netlab.cli import out, paint
from netlab.cli.elsewhere import point_to_shell
from netlab.cli.options import Seconds, lab, own_lab, pictured
from netlab.errors import BadInput, Exit

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from netlab.diagnose.compare import Comparison
    from netlab.diagnose.finding import Finding
    from netlab.diagnose.story import Story
    from netlab.evidence.records import Lookup, Recording
    from netlab.model import Cluster
    from netlab.objects import State
    from netlab.oracle.flow import Flow
    from netlab.runtime.state.resolved import Lab

_SOURCES = ("frames", "rules", "drops", "counters")
_MANY = 200  # namespaces
_CHAINS = 300  # of a table
_TIMEOUT = 0.9  # seconds


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
    not, or if policies deny a flow that passed.  With --compare it is 4 if another result was predicted.
    """
    from dataclasses import replace

    from netlab.model.topology.links import round_trip
    from netlab.objects import Netns, NftTable, Vxlan
    from netlab.observe.trace.record import Request, recorded
    from netlab.oracle.target import asked
    from netlab.runtime.state.running import load_meant

    crafted = None
    if packet:
        crafted, target, icmp = _crafted(packet, target)
    elif not target:
        raise BadInput("trace needs a TARGET, or a packet: --packet EXPRESSION")
    name = own_lab(lab_option)
    running = load_meant(name)
    timeout = _TIMEOUT + round_trip(running.cluster) if timeout is None else timeout
    lookup, target = (
        (None, target) if packet else _looked_up(running.cluster, client, target, namespace, version, timeout)
    )
    meant = asked(
        running.cluster, client, target, namespace, icmp=icmp and _has_addresses(lookup), version=version or 0
    )
    flow = meant.flow
    request = Request(flow.src.netns, flow.protocol, flow.address, flow.port, size, df, meant.answers, crafted)
    if lookup and not lookup.addresses:
        request = replace(request, name=lookup.queries[-1].name, size=0)
    for file in (pcap, record):
        _writable(file)
    tunnels = {vxlan.port for vxlan in running.want.only(Vxlan)}
    netns = sorted(space.netns for space in running.want.only(Netns))
    with recorded(
        name,
        request,
        netns,
        tunnels=tunnels,
        patience=timeout,
        without=without,
        counted=_counted(running.cluster, flow, netns),
        unlisted=_long_tables(running.want),
        lab_tables={(table.netns, table.family, table.table) for table in running.want.only(NftTable)},
        meanwhile=_preload,
    ) as recording:
        # Imported here: the kernel takes as long to let the sources go.
        from netlab.diagnose.causes.answerer import as_meant
        from netlab.diagnose.findings import findings
        from netlab.diagnose.report import lines
        from netlab.diagnose.story import tell
        from netlab.observe.layers import Layers

        if lookup:
            recording = replace(recording, lookups=(lookup,))
        if record:
            _keep(record, recording)
        story = tell(recording, running.cluster, running.want)
        results = findings(story)
    if results or not story.answered:
        results = findings(story, _drift(running, name, story))
    held = _held(story, results, flow, running) if compare else None
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


def _preload(replied: Callable[[], bool]) -> None:
    """Import what the report needs while the packet is under way, and what only a lost packet needs."""
    if not replied():
        import netlab.runtime.lab  # noqa: F401


def _looked_up(
    cluster: Cluster, client: str, target: str, namespace: str, version: int | None, timeout: float
) -> tuple[Lookup | None, str]:
    """The lookup of a DNS name in the client, and what to send to: its address, else the name server."""
    from netlab.oracle.target import looked_up

    wanted = looked_up(cluster, client, target, namespace)
    if wanted is None:
        return None, target
    from netlab.observe.lookup import lookup

    lookup_made = lookup(cluster, wanted.pod, wanted.name, version=version or 0, patience=max(1.0, timeout))
    address = lookup_made.addresses[0] if lookup_made.addresses else lookup_made.queries[-1].server
    port = wanted.port if lookup_made.addresses else "53/UDP"
    address = f"[{address}]" if ":" in address else address
    return lookup_made, f"{address}:{port}" if port else address


def _has_addresses(lookup: Lookup | None) -> bool:
    return lookup is None or bool(lookup.addresses)


def _crafted(expression: str, target: str) -> tuple[Any, str, bool]:
    """The packet of ``--packet``, the target that it goes to, and whether that is an ICMP message."""
    from netlab.observe.trace.crafted import aim
    from netlab.observe.trace.expression import parse

    if target:
        raise BadInput("--packet says where the packet goes: TARGET and --packet exclude each other")
    packet = parse(expression)
    return packet, *aim(packet)


def _counted(cluster: Cluster, flow: Flow, netns: Sequence[str]) -> Sequence[str]:
    """Where counters are worth reading, at 0.5 ms a namespace: in a large lab not in Pods that have no part in it."""
    if len(netns) <= _MANY:
        return netns
    service = next((service for service in cluster.services if str(service) == flow.dst.name), None)
    named = {flow.dst.name, *(backend.pod for backend in service.backends)} if service else {flow.dst.name}
    near = {flow.src.netns, *(pod.netns for pod in cluster.pods if str(pod) in named)}
    far = {pod.netns for pod in cluster.pods if not pod.host_network} - near
    return [name for name in netns if name not in far]


def _long_tables(want: State) -> set[tuple[str, str]]:
    """Tables that nft needs seconds to list; of our own rules a comment, or the chain's name, says enough."""
    from collections import Counter

    from netlab.objects import NftChain

    chains = Counter((chain.netns, chain.family, chain.table) for chain in want.only(NftChain))
    return {(family, table) for (_, family, table), count in chains.items() if count > _CHAINS}


def _typed(command: str) -> str:
    return f"{out.command()} {command.removeprefix('netlab ')}"


def _drift(running: Lab, name: str, story: Story) -> Any:
    """The differences between the kernel and the lab; in a large lab only near the place where a packet was lost."""
    from netlab.objects import contradicted
    from netlab.plan import drift
    from netlab.runtime.lab import observe, within
    from netlab.runtime.state.rundir import RunDir

    rundir = RunDir(name)
    if len(rundir.assignments().netns) <= _MANY:
        seen = observe(running, rundir)
        return drift(running.want, seen.state, running.want, contradicted(running.want, seen.learned))
    want = within(running.want, story.concerned)
    seen = observe(running, rundir, want, story.concerned)
    return drift(want, seen.state, wrong=contradicted(running.want, seen.learned))


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


def _keep(path: str, recording: Recording) -> None:
    import json

    from netlab.evidence.records import to_json

    with open(path, "w", encoding="utf-8") as stream:
        json.dump(to_json(recording), stream, indent=1)
        stream.write("\n")


def _capture(path: str, story: Story, running: Lab) -> None:
    from netlab.diagnose.report import headline
    from netlab.observe.capture.names import of_addresses
    from netlab.observe.trace.file import write

    with open(path, "wb") as stream:
        write(stream.write, story, of_addresses(running.cluster), headline(story))
