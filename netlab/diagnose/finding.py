"""A finding: a sentence about the cause, its place, and commands for a closer look."""

from __future__ import annotations

from netlab.errors import Mark
from netlab.values import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """``kind`` is a stable word for programs, ``message`` the sentence, ``netns`` and ``interface`` the place.

    ``look`` are shell lines to paste that change nothing, ``mend`` those that repair; lines that begin with ``netlab``
    are adapted to the reader's command. ``reason``
    and ``function`` are the kernel's; ``rule`` names an nftables rule, ``policy`` and ``service`` its origin, ``mark``
    the line in the file.  ``root``: a cause, and not only the end of the packet's path.
    """

    kind: str
    message: str
    netns: str
    interface: str = ""
    look: tuple[str, ...] = ()
    reason: str = ""
    function: str = ""
    rule: str = ""
    policy: str = ""
    service: str = ""
    mark: Mark | None = None
    root: bool = False
    mend: tuple[str, ...] = ()
