"""Addresses, routes, neighbours and forwarding entries."""

from __future__ import annotations

from dataclasses import field
from ipaddress import ip_interface
from typing import ClassVar

from netlab.objects.base import Floor, Obj, lines
from netlab.values import dataclass


@dataclass(frozen=True, slots=True)
class Addr(Obj):
    """An address with its prefix length: ``10.244.1.1/24``.

    ``prefix_route``: the connected route that the kernel makes with it is there (somebody may have deleted it).
    ``peer``: the other end's CIDR, of a point-to-point address that somebody added; netlab makes none.
    ``secondary``: an IPv4 address of the same subnet was there before it; the kernel removes it with that one.
    ``state``: what makes the kernel not use it: ``dadfailed`` or ``tentative`` (duplicate address detection),
    ``deprecated``, or ``dynamic``, which ends by itself.  ``lacks``: its own routes of table local (``local``,
    ``broadcast``) that somebody deleted.  netlab makes addresses without either.

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
    state: str = ""
    lacks: tuple[str, ...] = ()
    secondary: bool = field(default=False, compare=False)

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

    def routes(self, have: Addr) -> list[Route] | None:
        """The routes that mend ``have``; None where the address must be made anew (so must an IPv6 address without
        its local route, since ip-route cannot add one of metric 0).
        """
        own = ip_interface(self.address)
        if have.scope != self.scope or have.state or (have.lacks and own.version == 6):
            return None
        missing = []
        if self.prefix_route and not have.prefix_route:
            v6 = own.version == 6
            src, scope, metric = ("", "global", 256) if v6 else (str(own.ip), "link", 0)
            missing.append(Route(self.netns, str(own.network), "", self.dev, src, scope, _KERNEL, metric=metric))
        elif self.prefix_route != have.prefix_route:
            return None
        for type_ in have.lacks:
            dst, scope = (own.ip, "host") if type_ == "local" else (own.network.broadcast_address, "link")
            route = Route(self.netns, f"{dst}/32", "", self.dev, str(own.ip), scope, _KERNEL, type=type_, table=LOCAL)
            missing.append(route)
        return missing

    def amend(self, have: Obj) -> str | None:
        routes = self.routes(have) if isinstance(have, Addr) else None
        return lines(route.renewal() for route in routes) if routes is not None else None


MAIN, LOCAL = 254, 255  # the routing tables of these names
_TABLES = {MAIN: "main", 253: "default", LOCAL: "local"}


@dataclass(frozen=True, slots=True)
class Route(Obj):
    """A route of table main (another ``table`` is somebody's own).  ``dst`` is a CIDR (``0.0.0.0/0`` for the default), ``type`` unicast or blackhole.

    ``proto`` is rtnetlink's number: 3 (boot) is what CNI plugins and flannel leave, and what iproute2 does not print.
    ``duplicate`` counts what somebody appended: further routes of the same destination and metric (IPv4 keeps them for
    other gateways, IPv6 for multipath).  netlab makes none.  Nor does it set ``extra`` (``mtu 1300``, as ip-route
    has it) or ``tos``.
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
    duplicate: int = 0
    extra: str = ""
    tos: int = 0
    table: int = MAIN

    @property
    def name(self) -> str:
        metric = f" metric {self.metric}" if self.metric else ""
        tos = f" tos {self.tos:#x}" if self.tos else ""
        table = f" table {_TABLES.get(self.table, self.table)}" if self.table != MAIN else ""
        return self.dst + tos + metric + table + (f" #{self.duplicate + 1}" if self.duplicate else "")

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
        words += [f"tos {self.tos:#x}"] if self.tos else []
        # Told of the others too where ip-route would take table local.
        words += (
            [f"table {_TABLES.get(self.table, self.table)}"]
            if self.table != MAIN or self.type in ("local", "broadcast")
            else []
        )
        words += [f"metric {self.metric}"] if self.metric else []
        words += ["onlink"] if self.onlink else []
        words += [self.extra] if self.extra else []
        return " ".join(words)

    def _ip(self) -> str:
        return f"ip {'-6 ' if ':' in self.dst else ''}-n {self.netns} route"

    def explain(self, *, exact: bool = False) -> str:
        return f"{self._ip()} add {self._words()}"

    def undo(self) -> str:
        return f"{self._ip()} del {self._words()}"

    def renewal(self) -> str:
        """The shell line that makes it, whatever route of its destination and metric is there."""
        return f"{self._ip()} replace {self._words()}"

    def amend(self, have: Obj) -> str | None:
        return self.renewal() if isinstance(have, Route) else None


_KERNEL = 2
PROTOCOLS = {_KERNEL: "kernel", 3: "boot", 4: "static", 12: "bird"}  # the names of /etc/iproute2/rt_protos


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
    """A permanent forwarding entry of a VXLAN device: the MAC of a remote VTEP lives behind the outer address dst.

    ``extra``: what somebody added to one (``port 4790``).  Without ``dst`` it is an entry of a bridge, which netlab
    makes none of: the MAC is behind the port ``dev``, or where ``own`` the bridge's itself.
    """

    kind: ClassVar[str] = "fdb"
    floor: ClassVar[Floor] = Floor.NEIGH

    dev: str
    mac: str
    dst: str = ""
    extra: str = ""
    state: str = "permanent"
    vlan: int = 0
    own: bool = False

    @property
    def name(self) -> str:
        words = f" dst {self.dst}" if self.dst else ""
        words += f" vlan {self.vlan}" if self.vlan else ""
        return f"{self.dev} {self.mac}{words}" + (f" {self.extra}" if self.extra else "")

    def _args(self) -> str:
        words = f" dst {self.dst}" if self.dst else ""
        words += f" {self.extra}" if self.extra else ""
        words += f" vlan {self.vlan}" if self.vlan else ""
        return f"{self.mac} dev {self.dev}{words} {'self' if self.dst or self.own else 'master'}"

    def explain(self, *, exact: bool = False) -> str:
        return f"bridge -n {self.netns} fdb append {self._args()} {self.state}"

    def undo(self) -> str:
        return f"bridge -n {self.netns} fdb del {self._args()}"
