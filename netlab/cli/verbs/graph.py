"""``netlab graph``: the topology of a lab."""

from __future__ import annotations

import click

from netlab.cli import out
from netlab.cli.options import lab_argument, running_lab
from netlab.graph.formats import names, renderer


@click.command()
@lab_argument
@click.option("-o", "--output", type=click.Choice(names()), default="json", show_default=True, help="output format")
def command(lab: str, lab_option: str, output: str) -> None:
    """Print the topology of a lab: nodes, Pods, devices, addresses, routes, tunnels, Services and policies.

    The topology is that of the lab as applied, with the impairments of its wires, and whether the kernel has both ends of a
    wire up; "netlab diff" shows how else the kernel differs.
    """
    from netlab.graph.topology import graph
    from netlab.kernel.rtnetlink.link import links_up
    from netlab.runtime.state.running import load_running

    running = load_running(running_lab(lab, lab_option))
    up = links_up(running.want.netns())
    for piece in renderer(output)(graph(running.cluster, running.want, up)):
        out.raw(piece)
