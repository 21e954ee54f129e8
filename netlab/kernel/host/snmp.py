"""The counters that the kernel keeps for a network namespace: what it received, refused, could not route."""

from __future__ import annotations

import re

_FOLDER = "/proc/thread-self/net"  # the calling thread's namespace, wherever the process is
_TABLES = ("snmp", "netstat")
# /proc/net/dev: sixteen numbers a link
_LINK = (
    *("rx_bytes", "rx_packets", "rx_errors", "rx_dropped", "rx_fifo", "rx_frame", "rx_compressed", "multicast"),
    *("tx_bytes", "tx_packets", "tx_errors", "tx_dropped", "tx_fifo", "collisions", "tx_carrier", "tx_compressed"),
)
_UNINTERESTING = frozenset(("rx_bytes", "rx_packets", "tx_bytes", "tx_packets", "multicast"))

Snapshot = tuple[str, ...]


def read() -> Snapshot:
    """The counters of the calling thread's namespace, not yet understood: that is done where some have moved."""
    return tuple(_text(name) for name in (*_TABLES, "snmp6", "dev"))


def moved(before: Snapshot, after: Snapshot) -> dict[str, int]:
    """By how much each counter grew: ``Ip:InAddrErrors``, ``Ip6:InNoRoutes``, ``dev:eth0 rx_dropped``."""
    counters: dict[str, int] = {}
    for read_one, old, new in zip((_pairs, _pairs, _lines, _links), before, after, strict=True):
        if old == new:
            continue
        was = read_one(old)
        counters |= {
            name: value - was.get(name, 0) for name, value in read_one(new).items() if value != was.get(name, 0)
        }
    return counters


def _text(name: str) -> str:
    try:
        with open(f"{_FOLDER}/{name}", encoding="ascii", errors="replace") as stream:
            return stream.read()
    except OSError:  # no IPv6 here
        return ""


def _pairs(text: str) -> dict[str, int]:
    """A line of names, then one of values, each with the group in front."""
    lines = text.splitlines()
    counters: dict[str, int] = {}
    for names, values in zip(lines[::2], lines[1::2], strict=False):
        group, *words = names.split()
        counters |= {group + name: int(value) for name, value in zip(words, values.split()[1:], strict=False)}
    return counters


def _lines(text: str) -> dict[str, int]:
    """A name and a value a line; the name begins with its group."""
    counters = {}
    for line in text.splitlines():
        name, value = line.split()
        parts = re.match(r"([A-Z][a-zA-Z]*6)(.+)", name)
        counters[f"{parts[1]}:{parts[2]}" if parts else name] = int(value)
    return counters


def _links(text: str) -> dict[str, int]:
    counters = {}
    for line in text.splitlines()[2:]:
        link, _, values = line.rpartition(":")
        for name, value in zip(_LINK, values.split(), strict=False):
            if name not in _UNINTERESTING:
                counters[f"dev:{link.strip()} {name}"] = int(value)
    return counters
