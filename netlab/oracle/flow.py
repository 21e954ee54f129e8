"""A question (Flow), an answer (Verdict), and who can give one (Answerer).

All are named tuples: they hash and compare in C, which counts where a million of them are made.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Protocol

from netlab.objects import Why
from netlab.tuples import NamedTuple

POD, NODE, SERVICE, EXTERNAL, ADDRESS = "pod", "node", "service", "external", "address"
NAME = "name"  # a DNS name that is looked up, of no flow that is probed
ROUTER = "router"  # who has an address, never what is asked: a flow to a router is one to its address


class Outcome(StrEnum):
    """The result of a flow.

    OPEN: somebody answered.  REFUSED: a TCP reset, an SCTP ABORT or ICMP port (SCTP: also protocol) unreachable.
    TIMEOUT: silence.  DENIED: silence or refusal with positive evidence that a policy did it.  UNREACHABLE: any other
    ICMP error, or no route from the source.  ERROR: this host could not ask.  MIXED: the backends of a Service differ.
    """

    OPEN = "open"
    REFUSED = "refused"
    TIMEOUT = "timeout"
    DENIED = "denied"
    UNREACHABLE = "unreachable"
    ERROR = "error"
    MIXED = "mixed"


class Endpoint(NamedTuple):
    """One end of a flow.

    ``name`` is ``namespace/name`` of a Pod or Service, the name of a node or external host, or the address itself.
    ``netns`` the network namespace that it acts from, "" where it has none; ``addresses`` without prefix length, the
    primary one first.
    """

    kind: str
    name: str
    netns: str = ""
    addresses: tuple[str, ...] = ()


def is_own(address: str) -> bool:
    """Whether it is a loopback address, which is the client's own."""
    return address == "::1" or address.startswith("127.")


#: The sender itself, as every Pod's hosts file names it.
LOCALHOST = Endpoint(ADDRESS, "localhost", "", ("127.0.0.1", "::1"))


class Flow(NamedTuple):
    """One question: does ``src`` reach ``dst`` at this address (one of dst's), port and protocol (TCP, UDP, SCTP)?

    ``size``: the bytes that must arrive; 0 for what a request needs.
    """

    src: Endpoint
    dst: Endpoint
    address: str
    port: int
    protocol: str = "TCP"
    size: int = 0

    @classmethod
    def to(cls, src: Endpoint, dst: Endpoint, address: str, port: int, protocol: str) -> Flow:
        """A flow to the owner of an address; a loopback address belongs to the source itself."""
        return cls(src, src if dst.kind == ADDRESS and is_own(address) else dst, address, port, protocol)

    def __str__(self) -> str:
        at = f"[{self.address}]" if ":" in self.address else self.address
        target = self.dst.name if self.dst.kind != ADDRESS else ""
        size = f" ({self.size} bytes)" if self.size else ""
        return f"{self.src.name} -> {target + ' ' if target else ''}{at}:{self.port}/{self.protocol}{size}"


class Verdict(NamedTuple):
    """One answer: ``server`` is the name of who answered, ``client`` the address that the server saw.

    ``own``: a process of the target's own has the port, so that it may also refuse, which no cluster tells.
    ``may``: of a Service with several backends, the verdict on each, whose flow is the one that arrives there.
    ``asked`` is false of a backend that no packet met: its verdict is the prediction.  ``unowned``: the lab has no host
    with the address.  ``nameless``: the server gave no name, and the lab's server of that port does.  ``deserted``: of a
    Service without an endpoint, whose nodes refuse or drop the flow.
    """

    flow: Flow
    outcome: Outcome
    server: str | None = None
    client: str | None = None
    because: tuple[Why, ...] = ()
    own: bool = False
    may: tuple[Verdict, ...] = ()
    asked: bool = True
    unowned: bool = False
    nameless: bool = False
    deserted: bool = False

    def allows(self, outcome: Outcome) -> bool:
        """Whether an observed outcome confirms this prediction.

        At an address without a host, silence and ICMP errors are one: kernels limit the rate of IPv4 errors of a missing
        route, and ARP reports a failure only after seconds.
        """
        unanswered = (Outcome.TIMEOUT, Outcome.UNREACHABLE)
        return outcome is self.outcome or (self.unowned and self.outcome in unanswered and outcome in unanswered)

    @property
    def wrong_server(self) -> bool:
        """Whether the reply came from another server than the target."""
        if self.nameless:
            return True
        kind, name = self.flow.dst[:2]
        # At a loopback address of a node, whoever has the port or hostPort answers.
        asked = kind in (POD, NODE, EXTERNAL) and not is_own(self.flow.address)
        return self.server is not None and asked and not served_by(self.flow, self.server, name)


def served_by(flow: Flow, server: str, name: str) -> bool:
    """Whether ``server`` may answer for ``name``: a hostNetwork Pod answers at its node's address, and either name fits.

    Such a Pod and its node share a network namespace, so the address cannot tell them apart.
    """
    return server == name or (flow.dst.kind == NODE and "/" in server)


class Answerer(Protocol):
    """A source of verdicts on flows: the prediction, or packets."""

    def answer(self, flows: Iterable[Flow]) -> Mapping[Flow, Verdict]:
        """The verdict on each flow, in the order of the flows."""
        ...
