"""Which codec writes and reads which class of objects."""

from __future__ import annotations

from typing import Any

from netlab.kernel.rtnetlink.address import AddressCodec
from netlab.kernel.rtnetlink.codec import Codec
from netlab.kernel.rtnetlink.device import DeviceCodec
from netlab.kernel.rtnetlink.fdb import FdbCodec
from netlab.kernel.rtnetlink.link import LinkCodec
from netlab.kernel.rtnetlink.neighbour import NeighbourCodec
from netlab.kernel.rtnetlink.port import PortCodec
from netlab.kernel.rtnetlink.qdisc import QdiscCodec
from netlab.kernel.rtnetlink.route import RouteCodec
from netlab.kernel.rtnetlink.rule import RuleCodec
from netlab.kernel.rtnetlink.tunnels import GeneveCodec, IpipCodec, WireGuardCodec
from netlab.kernel.rtnetlink.veth import VethCodec
from netlab.kernel.rtnetlink.vxlan import StitchCodec, VxlanCodec
from netlab.objects import Addr, Fdb, Geneve, Ipip, Neigh, Obj, Port, Qdisc, Route, Rule, Stitch, Veth, Vxlan, WireGuard
from netlab.objects.links import PLAIN

PORTS, ADDRESSES, ROUTES, NEIGHBOURS = PortCodec(), AddressCodec(), RouteCodec(), NeighbourCodec()
FDB, RULES, QDISCS = FdbCodec(), RuleCodec(), QdiscCodec()

codec_of: dict[type[Obj], Codec[Any] | PortCodec] = {Port: PORTS, Addr: ADDRESSES, Route: ROUTES, Neigh: NEIGHBOURS}
codec_of |= {Fdb: FDB, Rule: RULES, Qdisc: QDISCS}
link_codec_of: dict[type[Obj], LinkCodec] = {Veth: VethCodec(), Vxlan: VxlanCodec(), Stitch: StitchCodec()}
link_codec_of |= {Geneve: GeneveCodec(), Ipip: IpipCodec(), WireGuard: WireGuardCodec()}
link_codec_of |= {device: DeviceCodec(device) for device in PLAIN.values()}
LINK_KINDS = {codec.kind: codec for codec in link_codec_of.values()}
