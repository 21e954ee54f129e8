"""The targets of flows: an end with the probed addresses, and the ports that a word means."""

from __future__ import annotations

from collections.abc import Mapping

from netlab.model.cluster.services import ServicePort
from netlab.oracle.flow import Endpoint
from netlab.tuples import NamedTuple


class Reachable(NamedTuple):
    """A target and its probed addresses: all of them, unless an address or CIDR selected it.

    ``behind``: it was selected as a Pod behind a headless Service, whose ports lead to these of its own.
    """

    end: Endpoint
    addresses: tuple[str, ...]
    behind: tuple[tuple[ServicePort, int], ...] = ()

    def ports(self, wish: PortWish | None) -> list[tuple[int, str]]:
        """Of a Pod behind a headless Service, the target ports that a wish means: the Service's by number or name."""
        pairs = [(port, number) for port, number in self.behind if number and (wish is None or wish.means(port))]
        return [(number, port.protocol) for port, number in pairs] or [
            (wish.number, wish.protocol) for wish in [wish] if wish is not None and wish.number
        ]


class PortWish(NamedTuple):
    """``79/TCP`` or ``sql``: a number, or a name (number 0) that only the Pods that have it can resolve."""

    number: int
    name: str
    protocol: str

    def means(self, port: ServicePort) -> bool:
        """Whether it is this port of a Service."""
        return port.protocol == self.protocol and (port.port == self.number if self.number else port.name == self.name)

    def __str__(self) -> str:
        return f"{self.number or self.name}/{self.protocol}"


def other_protocol(wish: PortWish, protocols: Mapping[str, str]) -> str:
    """The hint where a target has a port of this name, of another protocol; ``protocols``: its protocols by name."""
    protocol = protocols.get(wish.name, wish.protocol)
    return f"; it is {protocol}: write {wish.name}/{protocol}" if protocol != wish.protocol else ""
