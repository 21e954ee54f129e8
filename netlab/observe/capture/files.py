"""Frames into a file or a pipe, as pcapng: whole blocks only, whatever happens."""

from __future__ import annotations

import contextlib
import os
import select
import stat
import struct
import time
from collections.abc import Callable, Iterable, Mapping, Sequence

from netlab.errors import BadInput, StateError
from netlab.evidence.records import BROADCAST, IN, MULTICAST, OTHERHOST, OUT
from netlab.kernel.capture.afpacket import ETHERNETS
from netlab.kernel.capture.packetring import Frame
from netlab.observe.capture.point import CapturePoint
from netlab.observe.packetid import packet_id
from netlab.wire import pcapng

DIRECTIONS = (IN, BROADCAST, MULTICAST, OTHERHOST, OUT, IN, IN, IN)  # by sll_pkttype; 5 to 7 are the kernel's own
_OPTIONS = tuple(pcapng.FLAGS_OPTION[direction] for direction in DIRECTIONS)
_LOW = 0xFFFFFFFF
_MAGIC = (b"\n\r\r\n", b"\xd4\xc3\xb2\xa1", b"\xa1\xb2\xc3\xd4", b"\x4d\x3c\xb2\xa1", b"\xa1\xb2\x3c\x4d")


class Output:
    """An open file or pipe.  ``write`` takes whole blocks; where the disk is full, whole blocks are what stays.

    ``stopping``: whether the capture shall end, so that a pipe whose reader sleeps does not hold it.
    """

    def __init__(self, fd: int, name: str, stopping: Callable[[], bool] = lambda: False) -> None:
        self._fd, self._name, self._stopping = fd, name, stopping
        mode = os.fstat(fd).st_mode
        self._regular = stat.S_ISREG(mode)
        self.size = 0
        if stat.S_ISFIFO(mode):
            # Opened once more, since "do not block" belongs to the open file, which is others' as well.
            with contextlib.suppress(OSError):
                self._fd = os.open(f"/proc/self/fd/{fd}", os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
                os.close(fd)

    def write(self, blocks: bytes) -> None:
        """Raises StateError where there is no room, BrokenPipeError where the reader has gone (or sleeps at the end)."""
        view = memoryview(blocks)
        done = 0
        try:
            while done < len(view):
                try:
                    done += os.write(self._fd, view[done:])
                except BlockingIOError:
                    self._wait()
        except BrokenPipeError:
            raise
        except OSError as error:
            whole = _whole(blocks, done)
            self.size += whole
            if self._regular:
                with contextlib.suppress(OSError):
                    os.ftruncate(self._fd, self.size)
            raise StateError(
                f"{self._name}: {error.strerror}: the capture ends here",
                hint=f"the {self.size:,} bytes before that are a whole file" if self.size else "",
            ) from error
        self.size += len(view)

    def _wait(self) -> None:
        """Until the reader has made room; at the end of the capture for a second, and no longer."""
        room = select.poll()
        room.register(self._fd, select.POLLOUT)
        patience = 10
        while not room.poll(100):
            patience -= self._stopping()
            if not patience:
                raise BrokenPipeError

    def close(self) -> None:
        os.close(self._fd)


def _whole(blocks: bytes, size: int) -> int:
    """The length of the whole blocks in the first ``size`` bytes."""
    at = 0
    while at + 8 <= size:
        (length,) = struct.unpack_from("<I", blocks, at + 4)
        if at + length > size:
            break
        at += length
    return at


def open_file(
    path: str, owner: tuple[int, int] | None, stopping: Callable[[], bool] = lambda: False
) -> tuple[Output, str]:
    """Open the output file. Also return a sentence about the file that was there, or "".

    ``owner`` is the user that a new file belongs to. Raises BadInput if the path cannot hold a capture. An existing
    file is overwritten only if it is a capture or empty.
    """
    note = ""
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
    except FileExistsError:
        note = _what_is_there(path)
        try:
            fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        except OSError as error:
            raise BadInput(f"{path}: {error.strerror}") from None
        if os.isatty(fd):
            os.close(fd)
            raise BadInput(f"{path} is a terminal, and pcapng is not for eyes") from None
        if stat.S_ISREG(os.fstat(fd).st_mode):
            os.ftruncate(fd, 0)
        return Output(fd, path, stopping), note
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror}") from None
    if owner is not None:
        os.fchown(fd, *owner)
    return Output(fd, path, stopping), note


