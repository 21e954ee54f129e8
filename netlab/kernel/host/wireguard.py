"""WireGuard's keys, ports and peers, which are in generic netlink alone.  Numbers are those of linux/wireguard.h.

Private keys are made here, handed to the kernel and kept nowhere else.  Public keys are read from the devices, so a
lab has no files of keys.  Everything here asks about the namespace that the calling thread is in.
"""

from __future__ import annotations

import base64
import os
import socket
import struct
from collections.abc import Iterable, Iterator, Mapping

from netlab.kernel.rtnetlink.codec import NamespaceDump, RawPeer, RawWireGuard
from netlab.kernel.rtnetlink.socket import NetlinkSocket, attr, attr_dict, attr_str, attr_u32, attrs
from netlab.kernel.rtnetlink.values import NESTED, address_text, family, packed
from netlab.objects import WgPeer

_NETLINK_GENERIC, _CONTROL, _GET_FAMILY, _FAMILY_ID, _FAMILY_NAME = 16, 16, 3, 1, 2
_GET_DEVICE, _SET_DEVICE = 0, 1
_NAME, _PRIVATE, _PUBLIC, _PORT, _PEERS = 2, 3, 4, 6, 8
_PEER_KEY, _PEER_FLAGS, _ENDPOINT, _KEEPALIVE, _ALLOWED = 1, 3, 4, 5, 9
_FAMILY, _ADDRESS, _LENGTH = 1, 2, 3
_REMOVE, _REPLACE_ALLOWED = 1, 2
_KEY = 32  # bytes


class _Socket:
    """A socket of generic netlink for requests about one device."""

    def __init__(self, dev: str) -> None:
        self._socket = NetlinkSocket(_NETLINK_GENERIC)
        self._dev = dev
        try:
            answer = self._socket.ask(_CONTROL, _head(_GET_FAMILY) + attr_str(_FAMILY_NAME, "wireguard"))
            found = attr_dict(answer[1], 4) if answer else {}
            (self._family,) = struct.unpack("=H", found[_FAMILY_ID]) if _FAMILY_ID in found else (0,)
        except BaseException:
            self._socket.close()
            raise

    def __enter__(self) -> _Socket:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def dump(self) -> list[memoryview]:
        body = _head(_GET_DEVICE) + attr_str(_NAME, self._dev)
        return [payload for _, payload in self._socket.dump(self._family, body)] if self._family else []

    def set(self, body: bytes) -> None:
        """Raises OSError."""
        message = _head(_SET_DEVICE) + attr_str(_NAME, self._dev) + body
        refused = self._socket.batch([(self._family, 0, message)])
        if refused:
            raise OSError(refused[0].errno, os.strerror(refused[0].errno))


def _head(command: int) -> bytes:
    return struct.pack("=BBH", command, 1, 0)


def read(dev: str) -> RawWireGuard:
    """The device as the kernel has it.  Raises OSError where there is none."""
    port, public = 0, b""
    peers: dict[bytes, RawPeer] = {}
    with _Socket(dev) as sock:
        for payload in sock.dump():  # a long list of peers takes several messages
            at = attr_dict(payload, 4)
            if _PORT in at:
                (port,) = struct.unpack("=H", at[_PORT])
            public = bytes(at.get(_PUBLIC, public))
            for _, nested in attrs(at.get(_PEERS, b"")):
                peer = _peer(attr_dict(nested))
                before = peers.get(peer.public)
                peers[peer.public] = peer._replace(
                    allowed=(*(before.allowed if before else ()), *peer.allowed),
                    endpoint=peer.endpoint or (before.endpoint if before else ""),
                )
    return RawWireGuard(port, public, tuple(peers.values()))


