"""A finding: one sentence that says why, where it was, and what to look at."""

from __future__ import annotations

from dataclasses import dataclass

from netlab.errors import Mark
from netlab.oracle.report import place
from netlab.output import trace as output


@dataclass(frozen=True, slots=True)
class Finding:
    """``kind`` is a stable word for machines, ``says`` the sentence, ``netns`` and ``interface`` where to look.

    ``look`` are shell lines that can be pasted; those that begin with ``netlab`` are typed as the reader types netlab.
    ``reason`` and ``function`` are the kernel's own; ``rule`` names an nftables rule, ``policy`` and ``service`` what it
    was made of, ``mark`` the line behind it.  ``root``: it is a cause, and not only where the packet ended.
    """

    kind: str
    says: str
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

    def document(self) -> output.Finding:
        """The same as a document."""
        return output.Finding(
            kind=self.kind,
            says=self.says,
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
        )