def _what_is_there(path: str) -> str:
    try:
        status = os.stat(path)
        if not stat.S_ISREG(status.st_mode):
            return ""
        with open(path, "rb") as file:
            begin = file.read(4)
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror}") from None
    if begin and begin not in _MAGIC:
        raise BadInput(f"{path} is there and is no capture", hint="give another name, or remove it first")
    when = time.strftime("%H:%M", time.localtime(status.st_mtime))
    return f"{path} of {when} ({status.st_size:,} bytes) is overwritten" if begin else ""


class Pcapng:
    """Write frames as pcapng; ``packets`` counts them.

    ``end`` writes the statistics of each interface. Without it, the file is valid too.
    """

    def __init__(self, output: Output, comment: str, names: Mapping[str, Sequence[str]], expression: str) -> None:
        self._output, self._expression = output, expression
        self._numbers: dict[pcapng.Interface, int] = {}
        self._counts: list[int] = []
        self._points: list[CapturePoint] = []
        self._named = dict(names)
        self._began = time.time_ns()
        self.packets = 0
        output.write(pcapng.section(comment) + (pcapng.names(names) if names else b""))

    def announce(self, points: Iterable[CapturePoint]) -> None:
        """Write the interfaces that are there now: a reader sees them all, also those where nothing passes."""
        blocks: list[bytes] = []
        for point in points:
            wanted = set(point.wanted())
            for index, link in point.links.items():
                if link.name in wanted:
                    self._number(point, index, 1, blocks)
        self._output.write(b"".join(blocks))

    def names(self, names: Mapping[str, Sequence[str]]) -> None:
        """Names that are new."""
        fresh = {address: called for address, called in names.items() if self._named.get(address) != called}
        if fresh:
            self._named |= fresh
            self._output.write(pcapng.names(fresh))

    def _number(self, point: CapturePoint, index: int, hardware: int, blocks: list[bytes]) -> int:
        plain = point.interface(index, hardware)
        interface = pcapng.Interface(plain.name, plain.description, plain.mac, plain.link_type, self._expression)
        number = self._numbers.get(interface)
        if number is None:
            number = self._numbers[interface] = len(self._counts)
            self._counts.append(0)
            self._points.append(point)
            blocks.append(pcapng.interface(interface))
        point.numbers[index] = number
        return number

    def take(self, frames: Sequence[Frame]) -> None:
        """Write frames.  The hottest loop of a capture: 1 us a frame."""
        blocks: list[bytes] = []
        append, options, identity, quick, counts = blocks.append, _OPTIONS, pcapng.ID_OPTION, pcapng.quick, self._counts
        for when, point, index, hardware, kind, length, data in frames:
            number = point.numbers.get(index)
            if number is None:
                number = self._number(point, index, hardware, blocks)
            counts[number] += 1
            size = len(data)
            pack, head, whole = quick(size)
            packet_number = packet_id(data, hardware in ETHERNETS)
            option = options[kind]
            append(
                pack(head, number, when >> 32, when & _LOW, size, length, data, option, identity, packet_number, whole)
            )
        self.packets += len(frames)
        self._output.write(b"".join(blocks))

    def end(self) -> None:
        """The statistics: what was lost is known for a namespace, so it stands at the first of its interfaces."""
        now = time.time_ns()
        blocks: list[bytes] = []
        counted: set[CapturePoint] = set()
        for number, point in enumerate(self._points):
            lost, comment = None, ""
            if point not in counted:
                counted.add(point)
                lost = point.ring.lost
                if lost:
                    comment = (
                        f"{lost} frames of {point.space.name}, at any of its interfaces, found no room and are missing"
                    )
            blocks.append(
                pcapng.statistics(
                    number, self._began, now, received=self._counts[number], dropped=lost, comment=comment
                )
            )
        self._output.write(b"".join(blocks))

    def close(self) -> None:
        self._output.close()
