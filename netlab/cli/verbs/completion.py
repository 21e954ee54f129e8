"""``netlab completion``."""

from __future__ import annotations

import os

import click

from netlab.cli import out

_HOW = {
    "bash": "source <(netlab completion bash)",
    "zsh": "source <(netlab completion zsh)",
    "fish": "netlab completion fish | source",
}


@click.command()
@click.argument("shell", type=click.Choice(list(_HOW)), required=False)
def command(shell: str | None) -> None:
    r"""Print the script that completes verbs, labs, kinds, Pods and nodes in a shell.

    \b
    bash, in ~/.bashrc:                     source <(netlab completion bash)
    zsh, in ~/.zshrc after compinit:        source <(netlab completion zsh)
    fish, in ~/.config/fish/config.fish:    netlab completion fish | source

    In bash, ./bootstrap.sh netlab is completed too, also behind sudo, after
    source <(./bootstrap.sh netlab completion bash).

    Without an argument the shell is the one in $SHELL.  The shell that ./bootstrap.sh opens already has completion.
    """
    from netlab.cli.complete import script

    name = shell or os.path.basename(os.environ.get("SHELL", ""))
    if name not in _HOW:
        raise click.UsageError(f"which shell? There are {', '.join(_HOW)}")
    out.line(script(name))
