"""Offloads: one ioctl to read a link's features, one to set them.

``ethtool -K`` sends a request a feature; ETHTOOL_SFEATURES sets all of them at once.  The bits' numbers differ from
kernel to kernel, so their names are read once.
"""

from __future__ import annotations

import array
import fcntl
import struct

_SIOCETHTOOL = 0x8946
_GSSET_INFO, _GSTRINGS, _GFEATURES, _SFEATURES = 0x37, 0x1B, 0x3A, 0x3B
_SS_FEATURES = 4

# The kernel's names behind ethtool's short ones (rx, tx, tso, gso, gro): tools/ethtool's own legacy groups.
_GROUPS = ("rx-checksum", "tx-checksum-", "tx-tcp", "tx-generic-segmentation", "rx-gro")
_NOT = ("rx-gro-hw", "rx-gro-list", "tx-tcp-accecn")


class Offloads:
    """Reads and sets the offloads of links through any socket of their namespace."""

    def __init__(self) -> None:
        self._names: list[str] = []
        self._words = 0
        self._mask: list[int] = []

    def _learn(self, fd: int, dev: str) -> None:
        request = array.array("B", struct.pack("=IIQI", _GSSET_INFO, 0, 1 << _SS_FEATURES, 0))
        self._ioctl(fd, dev, request)
        (count,) = struct.unpack_from("=I", request, 16)
        request = array.array("B", struct.pack("=III", _GSTRINGS, _SS_FEATURES, count) + bytes(32 * count))
        self._ioctl(fd, dev, request)
        raw = request.tobytes()[12:]
        self._names = [raw[32 * i : 32 * i + 32].split(b"\0")[0].decode() for i in range(count)]
        self._words = (count + 31) // 32
        self._mask = [0] * self._words
        for bit, name in enumerate(self._names):
            if name.startswith(_GROUPS) and name not in _NOT:
                self._mask[bit // 32] |= 1 << (bit % 32)

    @staticmethod
    def _ioctl(fd: int, dev: str, request: array.array[int]) -> None:
        address, _ = request.buffer_info()
        fcntl.ioctl(fd, _SIOCETHTOOL, struct.pack("16sP16x", dev.encode(), address))

    def get(self, fd: int, dev: str) -> bool:
        """Whether any offload of the groups is on, of those that the link lets change."""
        if not self._names:
            self._learn(fd, dev)
        request = array.array("B", struct.pack("=II", _GFEATURES, self._words) + bytes(16 * self._words))
        self._ioctl(fd, dev, request)
        for word in range(self._words):
            available, _, active, never = struct.unpack_from("=IIII", request, 8 + 16 * word)
            if active & available & ~never & self._mask[word]:
                return True
        return False

    def set(self, fd: int, dev: str, on: bool) -> None:
        """Turn all of the groups' offloads on or off; bits that the link has not are left out by the kernel."""
        if not self._names:
            self._learn(fd, dev)
        blocks = b"".join(struct.pack("=II", mask, mask if on else 0) for mask in self._mask)
        self._ioctl(fd, dev, array.array("B", struct.pack("=II", _SFEATURES, self._words) + blocks))
