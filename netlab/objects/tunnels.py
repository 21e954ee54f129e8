"""Tunnels other than VXLAN: Geneve, IPIP and WireGuard devices, and WireGuard's peers.

A WireGuard device's private key is created by the command that creates the device, and stays in the kernel.  A peer is
named by the namespace of its device, and its public key is read there.
"""

from __future__ import annotations

from dataclasses import field
from typing import ClassVar

from netlab.objects.base import Floor, Obj, lines
from netlab.objects.links import FALLBACKS, Device, Vxlan
from netlab.values import dataclass


@dataclass(frozen=True, slots=True)
class Geneve(Device):
    """A Geneve device: Ethernet frames to one ``remote``, the other node's outer address.

    The kernel derives the MTU of a new device from the route to its remote, so the MTU is set in a line of its own.
    ``options``: what somebody made it with beside these.
    """

    kind: ClassVar[str] = "geneve"

    vni: int = 1
    remote: str = ""
    port: int = 6081
    options: str = ""

    def _type(self) -> str:
        options = f" {self.options}" if self.options else ""
        return f"geneve id {self.vni} remote {self.remote} dstport {self.port}{options}"

    def explain(self, *, exact: bool = False) -> str:
        index = f"index {self.index} " if exact and self.index else ""
        return lines(
            (
                f"ip -n {self.netns} link add {self.dev} {index}address {self.mac} type {self._type()}",
                f"ip -n {self.netns} link set dev {self.dev} mtu {self.mtu}",
                self.end().settings(),
            )
        )


@dataclass(frozen=True, slots=True)
class Bare(Device):
    """A device without link-layer addresses: packets in it begin with their IP header."""

    def explain(self, *, exact: bool = False) -> str:
        index = f"index {self.index} " if exact and self.index else ""
        add = f"ip -n {self.netns} link add {self.dev}"
        if self.dev in FALLBACKS:  # there as soon as its module is, which this line loads
            add = (
                f"{add} type {self.kind} 2>/dev/null || true\nip -n {self.netns} link set dev {self.dev} mtu {self.mtu}"
            )
        else:
            add = f"{add} {index}mtu {self.mtu} type {self._type()}"
        return lines((add, self._keys(), self.end().settings()))

    def _keys(self) -> str:
        return ""


@dataclass(frozen=True, slots=True)
class Ipip(Bare):
    """An IPIP device without a remote: a route's next hop is the outer packet's target.

    ``local`` is its source; "any": that of the node's route to the target.
    """

    kind: ClassVar[str] = "ipip"

    local: str = ""
    options: str = ""

    def _type(self) -> str:
        return f"ipip local {self.local}" + (f" {self.options}" if self.options else "")


@dataclass(frozen=True, slots=True)
class WireGuard(Bare):
    """A WireGuard device that listens on UDP port ``port``.  ``keyed``: it has a private key."""

    kind: ClassVar[str] = "wireguard"

    port: int = 51820
    keyed: bool = True

    def _keys(self) -> str:
        setting = f"wg set {self.dev} listen-port {self.port} private-key /dev/stdin"
        return f"wg genkey | ip netns exec {self.netns} {setting}"

    def amend(self, have: Obj) -> str | None:
        if not isinstance(have, WireGuard):
            return None
        same = (self.port, self.keyed) == (have.port, have.keyed)
        return lines(("" if same else self._keys(), self.end().amend(have.end()) or ""))


@dataclass(frozen=True, slots=True)
class WgPeer(Obj):
    """A peer of a WireGuard device: ``remote`` is the namespace whose device of the same name has the peer's key.

    ``remote`` is "" where no device of the lab has it.  ``key_text`` is the key of a peer that was read.
    ``allowed`` are the networks that the peer may send from, and that are sent to it, in order.
    """

    kind: ClassVar[str] = "wireguard-peer"
    floor: ClassVar[Floor] = Floor.NEIGH

    dev: str
    remote: str
    endpoint: str = ""
    allowed: tuple[str, ...] = ()
    key_text: str = field(default="", compare=False)

    @property
    def name(self) -> str:
        return f"{self.dev} {self.remote or self.key_text}"

    def _peer(self) -> str:
        key = self.key_text or f'"$(ip netns exec {self.remote} wg show {self.dev} public-key)"'
        return f"ip netns exec {self.netns} wg set {self.dev} peer {key}"

    def explain(self, *, exact: bool = False) -> str:
        return f"{self._peer()} endpoint {self.endpoint} allowed-ips {','.join(self.allowed)}"

    def undo(self) -> str:
        return f"{self._peer()} remove"

    def amend(self, have: Obj) -> str | None:
        return self.explain() if isinstance(have, WgPeer) else None


#: The devices that encapsulate.
Tunnel = Vxlan | Geneve | Ipip | WireGuard
