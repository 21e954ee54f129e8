"""Rules of policy routing in ip-rule's words: whether one matches a packet, and where it leads."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

from netlab.tuples import NamedTuple
from netlab.wire.packets import Packet

MAIN_PREFERENCE = 32766
_KERNEL_TABLES = ("main", "local", "default")
_REFUSING = ("blackhole", "unreachable", "prohibit")


class Lookup(NamedTuple):
    """A routing decision: the packet, and the interface by which it came (``lo``: the namespace sent it)."""

    packet: Packet
    iif: str


class IpRule(NamedTuple):
    """A rule; ``table`` is "" if it leads to none."""

    preference: int
    selectors: tuple[tuple[str, str], ...]
    inverted: bool
    action: str
    table: str

    @property
    def refuses(self) -> bool:
        """Whether it rejects what it matches."""
        return self.action in _REFUSING

    @property
    def own_table(self) -> int:
        """The table that it leads to, if that is not one of the kernel's; else 0."""
        return int(self.table) if self.table and self.table not in _KERNEL_TABLES else 0

    def matches(self, lookup: Lookup) -> bool | None:
        """Whether it matches; None if that depends on what no sighting shows (a mark, a user)."""
        results = {_selected(word, value, lookup) for word, value in self.selectors}
        if False in results:
            return self.inverted
        return None if None in results else not self.inverted


def parse(text: str) -> IpRule:
    """``pref 51 to 10.244.2.0/24 lookup 51`` as a rule."""
    words = text.split()
    inverted = words[:1] == ["not"]
    words = words[1:] if inverted else words
    selectors, action, table, preference = [], "", "", 0
    at = 0
    while at < len(words):
        word, value = words[at], words[at + 1] if at + 1 < len(words) else ""
        if word == "pref":
            preference = int(value)
        elif word == "lookup":
            action, table = "lookup", value
        elif word in _REFUSING or word in ("nop", "action", "goto"):
            action = word
            at -= word in (*_REFUSING, "nop")
        else:
            selectors.append((word, value))
        at += 2
    return IpRule(preference, tuple(selectors), inverted, action, table)


def _selected(word: str, value: str, lookup: Lookup) -> bool | None:
    packet = lookup.packet
    if word in ("from", "to"):
        if value == "all":
            return True
        address = ip_address((packet.source if word == "from" else packet.target) or "0.0.0.0")
        network = ip_network(value, strict=False)
        return address.version == network.version and address in network
    if word == "iif":
        return lookup.iif == value
    if word == "ipproto":
        return packet.protocol == int(value)
    if word in ("sport", "dport"):
        low, _, high = value.partition("-")
        return int(low) <= (packet.sport if word == "sport" else packet.dport) <= int(high or low)
    if word == "suppress_prefixlength":
        return True
    return None
