"""``netlab capture``: packets of many interfaces at once, as lines, as JSON, into one pcapng file, or both."""

from __future__ import annotations

import contextlib
import os
import signal
import stat
import sys
import time
from typing import TYPE_CHECKING, Any

import click

from netlab.cli import out
from netlab.cli.options import Seconds, lab, output, own_lab
from netlab.errors import BadInput, Exit, NetlabError
from netlab.runtime.state.sudo import behind_sudo
from netlab.tuples import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

    from netlab.kernel.capture.packetring import Frame
    from netlab.model import Cluster
    from netlab.observe.capture.bpf import Program
    from netlab.observe.capture.files import Pcapng
    from netlab.observe.capture.listen import Capture

_LEARN = 1.0  # seconds after a new namespace came, until the lab's documents tell its addresses
_PATIENCE = 0.5  # seconds for a reader to take what was captured before the end


class Wish(NamedTuple):
    """The options of the command line, except the places; "" and 0 stand for an option that is not given."""

    lab: str
    expression: str
    file: str
    json: bool
    most: int
    seconds: float
    tunnels: frozenset[int] | None = None  # UDP ports of VXLAN, where layers are to be shown
    print: bool = False  # beside a file


@click.command()
@click.option("--at", "places", multiple=True, metavar="PLACE[:INTERFACE]", help="capture only here; repeatable")
@click.option(
    "--filter",
    "expression",
    default="",
    metavar="EXPRESSION",
    help="a filter as in tcpdump, also with names of the lab",
)
@click.option("-w", "--write", "file", default="", metavar="FILE|-", help="write pcapng to a file or a pipe")
@click.option("--print", "is_printed", is_flag=True, help="with -w FILE: print the packets too")
@click.option("-c", "--count", type=click.IntRange(min=1), default=None, metavar="N", help="stop after N packets")
@click.option(
    "--duration",
    type=Seconds(0.001),
    default=None,
    metavar="SECONDS",
    help="stop after this time",
)
@click.option(
    "--buffer",
    type=click.IntRange(1, 4096),
    default=64,
    metavar="MIB",
    help="memory for the packet buffer (default: 64)",
)
@click.option("-v", "--verbose", is_flag=True, help="show each packet's layers, field by field")
@click.option("-n", "--namespace", default="", help="the namespace of Pods named without one (default: default)")
@lab
@output
def command(
    places: tuple[str, ...],
    expression: str,
    file: str,
    is_printed: bool,
    count: int | None,
    duration: float | None,
    buffer: int,
    verbose: bool,
    namespace: str,
    lab_option: str,
    output: str,
) -> int:
    r"""Capture packets at any number of interfaces, in their true order.

    \b
    PLACE is [namespace/]pod, a node, a router, an external host, "underlay",
    an address, key=value, or deploy|sts|ds|job|svc/NAME (all its Pods).
    INTERFACE may contain * and ?.  Without --at, netlab captures at every
    interface of the lab, also at interfaces that appear later.

    A filter also matches packets inside VXLAN, Geneve and IPIP.  Ctrl-C ends a capture with exit status 0.
    """
    from netlab.cli.places import check_interfaces, chosen
    from netlab.observe.capture.listen import Capture
    from netlab.planes import vxlan_ports
    from netlab.runtime.state.running import load_cluster

    _check_streams(file, output, is_printed=is_printed)
    wish = Wish(own_lab(lab_option), expression.strip(), file, output == "json", count or 0, duration or 0.0)
    cluster = load_cluster(wish.lab)
    if verbose:
        wish = wish._replace(tunnels=frozenset(vxlan_ports()))
    wish = wish._replace(print=is_printed or not file)
    program = _program(cluster, wish.expression, namespace)
    watch = 1 if file in ("", "-") and _is_pipe(1) else -1
    follow = "" if places else wish.lab
    listening = Capture(chosen(cluster, places, namespace), program, lab=follow, memory=buffer, watch=watch)
    listening.open()
    try:
        check_interfaces(listening.points.values())
        with _Signals(listening) as signals:
            if file:
                _write(listening, cluster, wish, signals)
            else:
                _print(listening, cluster, wish, signals)
    finally:
        listening.close()
    if listening.reader_gone:
        raise BrokenPipeError
    return Exit.OK


