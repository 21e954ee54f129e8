"""What checks may ask of a running lab, and what they answer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol

from netlab.evidence.records import Lookup
from netlab.model import Cluster, Pod
from netlab.objects import Obj
from netlab.oracle.flow import Flow, Verdict
from netlab.tuples import NamedTuple


class Look(NamedTuple):
    """The result of a check: whether it is true, and what was seen, in a few words."""

    ok: bool
    saw: str


class Facts(Protocol):
    """A running lab, as checks see it."""

    cluster: Cluster

    def objects(self) -> Iterable[Obj]:
        """The observed objects of the lab, with neighbours and forwarding entries that the kernel learned."""

    def probed(self, flows: Iterable[Flow]) -> Mapping[Flow, Verdict]:
        """The verdicts of real packets."""

    def lookup(self, pod: Pod, name: str) -> Lookup:
        """A name as a Pod looks it up."""

    def sysctl(self, netns: str, name: str) -> str | None:
        """The value of a sysctl; None where the kernel has none of that name there."""

    def table(self, netns: str, table: str) -> str:
        """The listing of a table of nftables; "" where there is none."""

    def captured(self, at: str, expression: str) -> int:
        """The packets at a place since the step began."""

    def answer(self, question: str) -> str | None:
        """The learner's last answer to a question."""
