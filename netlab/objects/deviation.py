"""Deviations: settings of a namespace or a link that netlab never makes.  They are detected and reverted.

No spec names most settings of a kernel object: a new bridge filters no VLANs, a new link has no qdisc of its own, a
new namespace has three rules.  The desired state does not list these defaults.  The observed state lists the
deviations from them, and the difference of the two states reverts each one.
"""

from __future__ import annotations

from dataclasses import field
from typing import ClassVar

from netlab.objects.base import Floor, Obj
from netlab.tuples import NamedTuple
from netlab.values import dataclass


class Deviation(NamedTuple):
    """An attribute of a link that is not as a new link has it.

    ``word`` is ip(8)'s for it, ``value`` what is there, ``usual`` what a new link has; ``group`` the words before it:
    none, ``type bridge`` or ``type bridge_slave``.  Group ``fdb``: the bridge has lost the link's own forwarding entry;
    ``word`` is its MAC address.
    """

    word: str
    value: str
    usual: str
    group: str = ""

    @property
    def message(self) -> str:
        """The difference in words."""
        if self.group == "fdb":
            return f"its own forwarding entry {self.word} is {self.value}"
        return f"{self.word} is {self.value}, should be {self.usual}"

    def mend(self, netns: str, dev: str) -> str:
        """The shell line that sets it back."""
        if self.group == "fdb":
            return f"bridge -n {netns} fdb add {self.word} dev {dev} {self.usual}"
        group = f"{self.group} " if self.group else ""
        return f"ip -n {netns} link set dev {dev} {group}{self.word} {self.usual}"


def mended(netns: str, dev: str, deviations: tuple[Deviation, ...]) -> list[str]:
    """The shell lines that set attributes back."""
    return [deviation.mend(netns, dev) for deviation in deviations]


@dataclass(frozen=True, slots=True)
class Rule(Obj):
    """A rule of policy routing beside the kernel's own three; ``words`` are ip-rule's words, the family's apart.

    ``raw`` is the kernel's message without its header: what takes it away again.
    """

    kind: ClassVar[str] = "rule"
    floor: ClassVar[Floor] = Floor.ROUTE

    v6: bool
    words: str
    raw: bytes = field(default=b"", compare=False, repr=False)

    @property
    def name(self) -> str:
        return ("-6 " if self.v6 else "") + self.words

    def explain(self, *, exact: bool = False) -> str:
        return f"ip {'-6 ' if self.v6 else ''}-n {self.netns} rule add {self.words}"

    def undo(self) -> str:
        return f"ip {'-6 ' if self.v6 else ''}-n {self.netns} rule del {self.words}"


@dataclass(frozen=True, slots=True)
class XfrmPolicy(Obj):
    """A policy of IPsec: packets that it selects are dropped or encrypted before the route lookup."""

    kind: ClassVar[str] = "xfrm"
    floor: ClassVar[Floor] = Floor.ROUTE

    direction: str
    index: int
    words: str
    raw: bytes = field(default=b"", compare=False, repr=False)

    @property
    def name(self) -> str:
        return f"policy {self.words} dir {self.direction} index {self.index}"

    def explain(self, *, exact: bool = False) -> str:
        return f"ip -n {self.netns} xfrm policy add {self.words} dir {self.direction}"

    def undo(self) -> str:
        return f"ip -n {self.netns} xfrm policy delete dir {self.direction} index {self.index}"