def _check_streams(file: str, output: str, *, is_printed: bool) -> None:
    if is_printed and not file:
        raise BadInput("--print goes with -w FILE: without a file the packets are printed anyway")
    if file == "-" and (output == "json" or is_printed):
        word = "-o json" if output == "json" else "--print"
        raise BadInput(f"-w - and {word} both want standard output", hint=f"netlab capture -w FILE {word}")
    if file == "-" and sys.stdout.isatty():
        raise BadInput(
            "standard output is a terminal, and pcapng is not for eyes", hint="netlab capture -w - | wireshark -k -i -"
        )


def _is_pipe(fd: int) -> bool:
    try:
        mode = os.fstat(fd).st_mode
    except OSError:
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)


def _program(cluster: Cluster, expression: str, namespace: str) -> Program:
    """The kernel's filter."""
    from netlab.observe.capture.bpf import TAKE_ALL, inside_too, packed
    from netlab.planes import WITHOUT_ETHERNET

    if not expression:
        return TAKE_ALL
    from netlab.observe.capture.filters import named
    from netlab.observe.capture.libpcap import compiled
    from netlab.observe.capture.names import resolver

    bare = cluster.plane.encapsulation in WITHOUT_ETHERNET
    program = inside_too(compiled(named(expression, resolver(cluster, namespace or "default"))), bare=bare)
    packed(program)  # too long a one is told before anything is opened
    return program


class _Signals:
    """Ctrl-C, SIGTERM and SIGHUP end a capture well: what has come is printed, unless its reader does not read."""

    def __init__(self, listening: Capture) -> None:
        self._listening = listening
        self.printing = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> _Signals:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            self._before[number] = signal.signal(number, self._take)
        self._before[signal.SIGALRM] = signal.signal(signal.SIGALRM, self._give_up)
        return self

    def _take(self, _number: int, _frame: FrameType | None) -> None:
        self._listening.stop()
        if self.printing:
            signal.setitimer(signal.ITIMER_REAL, _PATIENCE)

    def _give_up(self, _number: int, _frame: FrameType | None) -> None:
        if self.printing:
            self.printing = False
            raise KeyboardInterrupt

    def __exit__(self, *_: object) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in self._before.items():
            signal.signal(number, handler)


def _limited(listening: Capture, wish: Wish) -> Iterator[list[Frame]]:
    """The frames, at most as many as ``--count`` allows."""
    left = wish.most
    for batch in listening.batches(wish.seconds):
        for point in listening.arrived:
            out.note(f"capturing at {point.name} too")
            sys.stderr.flush()
        if left and len(batch) >= left:
            yield batch[:left]
            return
        left -= len(batch) if left else 0
        yield batch
        listening.arrived.clear()


def _say_begin(listening: Capture, wish: Wish) -> int:
    """The line to wait for: what happens from now on is seen.  Returns how many interfaces are listened to."""
    points = listening.points.values()
    interfaces = sum(len(list(point.wanted())) for point in points)
    where = f"{out.count(interfaces, 'interface')} of {out.count(len(points), 'namespace')}"
    out.note(f"capturing at {where} of lab {wish.lab}; Ctrl-C ends it")
    sys.stderr.flush()
    return interfaces


def _say_lost(listening: Capture) -> None:
    for point, count in listening.lost().items():
        out.note(f"lost: {count:,} packets at {point} found no room; a filter, fewer places or a larger --buffer helps")
    if listening.merge.late:
        out.note(f"out of order: {listening.merge.late:,} packets came later than any should")


def _rest(listening: Capture, packets: int, interfaces: int, seconds: float) -> dict[str, Any]:
    """The last fields of every JSON document."""
    return {
        "count": packets,
        "interfaces": interfaces,
        "lost": listening.lost(),
        "out_of_order": listening.merge.late,
        "seconds": round(seconds, 3),
    }


def _why(listening: Capture, lab: str) -> str:
    return "" if listening.points else f"; lab {lab} went down"


