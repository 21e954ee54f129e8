"""``netlab up``: build a lab, or converge a running one to its spec."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from netlab.cli import out
from netlab.cli.elsewhere import typed_outside
from netlab.cli.options import output, spec_options
from netlab.errors import BadInput
from netlab.runtime.state.rundir import running

if TYPE_CHECKING:
    from netlab.plan.share import Share
    from netlab.runtime import lab as labs


@click.command()
@spec_options
@click.option("--reset", is_flag=True, help="drop the changes by apply, delete, label and link, and all faults")
@click.option(
    "--wait/--no-wait",
    default=True,
    help="wait until the commands of containers run, listen and are ready (at most 20 s)",
)
@click.option(
    "--strict", is_flag=True, help="refuse objects that affect the network and are not modelled (exit status 2)"
)
@click.option("--dataplane", type=click.Path(exists=True, dir_okay=False), metavar="FILE.py",
              help="a data plane of your own, in Python, instead of the Lab's (docs/extending.md)")  # fmt: skip
@click.option("--share", "share_file", default="", metavar="FILE",
              help="build this machine's share of a lab on several machines: FILE says which nodes are where")  # fmt: skip
@click.option(
    "--machine", default="", metavar="NAME", help="this machine's name in --share's FILE (default: its host name)"
)
@output
def command(
    lab: str,
    files: tuple[str, ...],
    name: str,
    namespace: str,
    reset: bool,
    wait: bool,
    strict: bool,
    dataplane: str | None,
    share_file: str,
    machine: str,
    output: str,
) -> None:
    """Build a lab, or update a running lab to match its spec.

    LAB is a path, or the name of a lab in ./labs or among the labs that netlab ships.  On a running lab, up changes only
    what differs.
    """
    from dataclasses import replace

    from netlab.cli import warned
    from netlab.cli.drafts import beside, draft
    from netlab.runtime import lab as labs

    wanted = draft(lab, files, name, namespace)
    if dataplane:
        wanted = replace(wanted, plane=(os.path.realpath(dataplane), ""))
    if strict:
        warned.refuse_unmodelled(wanted)
    share = _share(share_file, machine)
    done = labs.up(wanted, reset=reset, wait=wait, programs=True, share=share, say=out.note)
    cluster = done.lab.cluster
    warnings = [*warned.of_lab(done.lab), *done.problems]
    if output == "json":
        from netlab.output.changes import Up

        out.document(
            Up(
                lab=cluster.lab,
                nodes=len(cluster.nodes),
                pods=len(cluster.own_pods),
                objects=len(done.lab.want),
                seconds=round(done.seconds, 3),
                changed=done.changed,
                warnings=warned.documents(warnings),
                faults=len(done.lab.faults),
            )
        )
        return
    warned.tell(warnings)
    if others := beside(lab, files):
        out.note(
            f"not read: {', '.join(others)} beside {lab}; {out.command()} up {os.path.dirname(lab) or '.'} reads all"
        )
    _tell(done)


def _share(file: str, machine: str) -> Share | None:
    if not file:
        if machine:
            raise BadInput("--machine names this machine in --share's file: give that as well")
        return None
    import socket

    from netlab.cli.files import shown, text_of
    from netlab.runtime.machines.shares import read

    return read(text_of(Path(file)), shown(Path(file)), machine or socket.gethostname())


def _tell(done: labs.Outcome) -> None:
    cluster = done.lab.cluster
    contents = (
        f"{out.count(len(cluster.nodes), 'node')}, {out.count(len(cluster.own_pods), 'Pod')}, {cluster.dataplane}"
    )
    if done.changed:
        out.line(f"lab {cluster.lab} is up: {contents}; {out.count(done.changed, 'change')} in {done.seconds:.2f} s")
    else:
        out.line(f"lab {cluster.lab} is up: {contents}; nothing to do")
    if share := done.lab.can.share:
        for one in share.machines:
            here = "here" if one.name == share.here else one.address
            out.line(f"machine {one.name} ({here}): {', '.join(one.nodes)}")
    if done.kept:
        out.line(
            f"{out.count(done.kept, 'change')} of apply, delete, label and link kept; --reset drops {'it' if done.kept == 1 else 'them'}"
        )
    if done.lab.faults:
        from netlab.cli import faults

        faults.tell(done.lab.faults)
        out.line(
            f"{out.command()} heal {cluster.lab} mends {'it' if len(done.lab.faults) == 1 else 'them'}; so does --reset"
        )
    if not cluster.enforced and cluster.filters:
        out.line("the policies are enforced by no rule of netlab's (spec.policy.enforce: none)")
    if cluster.policies and cluster.enforced:
        count = out.count(len(cluster.policies), "NetworkPolicy", "NetworkPolicies")
        out.line(f"{count} enforced by nftables (table inet netlab-policy on the nodes)")
    if cluster.tiers and cluster.enforced:
        count = out.count(len(cluster.tiers), "policy", "policies")
        out.line(f"{count} of the Admin and Baseline tiers enforced there, before and after NetworkPolicies")
    if cluster.impairments:
        count = out.count(len({impairment.link.key for impairment in cluster.impairments}), "link")
        out.line(f"{count} impaired; {out.command()} link shows {'it' if count == '1 link' else 'them'}")
    own = [service for service in cluster.services if not service.system]
    if own:
        names = ", and their names by DNS" if cluster.dns else ""
        out.line(f"{out.count(len(own), 'Service')} served by nftables (table ip kube-proxy on the nodes){names}")
    skipped = sum(done.lab.documents.skipped.values())
    if skipped:
        out.line(f"{out.count(skipped, 'object')} skipped: their kinds do not affect the network")
    for obj in done.foreign:
        out.line(f"left alone, not netlab's: {obj.kind} {obj.name} in {obj.netns}")
    if not cluster.own_pods:
        return
    out.line()
    pods = cluster.own_pods[:12]
    out.table(
        [
            (str(pod) if pod.namespace != "default" else pod.name, str(pod.addresses[0].ip), pod.node, pod.netns)
            for pod in pods
        ],
        ("POD", "IP", "NODE", "NETNS"),
    )
    if len(cluster.own_pods) > len(pods):
        out.line(f"... and {len(cluster.own_pods) - len(pods)} more: {out.command()} get pods -A -o wide")
    _hints(done)


def _hints(done: labs.Outcome) -> None:
    cluster, say = done.lab.cluster, out.command()
    if not cluster.own_pods or done.lab.can.share:
        return
    target = next((pod for pod in cluster.own_pods if pod.ports), cluster.own_pods[-1])
    source = next((pod for pod in cluster.own_pods if pod is not target), target)
    flag = f" -n {source.namespace}" if source.namespace != "default" else ""
    address = target.addresses[0].ip
    host = f"[{address}]" if address.version == 6 else str(address)
    tcp = next((port for port in target.ports if port.protocol == "TCP"), None)
    more = f" --lab {cluster.lab}" if len(list(running())) > 1 else ""
    out.line()
    out.line("Try:")
    if tcp is not None:
        out.line(
            f"  {say} exec{more}{flag} {source.name} -- wget -qO- http://{host}{'' if tcp.port == 80 else f':{tcp.port}'}"
        )
    out.line(f"  {say} exec{more}{flag} {source.name} -- ping -c 3 {address}")
    service = next(
        (service for service in cluster.services if service.cluster_ips and service.serving and not service.system),
        None,
    )
    web = next((port.port for port in service.ports if port.protocol == "TCP"), 0) if service else 0
    if service is not None and web and cluster.dns:
        name = service.name if service.namespace == source.namespace else f"{service.name}.{service.namespace}"
        where = name if web == 80 else f"{name}:{web}"
        out.line(f"  {say} exec{more}{flag} {source.name} -- wget -qO- http://{where}")
    out.line(f"  {say} shell{more}")
    before = "sudo " if say.startswith("sudo") else f"{say} shell{more} -- " if typed_outside() else ""
    out.line(f"  {before}ip -n {cluster.nodes[0].netns} route")
    out.line(f"  {say} reach {cluster.lab}")
    out.line(f"  {say} down {cluster.lab}")
    out.line(f"  export KUBECONFIG=$({say} kubeconfig{more})")
