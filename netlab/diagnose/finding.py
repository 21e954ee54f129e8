"""A finding: a sentence about the cause, its place, and commands for a closer look."""

from __future__ import annotations

from netlab.errors import Mark
from netlab.oracle.report import place
from netlab.output import trace as output
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

    def document(self) -> output.Finding:
        """The document of the finding."""
        return output.Finding(
            kind=self.kind,
            says=self.message,
            netns=self.netns,
            interface=self.interface or None,
            root=self.root,
            reason=self.reason or None,
            function=self.function or None,
            rule=self.rule or None,
            policy=self.policy or None,
            service=self.service or None,
            **place(self.mark),
            look=self.look,
            mend=self.mend,
        )
