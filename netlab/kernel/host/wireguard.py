"""WireGuard's keys, ports and peers, which are in generic netlink alone.  Numbers are those of linux/wireguard.h.

Private keys are made here, handed to the kernel and kept nowhere else.  Public keys are read from the devices, so a
lab has no files of keys.  ``read`` asks about the namespace that the calling thread is in.
"""

from __future__ import annotations

import base64
import os
import socket
import struct
from collections.abc import Callable, Iterator, Mapping

from netlab.kernel.host import netns as ns
from netlab.kernel.rtnetlink.codec import NamespaceDump, RawPeer, RawWireGuard
from netlab.kernel.rtnetlink.socket import NetlinkSocket, attr, attr_dict, attr_str, attr_u32, attrs
from netlab.kernel.rtnetlink.values import NESTED, address_text, family, packed
from netlab.objects import Op, Verb, WgPeer, WireGuard

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
            reply = self._socket.ask(_CONTROL, _head(_GET_FAMILY) + attr_str(_FAMILY_NAME, "wireguard"))
            attributes = attr_dict(reply[1], 4) if reply else {}
            (self._family,) = struct.unpack("=H", attributes[_FAMILY_ID]) if _FAMILY_ID in attributes else (0,)
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


class Devices:
    """What an ``apply`` does to WireGuard devices; ``descriptor`` gives that of a namespace.  Methods raise OSError."""

    def __init__(self, descriptor: Callable[[str], int]) -> None:
        self._descriptor = descriptor
        self._public: dict[tuple[str, str], bytes] = {}  # keys by namespace and device

    def configure(self, op: Op) -> None:
        """Set the port, and a private key that nobody else has ever seen where the device has none."""
        device, have = op.obj, op.have
        assert isinstance(device, WireGuard)
        keyed = isinstance(have, WireGuard) and have.keyed
        if isinstance(have, WireGuard) and (have.port, have.keyed) == (device.port, device.keyed):
            return
        key = b"" if keyed else attr(_PRIVATE, os.urandom(_KEY))  # the kernel clamps it
        with ns.inside(self._descriptor(device.netns)), _Socket(device.dev) as sock:
            sock.set(attr(_PORT, struct.pack("=H", device.port)) + key)

    def peer(self, op: Op) -> None:
        """Add, change or remove a peer; a removed peer that is gone is no error."""
        peer = op.obj
        assert isinstance(peer, WgPeer)
        if op.verb is Verb.DELETE:
            public, settings = base64.b64decode(peer.key_text), attr_u32(_PEER_FLAGS, _REMOVE)
        else:
            public, settings = self._public_key(peer.remote, peer.dev), _settings(peer)
        with ns.inside(self._descriptor(peer.netns)):
            _set_peer(peer.dev, public, settings)

    def greet(self, op: Op) -> None:
        """Make new sessions with all peers of a device that was down.

        The device lost its sessions with that; its peers keep theirs, and what they send is lost until they hear nothing
        for 15 s.  A persistent keepalive that begins sends a packet at once, with a handshake before it.
        """
        assert isinstance(op.obj, WireGuard)
        with ns.inside(self._descriptor(op.obj.netns)):
            for peer in read(op.obj.dev).peers:
                for seconds in (1, 0):
                    _set_peer(op.obj.dev, peer.public, attr(_KEEPALIVE, struct.pack("=H", seconds)))

    def _public_key(self, netns: str, dev: str) -> bytes:
        if (netns, dev) not in self._public:
            with ns.inside(self._descriptor(netns)):
                self._public[netns, dev] = read(dev).public
        return self._public[netns, dev]


def _settings(peer: WgPeer) -> bytes:
    address, _, port = peer.endpoint.rpartition(":")
    address = address.strip("[]")
    if ":" in address:
        raw = struct.pack("=H", socket.AF_INET6) + struct.pack("!HI", int(port), 0) + packed(address) + bytes(4)
    else:
        raw = struct.pack("=H", socket.AF_INET) + struct.pack("!H", int(port)) + packed(address) + bytes(8)
    networks = b"".join(attr(NESTED | number, _network(text)) for number, text in enumerate(peer.allowed))
    return attr_u32(_PEER_FLAGS, _REPLACE_ALLOWED) + attr(_ENDPOINT, raw) + attr(NESTED | _ALLOWED, networks)


def _set_peer(dev: str, public: bytes, settings: bytes) -> None:
    with _Socket(dev) as sock:
        sock.set(attr(NESTED | _PEERS, attr(NESTED, attr(_PEER_KEY, public) + settings)))


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