# -- lines and JSON ---------------------------------------------------------------------------------------------------


def _print(
    listening: Capture,
    cluster: Cluster,
    wish: Wish,
    signals: _Signals,
    copy: Callable[[list[Frame]], None] | None = None,
) -> None:
    """``copy`` takes all frames that are printed, before they are."""
    from netlab.cli.packets import Document, Printer

    names = [point.interface(i).name for point in listening.points.values() for i in point.links]
    layers = None
    if wish.tunnels is not None:
        from netlab.observe.layers import Layers

        layers = Layers(wish.tunnels, width=out.width() - 12)
    sink = Document(cluster, wish.expression, layers) if wish.json else Printer(names, layers)
    interfaces = _say_begin(listening, wish)
    began = time.monotonic()
    packets = 0
    try:
        sink.begin()
        for batch in _limited(listening, wish):
            if copy:
                copy(batch)
            signals.printing = True
            sink.take(batch)
            signals.printing = False
            packets += len(batch)
    except KeyboardInterrupt:
        pass
    except BrokenPipeError:
        listening.reader_gone = True
    over = _why(listening, wish.lab)
    listening.close()
    seconds = time.monotonic() - began
    if isinstance(sink, Document) and not listening.reader_gone:
        from netlab.output.trace import Totals

        sink.end(Totals(**_rest(listening, packets, interfaces, seconds)))
    elif not wish.json:
        out.note(f"{out.count(packets, 'packet')} in {seconds:.1f} s{over}")
    _say_lost(listening)


# -- pcapng -----------------------------------------------------------------------------------------------------------


def _write(listening: Capture, cluster: Cluster, wish: Wish, signals: _Signals) -> None:
    from netlab.observe.capture.files import Output, Pcapng, open_file
    from netlab.observe.capture.names import of_addresses

    if wish.file == "-":
        opened = Output(os.dup(1), "standard output", listening.stopping)
    else:
        opened, note = open_file(wish.file, behind_sudo(), listening.stopping)
        if note:
            out.note(note)
    try:
        sink = Pcapng(opened, f"netlab capture, lab {wish.lab}", of_addresses(cluster), wish.expression)
        sink.announce(listening.points.values())
        learning = _Learning(listening, wish.lab)

        def take(batch: list[Frame]) -> None:
            learning.look(sink)
            sink.take(batch)

        if wish.print:
            _print(listening, cluster, wish, signals, take)
            sink.end()
            return
        interfaces = _say_begin(listening, wish)
        began = time.monotonic()
        for batch in _limited(listening, wish):
            take(batch)
        over = _why(listening, wish.lab)
        listening.close()
        if not listening.reader_gone:
            sink.end()
    except BrokenPipeError:
        listening.reader_gone = True
        return
    finally:
        opened.close()
    seconds = time.monotonic() - began
    if wish.json:
        from netlab.model.topology.places import places
        from netlab.output.trace import CaptureFile

        rest = _rest(listening, sink.packets, interfaces, seconds)
        head: dict[str, Any] = {"lab": wish.lab, "filter": wish.expression, "places": places(cluster)}
        out.document(CaptureFile(**head, file=wish.file, bytes=opened.size, **rest))
    else:
        where = "" if wish.file == "-" else f" in {wish.file} ({opened.size:,} bytes)"
        out.note(f"{out.count(sink.packets, 'packet')}{where}, {seconds:.1f} s{over}")
    _say_lost(listening)


class _Learning:
    """Names of addresses that came with namespaces that came later."""

    def __init__(self, listening: Capture, lab: str) -> None:
        self._listening, self._lab = listening, lab
        self._due = 0.0

    def look(self, sink: Pcapng) -> None:
        """Read the lab again, a while after it grew."""
        if self._listening.arrived:
            self._due = time.monotonic() + _LEARN
        if self._due and time.monotonic() > self._due:
            self._due = 0.0
            from netlab.observe.capture.names import of_addresses
            from netlab.runtime.state.running import load_cluster

            with contextlib.suppress(NetlabError):
                sink.names(of_addresses(load_cluster(self._lab)))
