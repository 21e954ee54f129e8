"""Addresses, routes, neighbours and forwarding entries."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_interface
from typing import ClassVar

from netlab.objects.base import Floor, Obj


@dataclass(frozen=True, slots=True)
class Addr(Obj):
    """An address with its prefix length: ``10.244.1.1/24``.

    ``prefix_route``: the connected route that the kernel makes with it is there (somebody may have deleted it).
    ``peer``: the other end's CIDR, of a point-to-point address that somebody added; netlab makes none.

    IPv4 prefixes shorter than /31 get their broadcast address, as every CNI plugin's do; IPv6 addresses are added
    ``nodad``, since duplicate address detection would keep a Pod waiting for 1.4 s (measured; 4 ms without).
    """

    kind: ClassVar[str] = "addr"
    floor: ClassVar[Floor] = Floor.ADDR

    dev: str
    address: str
    scope: str = "global"
    prefix_route: bool = True
    peer: str = ""

    @property
    def name(self) -> str:
        return f"{self.dev} {self.address}" + (f" peer {self.peer}" if self.peer else "")

    @property
    def _words(self) -> str:
        return f"{self.address.partition('/')[0]} peer {self.peer}" if self.peer else self.address

    @property
    def broadcast(self) -> bool:
        """Whether the address is given a broadcast address."""
        return not self.peer and ":" not in self.address and int(self.address.partition("/")[2]) < 31

    def explain(self, *, exact: bool = False) -> str:
        extra = " nodad" if ":" in self.address else " brd +" if self.broadcast else ""
        scope = "" if self.scope == "global" else f" scope {self.scope}"
        plain = "" if self.prefix_route else " noprefixroute"
        return f"ip -n {self.netns} addr add {self._words}{extra}{scope}{plain} dev {self.dev}"

    def undo(self) -> str:
        return f"ip -n {self.netns} addr del {self._words} dev {self.dev}"

    def amend(self, have: Obj) -> str | None:
        if not isinstance(have, Addr) or have.scope != self.scope or not self.prefix_route:
            return None
        here = ip_interface(self.address)
        if here.version == 6:
            return f"ip -6 -n {self.netns} route replace {here.network} dev {self.dev} proto kernel metric 256"
        return f"ip -n {self.netns} route replace {here.network} dev {self.dev} proto kernel scope link src {here.ip}"


@dataclass(frozen=True, slots=True)
class Route(Obj):
    """A route of table main.  ``dst`` is a CIDR (``0.0.0.0/0`` for the default), ``type`` unicast or blackhole.

    ``proto`` is rtnetlink's number: 3 (boot) is what CNI plugins and flannel leave, and what iproute2 does not print.
    ``twin`` counts what somebody appended: further routes of the same destination and metric (IPv4 keeps them for
    other gateways, IPv6 for multipath).  netlab makes none.
    """

    kind: ClassVar[str] = "route"
    floor: ClassVar[Floor] = Floor.ROUTE

    dst: str
    via: str = ""
    dev: str = ""
    src: str = ""
    scope: str = "global"
    proto: int = 3
    onlink: bool = False
    type: str = "unicast"
    metric: int = 0
    twin: int = 0

    @property
    def name(self) -> str:
        metric = f" metric {self.metric}" if self.metric else ""
        return self.dst + metric + (f" #{self.twin + 1}" if self.twin else "")

    def _words(self) -> str:
        words = [] if self.type == "unicast" else [self.type]
        words.append("default" if self.dst in ("0.0.0.0/0", "::/0") else self.dst)
        words += [f"via {self.via}"] if self.via else []
        words += [f"dev {self.dev}"] if self.dev else []
        words += [f"proto {PROTOCOLS.get(self.proto, str(self.proto))}"] if self.proto != 3 else []
        words += (
            [f"scope {self.scope}"]
            if self.scope != ("global" if self.via or self.type != "unicast" else "link")
            else []
        )
        words += [f"src {self.src}"] if self.src else []
        words += [f"metric {self.metric}"] if self.metric else []
        words += ["onlink"] if self.onlink else []
        return " ".join(words)

    def _ip(self) -> str:
        return f"ip {'-6 ' if ':' in self.dst else ''}-n {self.netns} route"

    def explain(self, *, exact: bool = False) -> str:
        return f"{self._ip()} add {self._words()}"

    def undo(self) -> str:
        return f"{self._ip()} del {self._words()}"

    def amend(self, have: Obj) -> str | None:
        return f"{self._ip()} replace {self._words()}" if isinstance(have, Route) else None


PROTOCOLS = {2: "kernel", 3: "boot", 4: "static", 12: "bird"}  # the names of /etc/iproute2/rt_protos


@dataclass(frozen=True, slots=True)
class Neigh(Obj):
    """A permanent neighbour entry (those are not counted against the kernel's global limit of 1,024)."""

    kind: ClassVar[str] = "neigh"
    floor: ClassVar[Floor] = Floor.NEIGH

    dev: str
    address: str
    mac: str

    @property
    def name(self) -> str:
        return f"{self.dev} {self.address}"

    def explain(self, *, exact: bool = False) -> str:
        return f"ip -n {self.netns} neigh replace {self.address} lladdr {self.mac} dev {self.dev} nud permanent"

    def undo(self) -> str:
        return f"ip -n {self.netns} neigh del {self.address} dev {self.dev}"

    def amend(self, have: Obj) -> str | None:
        return self.explain() if isinstance(have, Neigh) else None


@dataclass(frozen=True, slots=True)
class Fdb(Obj):
    """A permanent forwarding entry of a VXLAN device: the MAC of a remote VTEP lives behind the outer address dst."""

    kind: ClassVar[str] = "fdb"
    floor: ClassVar[Floor] = Floor.NEIGH

    dev: str
    mac: str
    dst: str

    @property
    def name(self) -> str:
        return f"{self.dev} {self.mac} dst {self.dst}"

    def _args(self) -> str:
        return f"{self.mac} dev {self.dev} dst {self.dst} self"

    def explain(self, *, exact: bool = False) -> str:
        return f"bridge -n {self.netns} fdb append {self._args()} permanent"

    def undo(self) -> str:
        return f"bridge -n {self.netns} fdb del {self._args()}"
