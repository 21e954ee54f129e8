"""Classic BPF, the language of socket filters: instructions with named jumps, and a filter for a socket.

Numbers: linux/bpf_common.h, linux/filter.h.
"""

from __future__ import annotations

import ctypes
import socket
import struct

from netlab.libc import check, libc

LOAD_WORD, LOAD_HALF, LOAD_BYTE = 0x20, 0x28, 0x30  # at k
X_WORD, X_HALF, X_BYTE = 0x40, 0x48, 0x50  # at X + k
X_IPV4_HEADER = 0xB1  # X = 4 * (byte at k & 15)
SUBTRACT = 0x14
EQUAL, ABOVE, BITS = 0x15, 0x25, 0x45  # jumps: A == k, A > k, A & k
RETURN, ALWAYS = 0x06, 0x05

YES, NO = "yes", "no"
_WHOLE = 0x40000  # bytes that a filter lets through: more than any packet has
_SO_ATTACH_FILTER = 26
_ETH_P_ALL = 3
_JUMP_MAX = 255


class Filter:
    """A program under construction.  Jumps are forward only, and at most 255 instructions far, but for those of ``far``.

    It ends with the labels YES and NO, which every jump may name; ``ends`` puts a pair of them before that, for the
    jumps so far.
    """

    def __init__(self) -> None:
        self._code: list[tuple[int, int, str, str]] = []
        self._labels: dict[str, int] = {}
        self._ends: list[int] = []
        self._fresh = 0

    def __len__(self) -> int:
        return len(self._code)

    def op(self, code: int, k: int = 0) -> None:
        """An instruction that is no jump."""
        self._code.append((code, k & 0xFFFFFFFF, "", ""))

    def jump(self, code: int, k: int, then: str = "", otherwise: str = "") -> None:
        """A jump; an empty label is the next instruction."""
        self._code.append((code, k & 0xFFFFFFFF, then, otherwise))

    def far(self, name: str) -> None:
        """A jump of any length."""
        self._code.append((ALWAYS, 0, name, ""))

    def label(self, name: str) -> None:
        """The next instruction has a name."""
        self._labels[name] = len(self._code)

    def fresh(self) -> str:
        """A new label."""
        self._fresh += 1
        return f".{self._fresh}"

    def ends(self) -> None:
        """Mark an end: no instruction before it continues after it."""
        self._ends.append(len(self._code))
        self._code += [(RETURN, _WHOLE, "", ""), (RETURN, 0, "", "")]

    def done(self) -> bytes:
        """The program.  Raises ValueError where a jump is too far for classic BPF."""
        self.ends()
        program = []
        for at, (op, k, *names) in enumerate(self._code):
            end = next((end for end in self._ends if end >= at), 0)
            labels = {**self._labels, YES: end, NO: end + 1}
            jumps = [labels[name] - at - 1 if name else 0 for name in names]
            if op == ALWAYS:
                program.append(struct.pack("=HBBI", op, 0, 0, jumps[0]))
                continue
            if any(not 0 <= jump <= _JUMP_MAX for jump in jumps):
                raise ValueError(f"instruction {at} jumps {jumps}")
            program.append(struct.pack("=HBBI", op, *jumps, k))
        return b"".join(program)


def attach(sock: socket.socket, program: bytes) -> None:
    """Attach the program to a socket as its filter."""
    kept = ctypes.create_string_buffer(program, len(program))
    value = struct.pack("@HP", len(program) // 8, ctypes.addressof(kept))
    sock.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, value)


def bind(sock: socket.socket) -> None:
    """Bind a packet socket to every interface of its namespace.  Its filter must be in place by then."""
    # Python's own bind takes the name of an interface, and there is none for all of them.
    address = struct.pack("=HHiHBB8s", socket.AF_PACKET, socket.htons(_ETH_P_ALL), 0, 0, 0, 0, b"")
    check(libc.bind(sock.fileno(), address, len(address)), "bind")
