"""The rules of a table as nft prints them, with hooks, devices and handles.

The listing leaves out elements of sets and the values of counters: it is short, whatever a set holds.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from netlab.kernel.nftables import libnft
from netlab.tuples import NamedTuple

_CHAIN = re.compile(r"^\tchain (\S+) \{(?: comment .*)?(?: # handle \d+)?$")
_BASE = re.compile(
    r"^type (?P<type>\S+) hook (?P<hook>\S+) (?:devices? = ?|device )?(?P<devices>.*?) ?priority (?P<prio>-?\d+);"
)
_DEVICE = re.compile(r'[^\s{},"=]+')


class Row(NamedTuple):
    """A rule; ``handle`` 0: a base chain's policy.  ``hook`` and ``devices`` are those of its base chain, "" elsewhere."""

    chain: str
    handle: int
    text: str
    hook: str
    priority: int
    devices: tuple[str, ...]


def rules(family: str, table: str) -> list[Row]:
    """The rules of a table in the namespace that the calling thread is in; none if nft cannot list it."""
    return list(parse(libnft.listed(f"list table {family} {table}", libnft.TERSE)))


def chain_rules(family: str, table: str, chain: str) -> dict[int, str]:
    """The rules of a chain in the namespace that the calling thread is in, by handle."""
    text = libnft.listed(f"list chain {family} {table} {chain}")
    return {row.handle: row.text for row in parse(text) if row.handle}


def parse(text: str) -> Iterator[Row]:
    """The rules in nft's listing of a table."""
    chain, base = "", Row("", 0, "", "", 0, ())
    for line in text.splitlines():
        start = _CHAIN.match(line)
        if start or line == "\t}":
            chain = start[1] if start else ""
            base = Row(chain, 0, "", "", 0, ())
        elif not chain:
            continue
        elif head := _BASE.match(line.strip()):
            devices = tuple(_DEVICE.findall(head["devices"]))
            base = Row(chain, 0, "", head["hook"], int(head["prio"]), devices)
            if "policy drop;" in line:
                yield base._replace(text="policy drop")
        else:
            rule, marked, handle = line.strip().rpartition(" # handle ")
            if marked and handle.isdigit():
                yield base._replace(handle=int(handle), text=rule)
