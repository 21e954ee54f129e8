"""``netlab graph``: the topology of a lab, as a document or as a picture."""

from __future__ import annotations

import json
from typing import IO

import click

from netlab.cli import out
from netlab.cli.options import lab_argument, require_whole, running_lab
from netlab.errors import BadInput
from netlab.graph.formats import names, renderer


@click.command()
@lab_argument
@click.option("-o", "--output", type=click.Choice(names()), help="output format (default: json; svg with --trace)")
@click.option("--trace", type=click.File(encoding="utf-8"), metavar="FILE",
              help="draw the packet of this trace, a document of netlab trace -o json; - is the standard input")  # fmt: skip
def command(lab: str, lab_option: str, output: str | None, trace: IO[str] | None) -> None:
    """Print the topology of a lab: nodes, Pods, devices, addresses, routes, tunnels, Services and policies.

    json is the whole document; svg is a picture and text is the same in words; mermaid and dot are for other tools.

    The topology is that of the lab as applied, with the impairments of its wires, and whether the kernel has both ends of a
    wire up; "netlab diff" shows how else the kernel differs.
    """
    from netlab.graph.topology import graph
    from netlab.kernel.rtnetlink.link import links_up
    from netlab.runtime.state.running import load_running

    name = running_lab(lab, lab_option)
    require_whole(name)
    running = load_running(name)
    topology = graph(running.cluster, running.want, links_up(running.want.netns()))
    if trace is None:
        for piece in renderer(output or "json")(topology):
            out.raw(piece)
        return
    from netlab.output.trace import Trace
    from netlab.picture.svg import render
    from netlab.picture.walk import walk
    from netlab.plain import load

    try:
        document = load(Trace, json.load(trace))
    except (ValueError, KeyError, TypeError) as failure:
        raise BadInput(f"{trace.name} is no document of netlab trace -o json: {failure}") from None
    if document.lab != topology.lab:
        raise BadInput(f"the trace is of lab {document.lab}, and this is lab {topology.lab}")
    scene = walk(topology, document)
    if output in (None, "svg"):
        out.raw(render(scene))
    elif output == "text":
        for line in scene.twin:
            out.line(line)
    else:
        raise BadInput(f"-o {output} draws no trace; -o svg and -o text do")
