"""Frames of a namespace in bulk: a packet socket whose buffer is shared memory of kernel and reader (TPACKET_V3).

The kernel fills one block after another, and passes a block on when it is full or ``RETIRE`` ms old. So one system call
(and one pass of Python's loop) serves hundreds of frames.

One socket receives from every interface of its namespace, later ones too. It receives nothing until its filter is set.
It is made inside the namespace and read from anywhere. Until it is closed, it keeps its namespace alive. Numbers and
layouts: linux/if_packet.h.
"""

from __future__ import annotations

import mmap
import socket
import struct
import time
from typing import Any

from netlab.kernel.capture.filter import attach, bind
from netlab.libc import check, libc

RETIRE = 10  # ms
BLOCK, SMALL_BLOCK = 1 << 18, 1 << 17  # bytes; a frame must fit into one, and with offloads frames have 64 KiB
_SOL_PACKET, _RX_RING, _STATISTICS, _VERSION = 263, 5, 6, 10
_TPACKET_V3 = 2
_FRAME_MIN = 2048  # only checked for sanity with version 3: frames lie one behind the other
_TO_USER = 1
_VLAN_VALID, _VLAN_TPID_VALID = 0x10, 0x40
_BLOCK_HEAD = struct.Struct("=III")  # from byte 8 of a block: status, frames, where the first is
_WORD = struct.Struct("=I")  # at byte 20 the bytes that are used
# tpacket3_hdr and the sockaddr_ll behind it: next, seconds, nanoseconds, kept, length, status, mac, VLAN tag and
# protocol, ifindex, hardware type, packet type
_FRAME = struct.Struct("=IIIIIIH2x4xIH10x4xiHB")


#: time, whose ring, ifindex, hardware type, sll_pkttype (0 in, 1 broadcast, 2 multicast, 3 for another host, 4 out),
#: length on the wire, bytes.  A plain tuple: a named one takes three times as long to make.
Frame = tuple[int, Any, int, int, int, int, bytes]


class Ring:
    """The ring of the namespace that the calling thread is in when it is made.

    ``program``: a classic BPF filter in the kernel's form.  ``memory``: bytes, at least two small blocks.  ``owner`` is in
    each frame's tuple.  Raises OSError where the kernel has not so much memory.
    """

    def __init__(self, program: bytes, memory: int, owner: object, retire: int = RETIRE) -> None:
        self._block = BLOCK if memory >= 4 * BLOCK else SMALL_BLOCK
        self._blocks, self._next, self._owner = max(2, memory // self._block), 0, owner
        self.last = time.time_ns()  # no frame before it is still to come
        self.lost = 0
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_CLOEXEC, 0)
        try:
            attach(self._socket, program)
            self._socket.setsockopt(_SOL_PACKET, _VERSION, _TPACKET_V3)
            size = self._block * self._blocks
            request = struct.pack("=7I", self._block, self._blocks, _FRAME_MIN, size // _FRAME_MIN, retire, 0, 0)
            # Not Python's own setsockopt: this one waits for the kernel (RCU, 10 ms), and that keeps all threads waiting.
            check(libc.setsockopt(self.fileno(), _SOL_PACKET, _RX_RING, request, len(request)), "PACKET_RX_RING")
            self._memory = mmap.mmap(self._socket.fileno(), size, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE)
            bind(self._socket)
        except BaseException:
            self._socket.close()
            raise

    def fileno(self) -> int:
        """The descriptor, for epoll: readable when a block was handed over."""
        return self._socket.fileno()

    def attach(self, program: bytes) -> None:
        """Replace the filter of the ring."""
        attach(self._socket, program)

    def read(self) -> list[Frame]:
        """The frames that were handed over, in the order of their arrival.

        At most once around the ring, so that one that fills as fast as it is read does not starve the others.
        """
        frames: list[Frame] = []
        memory, unpack, owner = self._memory, _FRAME.unpack_from, self._owner
        append = frames.append
        for _ in range(self._blocks):
            start = self._next * self._block
            status, count, at = _BLOCK_HEAD.unpack_from(memory, start + 8)
            if not status & _TO_USER:
                break
            (size,) = _WORD.unpack_from(memory, start + 20)
            block = memory[start : start + size]
            # Given back at once: the copy takes 20 us, to make something of it milliseconds.  The status comes last,
            # since from then on the kernel writes here; the count is for ``filling``.
            _WORD.pack_into(memory, start + 12, 0)
            _WORD.pack_into(memory, start + 8, 0)
            self._next = (self._next + 1) % self._blocks
            for _ in range(count):
                (
                    following,
                    seconds,
                    nanoseconds,
                    kept,
                    length,
                    status,
                    begin,
                    tag,
                    protocol,
                    index,
                    hardware,
                    kind,
                ) = unpack(block, at)
                begin += at
                data = block[begin : begin + kept]
                if status & _VLAN_VALID:  # the kernel took the tag out of the frame
                    outer = protocol if status & _VLAN_TPID_VALID else 0x8100
                    data = data[:12] + struct.pack(">HH", outer, tag & 0xFFFF) + data[12:]
                    length += 4
                append((seconds * 1_000_000_000 + nanoseconds, owner, index, hardware, kind, length, data))
                at += following
            if frames:
                self.last = max(self.last, frames[-1][0])
        return frames

    def filling(self) -> bool:
        """Whether the kernel holds frames that it has not handed over yet."""
        status, count, _ = _BLOCK_HEAD.unpack_from(self._memory, self._next * self._block + 8)
        return bool(count or status & _TO_USER)

    def count_lost(self) -> int:
        """The number of frames that did not fit since the ring was created."""
        try:
            statistics = self._socket.getsockopt(_SOL_PACKET, _STATISTICS, 12)
        except OSError:
            return self.lost
        self.lost += struct.unpack_from("=II", statistics)[1]
        return self.lost

    def close(self) -> None:
        """Close the ring.  The kernel takes some ms (RCU), so many rings are closed by many threads."""
        self._memory.close()
        self._socket.close()
