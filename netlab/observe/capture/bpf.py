"""Classic BPF programs: which frames a capture takes, decided in the kernel.  Pure.

A filter is written for a frame as it is on the wire.  Frames of Pods are inside another frame between the nodes, so
``inside_too`` makes a program that takes a frame if the filter holds for it, or for the frame in its tunnel: the
program three times, two of them with their loads moved by the length of what is put around (50 bytes over IPv4, 70 over
IPv6).

Instructions are (code, jump if true, jump if false, k), as linux/filter.h has them.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable

from netlab.errors import BadInput
from netlab.observe.packetid import TUNNEL_PORTS

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
_ETHERNET, _TYPE_AT = 14, 12
_CLASS, _ABSOLUTE = 0x07, 0x20  # a load of this class with the mode 0 is a load of k itself
_IPIP, _UDP, _VALID_VNI, _FRAGMENT_OFFSET = 4, 17, 0x08000000, 0x1FFF
_GENEVE = 0x00006558  # the first word of its header: no options, no flags, Ethernet inside

TAKE_ALL: Program = ((_RET, 0, 0, SNAP),)


def inside_too(program: Program, *, bare: bool = False) -> Program:
    """The program for frames, and for the frames inside VXLAN and Geneve.

    ``bare``: also for the packets inside IPIP, and at interfaces without an Ethernet header, which are told by their
    first byte.  The outer header's length is taken as fixed: the kernel's tunnels use no IP options and no extension headers.
    """
    outer4, outer6 = [(_LD_HALF, 12, (0x0800,)), (_LD_BYTE, 14, (0x45,))], [(_LD_HALF, 12, (0x86DD,))]
    copies = [
        (_tests([*outer4, (_LD_BYTE, 23, (_UDP,))], 20, 36, 42), _moved(program, _OUTER4)),
        (_tests([*outer6, (_LD_BYTE, 20, (_UDP,))], None, 56, 62), _moved(program, _OUTER6)),
    ]
    if bare:
        copies += [
            (_tests([*outer4, (_LD_BYTE, 23, (_IPIP,))], 20), _bare(program, 20, 0x0800)),
            (_tests([(_LD_BYTE, 0, (0x45,))], None), _bare(program, -_ETHERNET, 0x0800)),
            (_tests([(_LD_BYTE, 0, tuple(range(0x60, 0x70)))], None), _bare(program, -_ETHERNET, 0x86DD)),
        ]
    size = len(program)
    # a filter that does not hold goes on behind itself, instead of ending
    made = [
        (_JA, 0, 0, size - index - 1) if instruction[0] == _RET and instruction[3] == 0 else instruction
        for index, instruction in enumerate(program)
    ]
    left = sum(len(tests) + 1 for tests, _ in copies)
    for number, (tests, _) in enumerate(copies):
        left -= len(tests) + 1
        made += [*tests, (_JA, 0, 0, left + 1 + number * size)]
    return (*made, (_RET, 0, 0, 0), *(instruction for _, copy in copies for instruction in copy))


def only_interfaces(program: Program, indexes: Iterable[int]) -> Program:
    """The program for frames at these interfaces of a namespace; all else is not taken."""
    chosen = sorted(indexes)
    tests: list[Instruction] = []
    for position, index in enumerate(chosen):
        # a jump of its own, since a conditional one reaches 255 instructions
        tests += [(_JEQ, 0, 1, index), (_JA, 0, 0, 2 * (len(chosen) - position - 1) + 1)]
    return ((_LD_WORD, 0, 0, _IFINDEX), *tests, (_RET, 0, 0, 0), *program)


def packed(program: Program) -> bytes:
    """The program as an array of struct sock_filter.  Raises BadInput if it is too long."""
    if len(program) > _MOST:
        raise BadInput(f"the filter is too long: {len(program)} instructions, and the kernel takes {_MOST}")
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in program)


def _tests(
    equal: list[tuple[int, int, tuple[int, ...]]], fragment: int | None, port: int = 0, flags: int = 0
) -> list[Instruction]:
    """Whether a frame is a tunnel's packet: falls through where it is, else jumps over the instruction behind.

    ``equal``: loads with the values that they may give; ``port`` and ``flags``: where those of VXLAN or Geneve are.
    """
    checks = [*equal, *([(_LD_HALF, port, tuple(sorted(TUNNEL_PORTS)))] if port else [])]
    size = sum(1 + len(values) for _, _, values in checks) + (3 if port else 0) + (2 if fragment is not None else 0)
    made: list[Instruction] = []

    def away() -> int:
        return size - len(made)

    for load, at, values in checks:
        made.append((load, 0, 0, at))
        for position, value in enumerate(values):
            left = len(values) - position - 1
            made.append((_JEQ, left, 0 if left else away(), value))
    if fragment is not None:
        made.append((_LD_HALF, 0, 0, fragment))
        made.append((_JSET, away(), 0, _FRAGMENT_OFFSET))
    if port:
        made.append((_LD_WORD, 0, 0, flags))
        made.append((_JEQ, 1, 0, _GENEVE))
        made.append((_JSET, 0, away(), _VALID_VNI))
    return made


def _bare(program: Program, by: int, ethertype: int) -> list[Instruction]:
    """The program for a packet without an Ethernet header, as if one with the EtherType and no addresses stood before."""
    moved = _moved(program, by)
    for at, (code, _, _, k) in enumerate(program):
        if moved[at] != program[at] and k < _ETHERNET and code & 0xE0 == _ABSOLUTE:
            moved[at] = (code & _CLASS, 0, 0, ethertype if k == _TYPE_AT else 0)
    return moved


def _moved(program: Program, by: int) -> list[Instruction]:
    """The program for a frame that begins ``by`` bytes later."""
    return [
        (code, yes, no, k + by)
        if code & 7 in _LOADS and code & 0xE0 in _READS_FRAME and k < _ANCILLARY
        else instruction
        for instruction in program
        for code, yes, no, k in (instruction,)
    ]
