"""``netlab shell``: a shell in a Pod or on a node."""

from __future__ import annotations

import os
import shutil
import sys

import click

from netlab.cli.options import lab
from netlab.cli.verbs.exec import enter


@click.command()
@click.option("-n", "--namespace", default="", help="namespace of the Pod (default: default)")
@click.option("-c", "--container", default="", help="the container")
@lab
@click.argument("name")
def command(namespace: str, container: str, lab_option: str, name: str) -> int:
    """Open a shell in a Pod, on a node or on an external host: `ip route` there needs no lab name."""
    shell = os.environ.get("SHELL", "")
    if os.path.basename(shell) not in ("bash", "zsh", "fish", "sh", "dash") or not os.path.exists(shell):
        shell = shutil.which("bash") or "/bin/sh"
    interactive = sys.stdin.isatty()
    return enter(lab_option, name, namespace, container, [shell], stdin=True, tty=interactive)