def _peer(at: Mapping[int, memoryview]) -> RawPeer:
    allowed = []
    for _, nested in attrs(at.get(_ALLOWED, b"")):
        network = attr_dict(nested)
        allowed.append(f"{address_text(network[_ADDRESS])}/{network[_LENGTH][0]}")
    return RawPeer(bytes(at[_PEER_KEY]), _endpoint(at.get(_ENDPOINT)), tuple(sorted(allowed)))


def _endpoint(raw: memoryview | None) -> str:
    """A socket address as text."""
    if raw is None:
        return ""
    number, port = struct.unpack_from("=H", raw)[0], struct.unpack_from("!H", raw, 2)[0]
    if number == socket.AF_INET:
        return f"{address_text(raw[4:8])}:{port}"
    return f"[{address_text(raw[8:24])}]:{port}"


def configure(dev: str, port: int, *, new_key: bool) -> None:
    """Set the port, and a private key that nobody else has ever seen.  Raises OSError."""
    key = attr(_PRIVATE, os.urandom(_KEY)) if new_key else b""  # the kernel clamps it
    with _Socket(dev) as sock:
        sock.set(attr(_PORT, struct.pack("=H", port)) + key)


def set_peer(dev: str, public: bytes, endpoint: str, allowed: Iterable[str]) -> None:
    """Add or change a peer.  Raises OSError."""
    address, _, port = endpoint.rpartition(":")
    address = address.strip("[]")
    if ":" in address:
        raw = struct.pack("=H", socket.AF_INET6) + struct.pack("!HI", int(port), 0) + packed(address) + bytes(4)
    else:
        raw = struct.pack("=H", socket.AF_INET) + struct.pack("!H", int(port)) + packed(address) + bytes(8)
    networks = b"".join(attr(NESTED | number, _network(text)) for number, text in enumerate(allowed))
    _set_peer(
        dev, public, _REPLACE_ALLOWED, attr(_ENDPOINT, raw) + attr(NESTED | _ALLOWED, networks)
    )  # fmt: skip


def greet(dev: str) -> None:
    """Make new sessions with all peers of a device that was down.  Raises OSError.

    The device lost its sessions with that; its peers keep theirs, and what they send is lost until they hear nothing for
    15 s.  A persistent keepalive that begins sends a packet at once, with a handshake before it.
    """
    for peer in read(dev).peers:
        for seconds in (1, 0):
            _set_peer(dev, peer.public, 0, attr(_KEEPALIVE, struct.pack("=H", seconds)))


def remove_peer(dev: str, public: bytes) -> None:
    """Remove a peer; a peer that is gone is no error.  Raises OSError."""
    _set_peer(dev, public, _REMOVE, b"")


def _set_peer(dev: str, public: bytes, flags: int, more: bytes) -> None:
    peer = attr(_PEER_KEY, public) + attr_u32(_PEER_FLAGS, flags) + more
    with _Socket(dev) as sock:
        sock.set(attr(NESTED | _PEERS, attr(NESTED, peer)))


def _network(text: str) -> bytes:
    address, _, length = text.partition("/")
    return (
        attr(_FAMILY, struct.pack("=H", family(address)))
        + attr(_ADDRESS, packed(address))
        + attr(_LENGTH, bytes((int(length),)))
    )


def peers(dumps: Mapping[str, NamespaceDump], others: Mapping[tuple[str, bytes], str]) -> Iterator[WgPeer]:
    """The peers of all devices; ``others``: namespaces that were not dumped, by their device's name and public key."""
    owners = dict(others)
    owners |= {(dev, raw.public): netns for netns, here in dumps.items() for dev, raw in here.wireguard.items()}
    for netns, here in dumps.items():
        for dev, raw in here.wireguard.items():
            for peer in raw.peers:
                remote = owners.get((dev, peer.public), "")
                yield WgPeer(netns, dev, remote, peer.endpoint, peer.allowed, base64.b64encode(peer.public).decode())


def public_of(peer: WgPeer) -> bytes:
    """The public key of a peer that was read."""
    return base64.b64decode(peer.key_text)
