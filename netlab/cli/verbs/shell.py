"""``netlab shell``: a shell in a Pod or on a node, or in the world of the lab."""

from __future__ import annotations

import os
import shutil
import sys

import click

from netlab.cli import labshell
from netlab.cli.options import lab, own_lab
from netlab.cli.verbs.exec import enter
from netlab.errors import BadInput
from netlab.runtime.state.rundir import RunDir, running


class _Command(click.Command):
    """A command with words of another command after ``--``; click drops the ``--``, which tells the two apart."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        at = args.index("--") if "--" in args else len(args)
        rest = super().parse_args(ctx, args[:at])
        ctx.params["command_line"] = tuple(args[at + 1 :])
        return rest

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        return [*super().collect_usage_pieces(ctx), "[-- CMD...]"]


@click.command(cls=_Command)
@click.option("-n", "--namespace", default="", help="namespace of the Pod (default: default)")
@click.option("-c", "--container", default="", help="the container")
@lab
@click.argument("name", required=False, default="")
def command(namespace: str, container: str, lab_option: str, name: str, command_line: tuple[str, ...]) -> int:
    """Open a shell in the world of a lab; with NAME in a Pod, on a node or on an external host.

    Without NAME every printed line works as typed: `ip -n overlay-node-1 route`, `ip netns exec`, and netlab's verbs
    without --lab.  TAB completes the names.  With NAME, `ip route` is that of the Pod or node.

    CMD runs there instead of a shell; its exit status is returned.
    """
    interactive = sys.stdin.isatty()
    if name:
        shell = os.environ.get("SHELL", "")
        if os.path.basename(shell) not in ("bash", "zsh", "fish", "sh", "dash") or not os.path.exists(shell):
            shell = shutil.which("bash") or "/bin/sh"
        argv = list(command_line) or [shell]
        try:
            return enter(lab_option, name, namespace, container, argv, stdin=True, tty=interactive)
        except BadInput as error:
            if error.hint or name not in (lab.lab for lab in running()):
                raise
            raise BadInput(error.message, hint=f"netlab shell --lab {name} is the shell of the lab") from None
    if namespace or container:
        raise click.UsageError("-n and -c belong to a Pod: netlab shell -n NAMESPACE POD")
    chosen = own_lab(lab_option, shares=True)
    return labshell.become(chosen, sorted(RunDir(chosen).assignments().netns), command_line)
