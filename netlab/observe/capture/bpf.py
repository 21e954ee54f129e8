"""Classic BPF programs: which frames a capture takes, decided in the kernel.  Pure.

A filter is written for a frame as it is on the wire.  What Pods send between nodes is inside another frame there, so
``inside_too`` makes a program that takes a frame if the filter holds for it, or for the frame in its VXLAN: the program
three times, two of them with their loads moved by the length of what is put around (50 bytes over IPv4, 70 over IPv6).

Instructions are (code, jump if true, jump if false, k), as linux/filter.h has them.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable

from netlab.errors import BadInput
from netlab.observe.packetid import VXLAN_PORTS

Instruction = tuple[int, int, int, int]
Program = tuple[Instruction, ...]

SNAP = 0x40000  # bytes of a frame that are kept: more than any frame has
_MOST = 4096  # BPF_MAXINSNS
_LD_BYTE, _LD_HALF, _LD_WORD = 0x30, 0x28, 0x20
_JA, _JEQ, _JSET, _RET = 0x05, 0x15, 0x45, 0x06
_LOADS = (0, 1)  # classes: into the accumulator, into the index register
_READS_FRAME = frozenset((0x20, 0x40, 0xA0))  # modes: absolute, indirect, "4 * (byte & 15)"
_ANCILLARY = 0xFFFFF000  # SKF_AD_OFF: absolute loads from here on do not read the frame
_IFINDEX = _ANCILLARY + 8
_OUTER4, _OUTER6 = 14 + 20 + 8 + 8, 14 + 40 + 8 + 8
_UDP, _VALID_VNI, _FRAGMENT_OFFSET = 17, 0x08, 0x1FFF

TAKE_ALL: Program = ((_RET, 0, 0, SNAP),)


def inside_too(program: Program) -> Program:
    """The program for frames, and for the frames inside VXLAN.

    The outer header's length is taken as fixed: the kernel's tunnels use no IP options and no extension headers.
    """
    over4 = _tests([(_LD_HALF, 12, (0x0800,)), (_LD_BYTE, 14, (0x45,)), (_LD_BYTE, 23, (_UDP,))], 20, 36, 42)
    over6 = _tests([(_LD_HALF, 12, (0x86DD,)), (_LD_BYTE, 20, (_UDP,))], None, 56, 62)
    size = len(program)
    # a filter that does not hold goes on behind itself, instead of ending
    plain = [
        (_JA, 0, 0, size - place - 1) if instruction[0] == _RET and instruction[3] == 0 else instruction
        for place, instruction in enumerate(program)
    ]
    to4, to6 = (_JA, 0, 0, len(over6) + 2), (_JA, 0, 0, size + 1)
    return (*plain, *over4, to4, *over6, to6, (_RET, 0, 0, 0), *_moved(program, _OUTER4), *_moved(program, _OUTER6))


def only_interfaces(program: Program, indexes: Iterable[int]) -> Program:
    """The program for frames at these interfaces of a namespace; all else is not taken."""
    chosen = sorted(indexes)
    tests: list[Instruction] = []
    for place, index in enumerate(chosen):
        # a jump of its own, since a conditional one reaches 255 instructions
        tests += [(_JEQ, 0, 1, index), (_JA, 0, 0, 2 * (len(chosen) - place - 1) + 1)]
    return ((_LD_WORD, 0, 0, _IFINDEX), *tests, (_RET, 0, 0, 0), *program)


def packed(program: Program) -> bytes:
    """The program as an array of struct sock_filter.  Raises BadInput if it is too long."""
    if len(program) > _MOST:
        raise BadInput(f"the filter is too long: {len(program)} instructions, and the kernel takes {_MOST}")
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in program)


def _tests(
    equal: list[tuple[int, int, tuple[int, ...]]], fragment: int | None, port: int, flags: int
) -> list[Instruction]:
    """Whether a frame is a VXLAN packet: falls through where it is, else jumps over the instruction behind."""
    checks = [*equal, (_LD_HALF, port, tuple(sorted(VXLAN_PORTS)))]
    size = sum(1 + len(values) for _, _, values in checks) + 2 + (2 if fragment is not None else 0)
    made: list[Instruction] = []

    def away() -> int:
        return size - len(made)

    for load, at, values in checks:
        made.append((load, 0, 0, at))
        for place, value in enumerate(values):
            left = len(values) - place - 1
            made.append((_JEQ, left, 0 if left else away(), value))
    if fragment is not None:
        made.append((_LD_HALF, 0, 0, fragment))
        made.append((_JSET, away(), 0, _FRAGMENT_OFFSET))
    made.append((_LD_BYTE, 0, 0, flags))
    made.append((_JSET, 0, away(), _VALID_VNI))
    return made


def _moved(program: Program, by: int) -> list[Instruction]:
    """The program for a frame that begins ``by`` bytes later."""
    return [
        (code, yes, no, k + by)
        if code & 7 in _LOADS and code & 0xE0 in _READS_FRAME and k < _ANCILLARY
        else instruction
        for instruction in program
        for code, yes, no, k in (instruction,)
    ]
