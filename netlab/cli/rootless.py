"""The way of a command into the world of its user's labs, and the words where this host forbids that."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Sequence
from typing import NoReturn

from netlab.errors import EXHAUSTED, HostLacks, NetlabError, StateError, exhausted
from netlab.runtime.rootless import door


def enter(words: Sequence[str]) -> None:
    """Enter the world; where that fails, say why and leave."""
    try:
        door.enter(words)
    except HostLacks as error:
        _leave(HostLacks(error.message, hint="\n  ".join([*error.hint.splitlines(), *_other_ways(words)])))
    except NetlabError as error:
        _leave(error)
    except OSError as error:
        if error.errno in EXHAUSTED:
            _leave(exhausted(error))
        _leave(StateError(f"the namespaces of your labs cannot be entered: {error.strerror or error}"))


def _other_ways(words: Sequence[str]) -> list[str]:
    from netlab.cli import out

    line = shlex.join(words)
    as_root = "with --privileged, as root" if os.geteuid() == 0 else f"as root: {out.command(root=True)} {line}"
    return [f"or {as_root}", *([f"or without packets: {out.command()} {line} --predict"] if words[0] == "test" else [])]


def _leave(error: NetlabError) -> NoReturn:
    from netlab.cli import out

    out.error(error)
    sys.stderr.flush()
    os._exit(int(error.status))
