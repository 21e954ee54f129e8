"""The way of a command into the world of its user's labs, and the words where this host forbids that."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Sequence

from netlab.cli import out
from netlab.errors import HostCannot, NetlabError
from netlab.runtime.rootless import door


def enter(words: Sequence[str]) -> None:
    """Enter the world; where that fails, say why and leave."""
    try:
        door.enter(words)
    except HostCannot as error:
        lines = [error.hint, f"or as root: {out.command(root=True)} {shlex.join(words)}"]
        if words[0] == "test":
            lines.append(f"or without packets: {out.command()} {shlex.join(words)} --predict")
        _leave(HostCannot(error.message, hint="\n  ".join(lines)))
    except NetlabError as error:
        _leave(error)


def _leave(error: NetlabError) -> None:
    out.error(error)
    sys.stderr.flush()
    os._exit(int(error.status))
