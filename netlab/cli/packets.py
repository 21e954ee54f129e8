"""Captured packets as lines for people, and as JSON."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from netlab.cli import out
from netlab.diagnose.document import headers
from netlab.escape import terminal
from netlab.evidence.records import BROADCAST, IN, MULTICAST, OTHERHOST
from netlab.kernel.capture.afpacket import ETHERNETS
from netlab.kernel.capture.packetring import Frame
from netlab.model.topology.places import places
from netlab.observe.capture.files import DIRECTIONS
from netlab.observe.capture.words import read, words
from netlab.observe.packetid import packet_id
from netlab.output import trace as output

if TYPE_CHECKING:
    from netlab.model import Cluster
    from netlab.observe.layers import Layers

_COLOURS = (36, 33, 32, 35, 34, 31)  # cyan, yellow, green, magenta, blue, red: one for each of the last packets
_REMEMBERED = 10_000  # packets whose number is known when they are seen again
_WHERE_MAX = 30
_SHORT = {BROADCAST: "bcast", MULTICAST: "mcast"}


class _Numbers:
    """A packet's number: 1, 2, ... as they come, the same one on every hop; and how long since the first."""

    def __init__(self) -> None:
        self._first = -1
        self._by_packet: dict[int, int] = {}
        self._count = 0

    def since(self, time: int) -> float:
        """Microseconds since the first packet."""
        if self._first < 0:
            self._first = time
        return (time - self._first) / 1000

    def of(self, identity: int) -> int:
        """The number of a packet that has this id."""
        number = self._by_packet.get(identity)
        if number is None:
            self._count += 1
            number = self._by_packet[identity] = self._count
            if len(self._by_packet) > _REMEMBERED:
                del self._by_packet[next(iter(self._by_packet))]
        return number


class Printer:
    """Lines: milliseconds since the first packet, where, which packet, direction, what; ``layers`` adds its layers."""

    def __init__(self, names: Sequence[str], layers: Layers | None = None) -> None:
        self._layers = layers
        self._width = min(_WHERE_MAX, max((len(name) for name in names), default=0))
        self._numbers = _Numbers()

    def begin(self) -> None:
        """Print the headings."""
        out.line(f"{'MS':>10}  {'WHERE'.ljust(self._width)}  {'PACKET':<6}  {'DIR':<5}  WHAT")
        sys.stdout.flush()

    def take(self, frames: Sequence[Frame]) -> None:
        """Print frames."""
        for time, point, index, hardware, kind, _, data in frames:
            ethernet = hardware in ETHERNETS
            number = self._numbers.of(packet_id(data, ethernet))
            direction = DIRECTIONS[kind]
            if direction == OTHERHOST and point.is_port(index):
                direction = IN  # a bridge's port hears what is for others: that is its work
            cells = (
                f"{self._numbers.since(time) / 1000:>10.3f}",
                terminal(point.interface(index, hardware).name).ljust(self._width),
                out.colour(f"#{number}".ljust(6), _COLOURS[number % len(_COLOURS)]),
                _SHORT.get(direction, direction).ljust(5),
                terminal(words(read(data, ethernet))),
            )
            out.line("  ".join(cells), painted=True)
            for line in self._layers.of(data, ethernet) if self._layers else ():
                out.line(f"{'':12}{line}")
        sys.stdout.flush()


class Document:
    """One JSON document, written as it comes: ``packets`` one a line, then what they were seen at and what was lost."""

    def __init__(self, cluster: Cluster, expression: str, layers: Layers | None = None) -> None:
        """``layers``: None where they are not to be shown."""
        self._first, self._layers = True, layers
        head = {"lab": cluster.lab, "filter": expression, "places": places(cluster)}
        self._head = f'{out.text_json(head)[:-1]}, "packets": ['
        self._numbers = _Numbers()

    def begin(self) -> None:
        """Open the document."""
        out.raw(self._head)

    def take(self, frames: Sequence[Frame]) -> None:
        """Write frames; what ``netlab trace`` says of a frame has the same names here."""
        for time, point, index, hardware, kind, length, data in frames:
            ethernet = hardware in ETHERNETS
            identity, packet = packet_id(data, ethernet), read(data, ethernet)
            document = output.Packet(
                time=time,
                time_us=self._numbers.since(time),
                kind="frame",
                packet=self._numbers.of(identity),
                packet_id=f"{identity:016x}",
                place=point.space.name,
                netns=point.space.netns,
                interface=point.interface(index, hardware).name.removeprefix(f"{point.space.name}/"),
                direction=DIRECTIONS[kind],
                length=length,
                headers=headers(packet),
                what=words(packet),
                data=data.hex(),
                layers=self._fields(data, ethernet=ethernet),
            )
            out.raw(("\n" if self._first else ",\n") + out.text_json(document))
            self._first = False
        sys.stdout.flush()

    def _fields(self, data: bytes, *, ethernet: bool) -> tuple[output.Layer, ...]:
        if self._layers is None:
            return ()
        return tuple(output.Layer(name=name, fields=fields) for name, fields in self._layers.fields(data, ethernet))

    def end(self, totals: output.Totals) -> None:
        """Close the list, and write the totals."""
        out.raw("\n], " + out.text_json(totals)[1:] + "\n")
        sys.stdout.flush()
