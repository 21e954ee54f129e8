"""``netlab exec``: run a command in a Pod or on a node."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from netlab.cli import out
from netlab.cli.find import place
from netlab.cli.options import lab, own_lab
from netlab.errors import BadInput, HostCannot, StateError

if TYPE_CHECKING:
    from netlab.model import Pod


@click.command(context_settings={"ignore_unknown_options": False, "allow_interspersed_args": False})
@click.option("-n", "--namespace", default="", help="namespace of the Pod (default: default)")
@click.option("-c", "--container", default="", help="the container; all containers of a Pod share its namespaces")
@click.option("-i", "--stdin", is_flag=True, help="pass standard input to the command")
@click.option("-t", "--tty", is_flag=True, help="run the command on a terminal")
@lab
@click.argument("name")
@click.argument("command_line", nargs=-1, required=True, type=click.UNPROCESSED, metavar="[--] CMD...")
def command(
    namespace: str, container: str, stdin: bool, tty: bool, lab_option: str, name: str, command_line: tuple[str, ...]
) -> int:
    """Run a command in a Pod, on a node or on an external host.

    NAME is a Pod (NAME or NAMESPACE/NAME), deploy|sts|ds|job|svc/NAME or a Service (its first Pod), a node, an external
    host, an address or a DNS name.  The command runs programs of this host.  It writes to a temporary layer that
    disappears with the Pod.  exec returns the exit status of the command.
    """
    argv = list(command_line)
    # Options may stand before and after NAME, as with kubectl: `exec client -it -- sh`.
    while argv and argv[0].startswith("-") and argv[0] != "--":
        word = argv.pop(0)
        if word in ("-i", "--stdin"):
            stdin = True
        elif word in ("-t", "--tty"):
            tty = True
        elif word in ("-it", "-ti"):
            stdin = tty = True
        elif word in ("-c", "--container", "-n", "--namespace", "--lab") and argv:
            value = argv.pop(0)
            container = value if word in ("-c", "--container") else container
            namespace = value if word in ("-n", "--namespace") else namespace
            lab_option = value if word == "--lab" else lab_option
        else:
            raise BadInput(f"exec has no option {word}", hint="put -- before the command")
    if argv and argv[0] == "--":
        argv = argv[1:]
    if not argv:
        raise BadInput("no command is given", hint=f"netlab exec {name} -- CMD...")
    return enter(lab_option, name, namespace, container, argv, stdin=stdin, tty=tty)


def enter(lab_name: str, name: str, namespace: str, container: str, argv: list[str], *, stdin: bool, tty: bool) -> int:
    """Find the place and run the command there."""
    import sys

    from netlab.plan.environment import environment
    from netlab.plan.processes import spec_of
    from netlab.runtime.client import enter as entering
    from netlab.runtime.state.rundir import RunDir
    from netlab.runtime.state.running import load_cluster

    lab = own_lab(lab_name, shares=True)
    cluster = load_cluster(lab)
    entered = place(cluster, name, namespace)
    env: dict[str, str] = {}
    workdir, etc = "/", ""
    if entered.pod is not None:
        chosen = _container(entered.pod, container)
        spec = spec_of(entered.pod, chosen)
        env, etc = environment(spec, entered.pod, cluster), entered.pod.etc
        if any(container.name == chosen and container.runs for container in entered.pod.containers):
            workdir = str(spec.get("workingDir") or "/")  # which is there: its process made it
    elif container:
        raise BadInput(f"{name} is no Pod and has no containers")
    target = entering.EnterTarget(lab, RunDir(lab).path, f"/run/netns/{entered.netns}", entered.hostname, env, etc)
    if not os.path.exists(target.netns):
        if (share := RunDir(lab).share()) is not None:
            from netlab.runtime.machines.shares import elsewhere

            if machine := elsewhere(share, cluster, entered.netns):
                hint = f"there: netlab exec --lab {lab} {name} -- {' '.join(argv)}"
                raise HostCannot(f"{name} is on machine {machine.name} ({machine.address})", hint=hint)
        raise StateError(f"the namespace {entered.netns} is not there", hint=f"netlab up {lab} makes it again")
    if tty and not sys.stdin.isatty():
        out.note("standard input is no terminal; going on without one")
        tty = False
    return entering.run(target, argv, tty=tty, stdin=stdin or tty, workdir=workdir)


def _container(pod: Pod, wanted: str) -> str:
    """Which container is meant; as kubectl, a default is told."""
    names = [container.name for container in pod.containers]
    if wanted and wanted not in names:
        raise BadInput(f"Pod {pod} has no container {wanted}; it has {', '.join(names)}")
    if wanted:
        return wanted
    default = pod.annotations.get("kubectl.kubernetes.io/default-container", names[0])
    if len(names) > 1:
        out.note(f'Defaulted container "{default}" out of: {", ".join(names)}')
    return default
