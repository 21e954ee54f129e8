"""Why the kernel freed a packet: a BPF program on the raw tracepoint kfree_skb, filtered by network namespace.

Needs a kernel with BTF (field offsets and the names of the reasons are read from it) and CAP_BPF and CAP_PERFMON in
the first user namespace; no compiler, no tracefs.  The reason is there from Linux 5.17 on; its place among the
tracepoint's arguments is looked up.  Events come from the whole machine, so the program takes only those of the
namespaces asked for: by the packet's device, by its socket, by the device of its route.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
import struct
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from netlab.evidence.records import Drop
from netlab.kernel.ebpf import program as bpf
from netlab.kernel.ebpf.btf import VMLINUX, Btf
from netlab.tuples import NamedTuple

_TYPES = ("sk_buff", "net_device", "net", "sock", "dst_entry", "skb_drop_reason", "btf_trace_kfree_skb")
_RECORD = struct.Struct("=QQIIII16sIHHHH4x64s16s")
_TIME, _LOCATION, _REASON, _DEV_NETNS, _SOCK_NETNS, _IFINDEX, _NAME, _LEN = 0, 8, 16, 20, 24, 28, 32, 48
_PROTOCOL, _MAC, _NETWORK, _TRANSPORT, _SYMBOL, _LINK = 52, 54, 56, 58, 64, 128
_NETWORK_BYTES = 208  # IPv6, UDP, VXLAN, Ethernet, IPv6, ICMPv6 and the IPv6 header and start of what that is about
_SIZE = _RECORD.size + _NETWORK_BYTES
_RING = 1 << 21  # 5,900 drops
_UNSET = 0xFFFF
_FORMAT = b"%pS\0"
# The frame's slots in the program.
_DEV, _SK, _POINTER, _INUMS, _INUM_DEV, _INUM_SK, _HEAD = -8, -16, -24, -32, -32, -28, -40
_PREFIX = "SKB_DROP_REASON_"


class Unavailable(Exception):
    """This source cannot be had here; the message says why."""


class Layout(NamedTuple):
    """The offsets of fields in this kernel."""

    skb: Mapping[str, int]
    dev_net: int
    dev_ifindex: int
    dev_name: int
    net_inum: int
    sock_net: int
    dst_dev: int
    location: int
    reason: int | None
    reasons: Mapping[int, str]


def layout(cache: Path | None = None) -> Layout:
    """This kernel's layout, of its BTF; ``cache``: a file that keeps it, since the walk over all types takes 40 ms.

    Raises Unavailable.
    """
    kernel = os.uname()
    key = [kernel.release, kernel.version, kernel.machine]
    if cache is not None and (kept := _kept(cache, key)):
        return kept
    offsets = _read_layout()
    if cache is not None:
        with contextlib.suppress(OSError):  # not ours to write, or no lab any more
            temporary = cache.with_name(f"{cache.name}.{os.getpid()}")
            temporary.touch(0o600)
            temporary.write_text(json.dumps([key, [*offsets[:-1], list(offsets.reasons.items())]]))
            temporary.rename(cache)
    return offsets


def _kept(cache: Path, key: list[str]) -> Layout | None:
    """The layout in the file; None where it is of another kernel, or damaged."""
    try:
        kernel, fields = json.loads(cache.read_text())
        kept = Layout(*fields)
        return kept._replace(reasons=dict(kept.reasons)) if kernel == key else None
    except (OSError, ValueError, TypeError):
        return None


def _read_layout() -> Layout:
    try:
        with open(VMLINUX, "rb", buffering=0) as stream:
            btf = Btf(stream.readall(), _TYPES)
    except OSError:
        raise Unavailable(f"this kernel has no BTF ({VMLINUX})") from None
    except ValueError:
        raise Unavailable(f"{VMLINUX} cannot be understood") from None
    try:
        fields = ("dev", "sk", "head", "len", "protocol", "mac_header", "network_header", "transport_header")
        skb = {name: btf.offset("sk_buff", name) for name in (*fields, "_skb_refdst")}
        layouts = [
            btf.offset(*path)
            for path in (
                ("net_device", "nd_net.net"),
                ("net_device", "ifindex"),
                ("net_device", "name"),
                ("net", "ns.inum"),
                ("sock", "__sk_common.skc_net.net"),
                ("dst_entry", "dev"),
            )
        ]
        # the first argument is the tracepoint's own
        arguments = btf.arguments("btf_trace_kfree_skb")[1:]
    except KeyError as error:
        raise Unavailable(f"this kernel's BTF lacks {error.args[0]}") from None
    reason = arguments.index("skb_drop_reason") if "skb_drop_reason" in arguments else None
    reasons = btf.values("skb_drop_reason") if reason is not None else {}
    names = {n: name.removeprefix(_PREFIX) for n, name in reasons.items()}
    dev_net, dev_ifindex, dev_name, net_inum, sock_net, dst_dev = layouts
    return Layout(skb, dev_net, dev_ifindex, dev_name, net_inum, sock_net, dst_dev, 1, reason, names)


class Sought(NamedTuple):
    """The content that a reported packet must have: one of some 32-bit numbers, or of some ports.

    A sieve, not a proof: bytes that happen to be the same pass too.  ARP and ICMPv6 always do.
    """

    words: tuple[int, ...]
    ports: tuple[int, ...] = ()


class DropSource:
    """The drops in some namespaces: ``inodes`` are those of their nsfs files, with the namespaces' names.

    ``sought``: leave out other packets, in the kernel, so that a flood of them fills no buffer.  ``cache``: as
    ``layout`` has it.  Raises Unavailable.
    """

    def __init__(self, inodes: Mapping[int, str], sought: Sought | None = None, cache: Path | None = None) -> None:
        self._netns = dict(inodes)
        self._sought = sought
        self._fds: list[int] = []
        self._ring: bpf.Ring | None = None
        self._layout = layout(cache)
        try:
            self._open()
        except OSError as error:
            self.close()
            if error.errno == 1:
                raise Unavailable("BPF is for root of the machine (CAP_BPF and CAP_PERFMON, no lockdown)") from None
            raise Unavailable(f"bpf: {error.strerror or error}") from None
        # AF_PACKET's clock is CLOCK_REALTIME, BPF's CLOCK_MONOTONIC
        self._clock = time.time_ns() - time.monotonic_ns()

    def _open(self) -> None:
        self._ring = bpf.Ring(_RING)
        spaces = self._keep(bpf.new_map(bpf.HASH, 4, 4, max(1, len(self._netns))))
        self._lost = self._keep(bpf.new_map(bpf.ARRAY, 4, 8, 1))
        for inode in self._netns:
            bpf.put(spaces, struct.pack("=I", inode), struct.pack("=I", 1))
        program = -1
        for symbol in (self._constant(), None):  # bpf_snprintf is there from Linux 5.13 on
            try:
                code = _program(self._layout, spaces, self._ring.fd, self._lost, symbol, self._sought)
                program = self._keep(bpf.load(code))
                break
            except OSError as error:
                if symbol is None or error.errno == 1:
                    raise
        self._keep(bpf.attach(program, "kfree_skb"))

    def _constant(self) -> int:
        fd = self._keep(bpf.new_map(bpf.ARRAY, 4, len(_FORMAT), 1, bpf.READ_ONLY))
        bpf.put(fd, bytes(4), _FORMAT)
        bpf.freeze(fd)
        return fd

    def _keep(self, fd: int) -> int:
        self._fds.append(fd)
        return fd

    def fileno(self) -> int:
        """The descriptor, for epoll."""
        assert self._ring is not None
        return self._ring.fd

    def read(self) -> Iterator[Drop]:
        """The drops since the last call."""
        assert self._ring is not None
        for data in self._ring.read():
            yield self._dropped(data)

    def _dropped(self, data: bytes) -> Drop:
        when, location, reason, dev_netns, sock_netns, _, name, length, raw, mac, network, _, symbol, link = (
            _RECORD.unpack_from(data)
        )
        function, offset = _location(symbol, location)
        protocol = socket.ntohs(raw)
        return Drop(
            when + self._clock,
            self._netns.get(dev_netns) or self._netns.get(sock_netns, ""),
            name.split(b"\0")[0].decode(errors="replace"),
            self._layout.reasons.get(reason, str(reason) if self._layout.reason is not None else ""),
            function,
            offset,
            _cut(data[_RECORD.size :], protocol, length),
            link[:14] if mac != _UNSET and network > mac else b"",
            protocol,
        )

    def lost(self) -> int:
        """The number of drops that did not fit the ring."""
        return int(struct.unpack("=Q", bpf.get(self._lost, bytes(4), 8))[0])

    def close(self) -> None:
        """Detach the program and close its maps."""
        while self._fds:
            os.close(self._fds.pop())
        if self._ring is not None:
            self._ring.close()
            self._ring = None


def _cut(data: bytes, protocol: int, length: int) -> bytes:
    """What belongs to the packet: sk_buff.len leaves out the headers that were already taken off."""
    if protocol == 0x0800:
        return data[: int.from_bytes(data[2:4], "big")]
    if protocol == 0x86DD:
        return data[: 40 + int.from_bytes(data[4:6], "big")]
    return data[:length]


def _location(symbol: bytes, location: int) -> tuple[str, int]:
    """``ip_forward+0x12/0x40 [module]`` as a function and an offset."""
    text = symbol.split(b"\0")[0].decode(errors="replace")
    match = re.match(r"([^+\s]+)\+0x([0-9a-f]+)", text)
    return (match[1], int(match[2], 16)) if match else (text or hex(location), 0)


def _sieve(code: bpf.Code, sought: Sought) -> None:
    """Go to "kept" with a record, in r9, that may be of interest; every header begins at an even place."""
    swapped = sys.byteorder == "little"

    def raw(value: int, size: int) -> int:
        return int.from_bytes(value.to_bytes(size, "big"), "little") if swapped else value

    code.load(2, 1, 9, _PROTOCOL)
    code.jump_equal(1, raw(0x0806, 2), "kept")
    code.jump_unequal(1, raw(0x86DD, 2), "no ICMPv6")
    code.load(1, 1, 9, _RECORD.size + 6)
    code.jump_equal(1, 58, "kept")
    code.label("no ICMPv6")
    # a comparison with a constant would extend its sign
    for register, word in zip((2, 3), sought.words, strict=False):
        code.set64(register, raw(word, 4))
    for offset in range(_RECORD.size, _SIZE - 3, 2):
        code.load(4, 1, 9, offset)
        for register, _ in zip((2, 3), sought.words, strict=False):
            code.jump_same(1, register, "kept")
    for offset in range(_RECORD.size, _SIZE - 1, 2) if sought.ports else ():
        code.load(2, 1, 9, offset)
        for port in sought.ports:
            code.jump_equal(1, raw(port, 2), "kept")
    code.move(1, 9)
    code.set(2, 0)
    code.call(bpf.DISCARD)
    code.jump("end")
    code.label("kept")


def _program(at: Layout, spaces: int, ring: int, lost: int, symbol: int | None, sought: Sought | None) -> bytes:
    """The program.  Registers: r6 the context, r7 the skb, r8 and r9 temporary, then r9 the record."""
    code = bpf.Code()
    code.move(6, 1)
    code.load(8, 7, 6, 0)
    for slot in range(1, 6):
        code.store_value(8, 10, -8 * slot, 0)
    _find_namespaces(code, at)
    _select_namespaces(code, spaces)
    _reserve(code, ring)
    _fill(code, at)
    _copy_headers(code, at)
    if sought is not None:
        _sieve(code, sought)
    if symbol is not None:
        _print_symbol(code, symbol)
    _submit(code, lost)
    return code.done()


def _read(code: bpf.Code, to: int, slot: int, size: int, source: int, offset: int) -> None:
    """Copy kernel memory, at ``offset`` behind the register ``source``, to ``slot`` behind the register ``to``."""
    code.move(1, to)
    code.add(1, slot)
    code.set(2, size)
    code.move(3, source)
    code.add(3, offset)
    code.call(bpf.PROBE_READ)


def _follow(code: bpf.Code, to: int, source: int, offset: int, otherwise: str) -> None:
    """Load a pointer of a structure into a register; jump to a label where it is NULL."""
    _read(code, 10, _POINTER, 8, source, offset)
    code.load(8, to, 10, _POINTER)
    code.jump_equal(to, 0, otherwise)


def _find_namespaces(code: bpf.Code, at: Layout) -> None:
    """The namespaces of the packet's device, or else of its route's device, and of its socket."""
    _read(code, 10, _DEV, 8, 7, at.skb["dev"])
    code.load(8, 8, 10, _DEV)
    code.jump_equal(8, 0, "no device")
    _follow(code, 9, 8, at.dev_net, "no device")
    _read(code, 10, _INUM_DEV, 4, 9, at.net_inum)
    code.label("no device")
    _read(code, 10, _SK, 8, 7, at.skb["sk"])
    code.load(8, 9, 10, _SK)
    code.jump_equal(9, 0, "no socket")
    _follow(code, 9, 9, at.sock_net, "no socket")
    _read(code, 10, _INUM_SK, 4, 9, at.net_inum)
    code.label("no socket")
    code.load(4, 1, 10, _INUM_DEV)
    code.jump_unequal(1, 0, "known")
    _read(code, 10, _POINTER, 8, 7, at.skb["_skb_refdst"])
    code.load(8, 9, 10, _POINTER)
    code.mask(9, -2)  # the lowest bit: the route is not counted
    code.jump_equal(9, 0, "known")
    _follow(code, 8, 9, at.dst_dev, "known")
    code.store(8, 10, _DEV, 8)
    _follow(code, 9, 8, at.dev_net, "known")
    _read(code, 10, _INUM_DEV, 4, 9, at.net_inum)
    code.label("known")


def _select_namespaces(code: bpf.Code, spaces: int) -> None:
    """End unless one of both namespaces is in the map."""
    _lookup(code, spaces, _INUM_DEV)
    code.jump_unequal(0, 0, "ours")
    _lookup(code, spaces, _INUM_SK)
    code.jump_equal(0, 0, "end")
    code.label("ours")


def _lookup(code: bpf.Code, table: int, key: int) -> None:
    code.map(1, table)
    code.move(2, 10)
    code.add(2, key)
    code.call(bpf.LOOKUP)


def _reserve(code: bpf.Code, ring: int) -> None:
    """A record of zeros in r9; to "full" where the ring has no room."""
    code.map(1, ring)
    code.set(2, _SIZE)
    code.set(3, 0)
    code.call(bpf.RESERVE)
    code.jump_equal(0, 0, "full")
    code.move(9, 0)
    for offset in range(0, _SIZE, 8):
        code.store_value(8, 9, offset, 0)


def _fill(code: bpf.Code, at: Layout) -> None:
    """Time, location, reason, namespaces, device, and the offsets of the headers."""
    code.call(bpf.KTIME)
    code.store(8, 9, _TIME, 0)
    code.load(8, 1, 6, 8 * at.location)
    code.store(8, 9, _LOCATION, 1)
    if at.reason is not None:
        code.load(8, 1, 6, 8 * at.reason)
        code.store(4, 9, _REASON, 1)
    for slot, offset in ((_INUM_DEV, _DEV_NETNS), (_INUM_SK, _SOCK_NETNS)):
        code.load(4, 1, 10, slot)
        code.store(4, 9, offset, 1)
    code.load(8, 8, 10, _DEV)
    _read(code, 9, _IFINDEX, 4, 8, at.dev_ifindex)
    _read(code, 9, _NAME, 16, 8, at.dev_name)
    _read(code, 9, _LEN, 4, 7, at.skb["len"])
    for offset, name in (
        (_PROTOCOL, "protocol"),
        (_MAC, "mac_header"),
        (_NETWORK, "network_header"),
        (_TRANSPORT, "transport_header"),
    ):
        _read(code, 9, offset, 2, 7, at.skb[name])


def _copy_headers(code: bpf.Code, at: Layout) -> None:
    """The bytes from the MAC header and from the network header on."""
    _read(code, 10, _HEAD, 8, 7, at.skb["head"])
    for offset, header, size in ((_LINK, _MAC, 16), (_RECORD.size, _NETWORK, _NETWORK_BYTES)):
        code.load(8, 8, 10, _HEAD)
        code.load(2, 1, 9, header)
        code.add_register(8, 1)
        _read(code, 9, offset, size, 8, 0)


def _print_symbol(code: bpf.Code, symbol: int) -> None:
    """The function that freed the packet, as the kernel names it."""
    code.load(8, 1, 9, _LOCATION)
    code.store(8, 10, _POINTER, 1)
    code.move(1, 9)
    code.add(1, _SYMBOL)
    code.set(2, 64)
    code.map_value(3, symbol)
    code.move(4, 10)
    code.add(4, _POINTER)
    code.set(5, 8)
    code.call(bpf.SNPRINTF)


def _submit(code: bpf.Code, lost: int) -> None:
    """Hand the record over; a record without room is counted."""
    code.move(1, 9)
    code.set(2, 0)
    code.call(bpf.SUBMIT)
    code.jump("end")
    code.label("full")
    code.store_value(4, 10, _POINTER, 0)
    _lookup(code, lost, _POINTER)
    code.jump_equal(0, 0, "end")
    code.set(1, 1)
    code.count(0, 1)
    code.label("end")
    code.end()
