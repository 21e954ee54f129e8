"""The features of this kernel, tested in a scratch namespace, never derived from its version."""

from __future__ import annotations

import os

from netlab.kernel.host import netns as ns
from netlab.kernel.rtnetlink import qdisc, tunnels, vxlan
from netlab.kernel.rtnetlink.codec import Request
from netlab.kernel.rtnetlink.link import identity
from netlab.kernel.rtnetlink.socket import CREATE, EXCL, NetlinkSocket, attr, attr_str, attr_u8, attr_u32
from netlab.kernel.rtnetlink.values import IFLA_LINKINFO, INFO_DATA, INFO_KIND, NEWLINK
from netlab.names import mac
from netlab.objects.links import End
from netlab.tuples import NamedTuple

VLAN_FILTERING = "vlan filtering"  # of a bridge
_ETHERNETS = ("veth", "bridge", "vxlan", "geneve")  # kinds of links that have a MAC address
_BR_VLAN_FILTERING, _VRF_TABLE = 7, 1


class Tried(NamedTuple):
    """``netns``: the errno of making a namespace, None where it works; ``missing``: kinds of links and qdiscs and their errno."""

    netns: int | None
    missing: dict[str, int]
    br_netfilter: bool


def tries(features: tuple[str, ...], qdiscs: tuple[str, ...] = ()) -> Tried:
    """Try to make a namespace and, in it, a link and a qdisc of each kind."""
    return ns.aside(lambda: _try(features, qdiscs))


def _try(features: tuple[str, ...], qdiscs: tuple[str, ...]) -> Tried:
    try:
        ns.unshare_net()
    except OSError as error:
        return Tried(error.errno, {}, False)
    with NetlinkSocket() as socket:
        missing = {}
        for feature, request in requests(features, qdiscs).items():
            refused = socket.batch(request)
            if refused:
                missing[feature] = refused[0].errno
    return Tried(None, missing, os.path.exists("/proc/sys/net/bridge/bridge-nf-call-iptables"))


def requests(features: tuple[str, ...], qdiscs: tuple[str, ...] = ()) -> dict[str, list[Request]]:
    """The requests that make a link and a qdisc of each kind, in a namespace that has none of them yet."""
    made = {feature: [_link(feature, f"try{number}")] for number, feature in enumerate(features)}
    return made | {kind: qdisc.trial(kind) for kind in qdiscs}


def _link(kind: str, name: str) -> Request:
    data = b""
    if kind == VLAN_FILTERING:
        kind, data = "bridge", attr(INFO_DATA, attr_u8(_BR_VLAN_FILTERING, 1))
    if kind == "vrf":
        data = attr(INFO_DATA, attr_u32(_VRF_TABLE, 1))
    if kind == "vxlan":
        data = attr(INFO_DATA, attr_u32(vxlan.ID, 1) + attr(vxlan.PORT, (4789).to_bytes(2, "big")))
    if kind == "ipip":  # without an address it would be the module's own fallback device once more
        data = attr(INFO_DATA, attr(tunnels.IPTUN_LOCAL, b"\x7f\0\0\1"))
    if kind == "geneve":
        data = attr(INFO_DATA, attr_u32(tunnels.GENEVE_ID, 1) + attr(tunnels.GENEVE_REMOTE, b"\x7f\0\0\1"))
    body = identity(End("", name, mac(1, 1) if kind in _ETHERNETS else ""), 0, mtu=False)
    return NEWLINK, CREATE | EXCL, body + attr(IFLA_LINKINFO, attr_str(INFO_KIND, kind) + data)
