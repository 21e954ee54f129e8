"""Links: bridges, veth pairs, VXLAN devices, and the bridge ports that they become."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import field
from typing import ClassVar

from netlab.objects.base import Floor, Obj, lines
from netlab.objects.deviation import Deviation, mended
from netlab.values import dataclass

# What `offload: off` turns off, in ethtool's own short names: with these on, captures show 64 kB "packets" with bad
# checksums and MTU faults do not bite (measured: 200 kB of TCP crossed a path of 1450 bytes).
OFFLOADS = ("rx", "tx", "tso", "gso", "gro")

# Devices that some modules put into every namespace, where nobody can remove them: one that is down is nobody's work.
FALLBACKS = frozenset(
    ("lo", "tunl0", "gre0", "gretap0", "erspan0", "sit0", "ip6tnl0", "ip6gre0", "ip_vti0", "ip6_vti0", "teql0")
)
BRIDGE_MTU = 1500  # what a new bridge has


def _offload_line(netns: str, dev: str, on: bool) -> str:
    word = "on" if on else "off"
    return f"ip netns exec {netns} ethtool -K {dev} " + " ".join(f"{name} {word}" for name in OFFLOADS)


def removal(netns: str, dev: str) -> str:
    """The line that removes a device, or sets one down that nobody can remove."""
    return f"ip -n {netns} link " + (f"set dev {dev} down" if dev in FALLBACKS else f"del dev {dev}")


IPV6_LEAST = 1280  # bytes (RFC 8200); the kernel keeps IPv6 off links with less


@dataclass(frozen=True, slots=True)
class End:
    """One end of a veth pair.

    ``mtu`` in bytes; ``index`` is chosen by netlab so that nothing needs to be looked up, and is not compared.
    ``addrgen`` is ``none`` on links of IPv4-only labs (no link-local address, no router solicitations) else ``eui64``.
    ``pinned``: something else names this MAC (a permanent neighbour), so the shell lines must set it; not compared.
    ``deviations``: what somebody set that netlab leaves as a new link has it.
    """

    netns: str
    name: str
    mac: str
    mtu: int = 1500
    index: int = field(default=0, compare=False)
    altname: str = ""
    addrgen: str = "none"
    offload: bool = False
    up: bool = True
    pinned: bool = field(default=False, compare=False)
    deviations: tuple[Deviation, ...] = ()

    def device(self) -> tuple[str, str, str, int, int, str, bool, bool, tuple[Deviation, ...]]:
        """The first fields of a device that has this end alone; the inverse of ``Bridge.end``."""
        common = (self.netns, self.name, self.mac, self.mtu, self.index)
        return (*common, self.addrgen, self.offload, self.up, self.deviations)

    @property
    def tells_addrgen(self) -> bool:
        """Whether a new link must be told its ``addrgen``: one that is too small for IPv6, or a fallback device that was
        never up, has none, and refuses to hear.
        """
        return self.addrgen != "eui64" and self.mtu >= IPV6_LEAST and self.name not in FALLBACKS

    def settings(self) -> str:
        """The lines after ``ip link add`` that bring this end into its state."""
        where = f"ip -n {self.netns} link"
        return lines(
            (
                f"{where} property add dev {self.name} altname {self.altname}" if self.altname else "",
                "" if self.offload else _offload_line(self.netns, self.name, False),
                f"{where} set dev {self.name} addrgenmode {self.addrgen}" if self.tells_addrgen else "",
                f"{where} set dev {self.name} up" if self.up else "",
            )
        )

    def amend(self, have: End) -> str | None:
        """The lines that turn ``have`` into this end; None where the end must be made anew."""
        if (self.netns, self.name) != (have.netns, have.name):
            return None
        where = f"ip -n {self.netns} link"
        dev = f"{where} set dev {self.name}"
        return lines(
            (
                f"{dev} mtu {self.mtu}" if self.mtu != have.mtu else "",
                f"{dev} address {self.mac}" if self.mac != have.mac else "",
                f"{where} property del dev {self.name} altname {have.altname}"
                if have.altname and self.altname != have.altname
                else "",
                f"{where} property add dev {self.name} altname {self.altname}"
                if self.altname and self.altname != have.altname
                else "",
                _offload_line(self.netns, self.name, self.offload) if self.offload != have.offload else "",
                f"{dev} addrgenmode {self.addrgen}" if self.addrgen != have.addrgen else "",
                *mended(self.netns, self.name, have.deviations),
                f"{dev} {'up' if self.up else 'down'}" if self.up != have.up else "",
            )
        )


@dataclass(frozen=True, slots=True)
class Veth(Obj):
    """A veth pair: one object with two ends, keyed by the node's end."""

    kind: ClassVar[str] = "veth"
    floor: ClassVar[Floor] = Floor.LINK

    end: End
    peer: End

    @property
    def name(self) -> str:
        return self.end.name

    def explain(self, *, exact: bool = False) -> str:
        end, peer = self.end, self.peer

        def args(end: End) -> str:
            index = f"index {end.index} " if exact and end.index else ""
            return f"{end.name} {index}" + (f"address {end.mac} " if exact or end.pinned else "") + f"mtu {end.mtu}"

        add = f"ip -n {end.netns} link add {args(end)} type veth peer name {args(peer)} netns {peer.netns}"
        return lines((add, end.settings(), peer.settings()))

    def undo(self) -> str:
        return f"ip -n {self.netns} link del dev {self.name}"

    def amend(self, have: Obj) -> str | None:
        if not isinstance(have, Veth):
            return None
        parts = self.end.amend(have.end), self.peer.amend(have.peer)
        return None if None in parts else lines(part for part in parts if part)


