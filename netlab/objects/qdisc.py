"""Queueing disciplines: those that impair a link, and those that others added."""

from __future__ import annotations

from typing import ClassVar

from netlab import units
from netlab.objects.base import Floor, Obj
from netlab.values import dataclass

_WHOLE = 0xFFFFFFFF  # the kernel's 100 %


def share(percent: float) -> int:
    """A percentage as the kernel has it, rounded as tc rounds it."""
    return round(percent / 100 * _WHOLE)


@dataclass(frozen=True, slots=True)
class Netem:
    """The parameters of netem in the kernel's units: nanoseconds, parts of 2^32 - 1, bytes a second.

    ``others``: what somebody set that netlab never sets (a correlation, a loss model, slots), as tc's words.
    """

    limit: int
    delay: int = 0
    jitter: int = 0
    loss: int = 0
    duplicate: int = 0
    reorder: int = 0
    corrupt: int = 0
    rate: int = 0
    others: str = ""

    def __str__(self) -> str:
        times = [units.time_text(each) for each in (self.delay, self.jitter) if each]
        delay = f"delay {' '.join(times)}" if times else ""
        shares = (
            f"{word} {units.percent_text(100 * getattr(self, word) / _WHOLE)}"
            for word in ("loss", "duplicate", "reorder", "corrupt")
            if getattr(self, word)
        )
        rate = f"rate {units.rate_text(self.rate * 8)}" if self.rate else ""
        return " ".join(part for part in (f"limit {self.limit}", delay, *shares, rate, self.others) if part)


@dataclass(frozen=True, slots=True)
class Tbf:
    """The parameters of tbf: bytes a second, bytes."""

    rate: int
    burst: int
    limit: int

    def __str__(self) -> str:
        return f"rate {units.rate_text(self.rate * 8)} burst {self.burst}b limit {self.limit}b"


@dataclass(frozen=True, slots=True)
class Qdisc(Obj):
    """A queueing discipline on a link that by itself has none; its filters and programs go with it.

    ``place`` is root, or clsact or ingress (what filters and tc's BPF programs hang on); ``type_`` is the kernel's
    kind (``tbf``, ``htb``), ``setting`` the parameters of the kinds that netlab makes.
    """

    kind: ClassVar[str] = "qdisc"
    floor: ClassVar[Floor] = Floor.QDISC

    dev: str
    place: str
    type_: str
    setting: Netem | Tbf | None = None

    @property
    def name(self) -> str:
        return f"{self.dev} {self.place}" + (f" {self.type_}" if self.type_ != self.place else "")

    def explain(self, *, exact: bool = False) -> str:
        kind = f" {self.type_}" if self.type_ != self.place else ""
        setting = f" {self.setting}" if self.setting else ""
        return f"tc -n {self.netns} qdisc add dev {self.dev} {self.place}{kind}{setting}"

    def undo(self) -> str:
        return f"tc -n {self.netns} qdisc del dev {self.dev} {self.place}"

    def amend(self, have: Obj) -> str | None:
        # To change it in place would keep each parameter that is not named.
        return f"{self.undo()}\n{self.explain()}"
