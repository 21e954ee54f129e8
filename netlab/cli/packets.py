"""Captured packets as lines for people, and as JSON."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from netlab.cli import out
from netlab.diagnose.records import BROADCAST, MULTICAST
from netlab.kernel.packetring import Frame
from netlab.observe.capture.files import DIRECTIONS
from netlab.observe.capture.station import ETHERNETS
from netlab.observe.packetid import packet_id

_COLOURS = (36, 33, 32, 35, 34, 31)  # cyan, yellow, green, magenta, blue, red: one for each of the last packets
_REMEMBERED = 10_000  # packets whose number is known when they are seen again
_WHERE_MAX = 30
_SHORT = {BROADCAST: "bcast", MULTICAST: "mcast"}


class Printer:
    """Lines: milliseconds since the first packet, where, which packet, direction, what.

    A packet keeps its number (``#3``) on every hop.
    """

    def __init__(self, names: Sequence[str]) -> None:
        from netlab.observe.capture import words  # half a second

        self._words = words.words
        self._width = min(_WHERE_MAX, max((len(name) for name in names), default=0))
        self._first = -1
        self._numbers: dict[int, int] = {}
        self._count = 0

    def begin(self) -> None:
        """Print the headings."""
        out.line(f"{'MS':>10}  {'WHERE'.ljust(self._width)}  {'PACKET':<6}  {'DIR':<5}  WHAT")
        sys.stdout.flush()

    def take(self, frames: Sequence[Frame]) -> None:
        """Print frames."""
        for time, station, index, hardware, kind, _, data in frames:
            if self._first < 0:
                self._first = time
            number = self._number(packet_id(data, hardware in ETHERNETS))
            where = station.interface(index, hardware).name
            said = self._words(data, hardware in ETHERNETS)
            shown = out.colour(f"#{number}".ljust(6), _COLOURS[number % len(_COLOURS)])
            since = (time - self._first) / 1e6
            out.line(
                f"{since:>10.3f}  {where.ljust(self._width)}  {shown}  {_SHORT.get(DIRECTIONS[kind], DIRECTIONS[kind]):<5}  {said}"
            )
        sys.stdout.flush()

    def _number(self, identity: int) -> int:
        number = self._numbers.get(identity)
        if number is None:
            self._count += 1
            number = self._numbers[identity] = self._count
            if len(self._numbers) > _REMEMBERED:
                del self._numbers[next(iter(self._numbers))]
        return number


class Document:
    """One JSON document, written as it comes: ``packets`` one a line, then what they were seen at and what was lost."""

    def __init__(self, lab: str, expression: str) -> None:
        from netlab.observe.capture import words

        self._words = words.words
        self._first = True
        self._head = f'{{"lab": {out.text_json(lab)}, "filter": {out.text_json(expression)}, "packets": ['

    def begin(self) -> None:
        """Open the document."""
        out.raw(self._head)

    def take(self, frames: Sequence[Frame]) -> None:
        """Write frames."""
        for time, station, index, hardware, kind, length, data in frames:
            one = {
                "time": time,
                "place": station.place.name,
                "netns": station.place.netns,
                "interface": station.interface(index, hardware).name.removeprefix(f"{station.place.name}/"),
                "direction": DIRECTIONS[kind],
                "length": length,
                "packet": f"{packet_id(data, hardware in ETHERNETS):016x}",
                "what": self._words(data, hardware in ETHERNETS),
                "data": data.hex(),
            }
            out.raw(("\n" if self._first else ",\n") + out.text_json(one))
            self._first = False
        sys.stdout.flush()

    def end(self, rest: dict[str, Any]) -> None:
        """Close the list, and say the rest."""
        out.raw("\n], " + out.text_json(rest)[1:] + "\n")
        sys.stdout.flush()