@dataclass(frozen=True, slots=True)
class Device(Obj):
    """What a device with one end has.  ``mtu`` in bytes."""

    floor: ClassVar[Floor] = Floor.LINK

    dev: str
    mac: str
    mtu: int = 1500
    index: int = field(default=0, compare=False)
    addrgen: str = "none"
    offload: bool = False
    up: bool = True
    deviations: tuple[Deviation, ...] = ()

    @property
    def name(self) -> str:
        return self.dev

    def _type(self) -> str:
        return self.kind

    def end(self) -> End:
        """The settings that every link has, as those of a veth's end."""
        common = (self.netns, self.dev, self.mac, self.mtu, self.index, "", self.addrgen, self.offload, self.up)
        return End(*common, deviations=self.deviations)

    def explain(self, *, exact: bool = False) -> str:
        index = f"index {self.index} " if exact and self.index else ""
        add = f"ip -n {self.netns} link add {self.dev} {index}address {self.mac} mtu {self.mtu} type {self._type()}"
        return lines((add, self.end().settings()))

    def undo(self) -> str:
        return removal(self.netns, self.dev)

    def amend(self, have: Obj) -> str | None:
        if not isinstance(have, type(self)) or self._type() != have._type():
            return None
        return self.end().amend(have.end())


@dataclass(frozen=True, slots=True)
class Bridge(Device):
    """A Linux bridge.

    Its MAC is set explicitly: unset, it follows the lowest MAC among its ports.  So is its MTU, in a line of its own:
    one that is given at birth is no setting to the kernel, and still follows the ports (1500 where there are none).
    """

    kind: ClassVar[str] = "bridge"

    def explain(self, *, exact: bool = False) -> str:
        index = f"index {self.index} " if exact and self.index else ""
        return lines(
            (
                f"ip -n {self.netns} link add {self.dev} {index}address {self.mac} type bridge",
                f"ip -n {self.netns} link set dev {self.dev} mtu {self.mtu}" if self.mtu != BRIDGE_MTU else "",
                self.end().settings(),
            )
        )


@dataclass(frozen=True, slots=True)
class Vxlan(Device):
    """A VXLAN device with static forwarding (``nolearning``).

    ``local`` is the VTEP's own outer address, ``lower`` the device that carries the outer packets, ``port`` the UDP
    destination port: 4789 is IANA's, 8472 the kernel's own default and flannel's.  ``options``: what somebody made it
    with beside these (``ttl 1``); most of that cannot be changed afterwards.
    """

    kind: ClassVar[str] = "vxlan"

    vni: int = 1
    local: str = ""
    lower: str = "eth0"
    port: int = 4789
    learning: bool = False
    options: str = ""

    def _type(self) -> str:
        learning = "learning" if self.learning else "nolearning"
        options = f" {self.options}" if self.options else ""
        return f"vxlan id {self.vni} local {self.local} dev {self.lower} dstport {self.port} {learning}{options}"


