"""A lab on several machines: the file that says which nodes are where, and what must be so before a share is built."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Mapping
from typing import Any

import yaml

from netlab.errors import BadInput, HostCannot
from netlab.model import Cluster
from netlab.plan.share import OVERHEAD, PORT, Machine, Share

_IP_MTU, _IPV6_MTU = 14, 24
_VNIS = range(1, 1 << 24)


def read(text: str, file: str, here: str) -> Share:
    """The share of the machine ``here``.  Raises BadInput for a file that is no such list."""
    try:
        data = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise BadInput(f"{file}: {' '.join(str(error).split())}") from error
    if not isinstance(data, Mapping) or not isinstance(data.get("machines"), Mapping) or not data["machines"]:
        raise BadInput(f"{file}: `machines` is missing: a name, an address and nodes for each", hint="docs/beyond.md")
    if unknown := sorted(str(key) for key in data if key not in ("machines", "vni", "port")):
        raise BadInput(f"{file}: unknown: {', '.join(unknown)}; there are machines, vni and port")
    machines = tuple(_machine(f"{file}: machines.{name}", str(name), what) for name, what in data["machines"].items())
    families = {ipaddress.ip_address(machine.address).version for machine in machines}
    if len(families) > 1 or len({machine.address for machine in machines}) < len(machines):
        raise BadInput(f"{file}: the machines' addresses are of one family, and each one is another's")
    vni, port = data.get("vni"), data.get("port", PORT)
    if not isinstance(vni, int) or vni not in _VNIS:
        raise BadInput(f"{file}: vni: a number from 1 to {_VNIS[-1]}, drawn at random", hint="shuf -i 1-16777215 -n 1")
    if not isinstance(port, int) or not 0 < port < 65536:
        raise BadInput(f"{file}: port: a UDP port, the same on all machines")
    return Share(here, machines, vni, port)


def _machine(where: str, name: str, what: Any) -> Machine:
    if not isinstance(what, Mapping) or set(what) != {"address", "nodes"} or not isinstance(what["nodes"], list):
        raise BadInput(f"{where}: address and nodes, as {{address: 192.0.2.1, nodes: [node-1]}}")
    try:
        address = str(ipaddress.ip_address(str(what["address"])))
    except ValueError:
        raise BadInput(f"{where}.address: {what['address']} is no address") from None
    return Machine(name, address, tuple(map(str, what["nodes"])))


def require(share: Share, cluster: Cluster) -> None:
    """Raises HostCannot where the lab would be another one than on one machine: its packets do not fit the cut.

    The kernel would answer a packet that is too large with an error that claims to come from another node.
    """
    version = ipaddress.ip_address(share.own.address).version
    family = socket.AF_INET6 if version == 6 else socket.AF_INET
    largest = cluster.underlay.mtu + OVERHEAD[version]
    for machine in share.machines:
        if machine.name == share.here:
            continue
        with socket.socket(family, socket.SOCK_DGRAM) as sock:
            try:
                sock.bind((share.own.address, 0))
            except OSError as error:
                raise HostCannot(
                    f"{share.own.address} is no address of this machine ({error.strerror})", hint="--machine NAME"
                ) from error
            try:
                sock.connect((machine.address, share.port))
                level, option = (socket.IPPROTO_IPV6, _IPV6_MTU) if version == 6 else (socket.IPPROTO_IP, _IP_MTU)
                path = sock.getsockopt(level, option)
            except OSError as error:
                raise HostCannot(f"machine {machine.name}: {machine.address}: {error.strerror}") from error
        if path < largest:
            raise HostCannot(
                f"machine {machine.name}: the way to {machine.address} takes {path} bytes, and the lab's packets of "
                f"{cluster.underlay.mtu} need {largest} there",
                hint=f"spec.mtu: {path - OVERHEAD[version]}",
            )


def elsewhere(share: Share, cluster: Cluster, netns: str) -> Machine | None:
    """The machine of a namespace that is not on this one."""
    name = share.place(cluster).get(netns, share.here)
    return next((machine for machine in share.machines if machine.name == name != share.here), None)