@dataclass(frozen=True, slots=True)
class Stitch(Device):
    """The cut of a lab that is spread over machines: a VXLAN device whose socket stays in the machine's own namespace.

    The machine has one UDP socket (``port``, of all its addresses) and no link, not even for a moment: the request that
    makes the device names the lab's namespace.  ``local`` is the machine's address.
    """

    kind: ClassVar[str] = "stitch"

    vni: int = 1
    local: str = ""
    port: int = 14789

    def _type(self) -> str:
        return f"vxlan id {self.vni} local {self.local} dstport {self.port} nolearning"

    def explain(self, *, exact: bool = False) -> str:
        index = f"index {self.index} " if exact and self.index else ""
        add = f"ip link add {self.dev} netns {self.netns} {index}address {self.mac} mtu {self.mtu} type {self._type()}"
        return lines((add, self.end().settings()))


#: Devices without options of their own, by the kernel's word for their kind.
PLAIN: dict[str, type[Device]] = {device.kind: device for device in (Bridge,)}


@dataclass(frozen=True, slots=True)
class Port(Obj):
    """A link's membership in a bridge.  ``hairpin``: frames may leave by the port that they came in by.

    ``deviations``: what somebody set that netlab leaves as a new port has it.
    """

    kind: ClassVar[str] = "port"
    floor: ClassVar[Floor] = Floor.PORT

    dev: str
    master: str
    hairpin: bool = False
    isolated: bool = False
    learning: bool = True
    deviations: tuple[Deviation, ...] = ()

    @property
    def name(self) -> str:
        return self.dev

    def _flags(self) -> str:
        flags = {
            "hairpin": (self.hairpin, False),
            "isolated": (self.isolated, False),
            "learning": (self.learning, True),
        }
        words = [f"{flag} {'on' if on else 'off'}" for flag, (on, default) in flags.items() if on != default]
        return " type bridge_slave " + " ".join(words) if words else ""

    def explain(self, *, exact: bool = False) -> str:
        return lines(
            (
                f"ip -n {self.netns} link set dev {self.dev} master {self.master}",
                f"ip -n {self.netns} link set dev {self.dev}{self._flags()}" if self._flags() else "",
            )
        )

    def undo(self) -> str:
        return f"ip -n {self.netns} link set dev {self.dev} nomaster"

    def amend(self, have: Obj) -> str | None:
        if not isinstance(have, Port) or have.master != self.master:
            return None
        words = [
            f"{flag} {'on' if getattr(self, flag) else 'off'}"
            for flag in ("hairpin", "isolated", "learning")
            if getattr(self, flag) != getattr(have, flag)
        ]
        flags = f"ip -n {self.netns} link set dev {self.dev} type bridge_slave " + " ".join(words)
        return lines((flags if words else "", *mended(self.netns, self.dev, have.deviations)))


@dataclass(frozen=True, slots=True)
class Link(Obj):
    """A link that is there and that no spec asked for: seen by ``diff`` as foreign, never made by netlab.

    ``type_`` is the kernel's kind (``dummy``, ``tun``, ...), empty for hardware.
    """

    kind: ClassVar[str] = "link"
    floor: ClassVar[Floor] = Floor.LINK

    dev: str
    type_: str = ""

    @property
    def name(self) -> str:
        return self.dev

    def explain(self, *, exact: bool = False) -> str:
        return f"ip -n {self.netns} link add {self.dev} type {self.type_}"

    def undo(self) -> str:
        return removal(self.netns, self.dev)


def ends(link: Obj) -> tuple[tuple[str, str], ...]:
    """Where a link has an end, as (namespace, name)."""
    own = (link.netns, link.name)
    return (own, (link.peer.netns, link.peer.name)) if isinstance(link, Veth) else (own,)


def settings(link: Obj | None) -> tuple[End, ...]:
    """The ends of a link that netlab makes, with their settings."""
    if isinstance(link, Veth):
        return link.end, link.peer
    return (link.end(),) if isinstance(link, Device) else ()


def namespaces(objects: Iterable[Obj]) -> set[str]:
    """The namespaces that the objects are in, both of a veth's."""
    names = set()
    for obj in objects:
        names |= {netns for netns, _ in ends(obj)} if obj.floor is Floor.LINK else {obj.netns}
    return names
