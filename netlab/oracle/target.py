"""One flow from what is typed: ``trace client web:80``, ``trace node-1 10.96.0.10:53/UDP``, ``trace client node-2``.

The words are those of ``oracle.selectors``, the same as in ``expect.yaml``; one flow is followed, so one end is meant.
"""

from __future__ import annotations

from ipaddress import ip_address

from netlab.errors import BadInput
from netlab.model.cluster import Cluster, Pod
from netlab.oracle.endpoints import Endpoints
from netlab.oracle.flow import ADDRESS, EXTERNAL, NODE, POD, SERVICE, Endpoint, Flow
from netlab.oracle.flows import named, parse_port
from netlab.oracle.names import is_for_dns
from netlab.oracle.reachable import PortWish
from netlab.oracle.selectors import Selector
from netlab.tuples import NamedTuple

ICMP = "ICMP"


class Asked(NamedTuple):
    """A flow to follow; its protocol can be ICMP, with port 0.

    ``answers``: the ports that its answer may come from; ``note``: what the reader should know, "" for nothing.
    """

    flow: Flow
    answers: tuple[int, ...] = ()
    note: str = ""


def asked(
    cluster: Cluster, client: str, target: str, namespace: str = "default", *, icmp: bool = False, version: int = 0
) -> Asked:
    """The flow of a command line.  ``version``: 4 or 6, 0 for the first family that both ends have.

    Without a port: the first that the target serves, ICMP where it serves none.  Raises BadInput.
    """
    endpoints = Endpoints(cluster)
    name, wanted = split(target)
    source, _ = _end(endpoints, client, namespace)
    if not source.netns:
        raise BadInput(f"{client} cannot send a packet: it has no network namespace")
    destination, note = _end(endpoints, name, namespace, endpoints.client([source]))
    if source.kind == EXTERNAL and destination.kind == SERVICE:
        destination, note = _from_outside(endpoints, destination, note)
    address = _address(source, destination, version)
    _one_host(address)
    source, destination = _whole(endpoints, source), _whole(endpoints, destination)
    if icmp or wanted.upper().lstrip("/") == ICMP:
        return Asked(Flow.to(source, destination, address, 0, ICMP), (), note)
    if wanted:
        port, protocol = _port(endpoints, destination, wanted)
    else:
        served = [port for port in endpoints.ports(destination) if port[1] != "SCTP"]
        port, protocol = served[0] if served else (0, ICMP)
    if protocol == "SCTP":
        raise BadInput("SCTP cannot be traced: TCP, UDP and ICMP can")
    flow = Flow.to(source, destination, address, port, protocol)
    return Asked(flow, _answers(endpoints, flow), note)


class Name(NamedTuple):
    """A DNS name that a Pod is to look up, and the port after it."""

    pod: Pod
    name: str
    port: str


def looked_up(cluster: Cluster, client: str, target: str, namespace: str) -> Name | None:
    """The name that the client must look up before it can send; None of a target that needs no DNS."""
    endpoints = Endpoints(cluster)
    name, port = split(target)
    try:
        selector = Selector.parse(name, namespace)
        source, _ = _end(endpoints, client, namespace)
    except (ValueError, BadInput):
        return None  # ``asked`` says what is wrong
    pod = endpoints.client([source])
    if pod is None or selector.kind != "name" or "/" in name or not is_for_dns(endpoints, namespace, selector.name):
        return None
    return Name(pod, name, port)


def split(target: str) -> tuple[str, str]:
    """The target and its port: ``web:80``, ``10.244.1.2:53/UDP``, ``[fd00::2]:80``; an IPv6 address alone has no port."""
    if target.startswith("["):
        address, _, port = target[1:].partition("]")
        return address, port.removeprefix(":")
    if target.count(":") != 1:
        return target, ""
    name, _, port = target.partition(":")
    return name, port


def _end(endpoints: Endpoints, text: str, namespace: str, client: Pod | None = None) -> tuple[Endpoint, str]:
    """The single end that a word means, and a note on what was chosen.  Raises BadInput."""
    try:
        selector = Selector.parse(text, namespace)
        ends, note = selector.meant(endpoints, client)
    except ValueError as error:
        raise BadInput(str(error)) from None
    if len(ends) > 1 and selector.kind in ("cidr", "labels"):
        raise BadInput(f"{text} means {len(ends)} ends: name one, for example {ends[0].end.name}")
    end = ends[0].end
    if ends[0].behind and len(ends) > 1:
        note += f", and this packet goes to the first, {end.name}"
    # an address is asked as it is, and not the first one of whoever has it
    return end._replace(addresses=ends[0].addresses) if selector.kind == "cidr" else end, note


def _whole(endpoints: Endpoints, end: Endpoint) -> Endpoint:
    """An end with all its addresses in their own order."""
    kinds = {POD: endpoints.pods, NODE: endpoints.nodes, SERVICE: endpoints.services, EXTERNAL: endpoints.external}
    return kinds.get(end.kind, {}).get(end.name, end)


def _from_outside(endpoints: Endpoints, destination: Endpoint, note: str) -> tuple[Endpoint, str]:
    """A Service as hosts outside see it: its load balancer's or external addresses come first."""
    service = endpoints.service_of[destination.name]
    outside = tuple(map(str, service.outside_ips))
    if outside:
        return destination._replace(addresses=(*outside, *destination.addresses)), note
    port = next((port.node_port for port in service.ports if port.node_port), 0)
    node = next(iter(endpoints.nodes), "")
    return destination, f"hosts outside do not reach a cluster address; use {node}:{port}" if port else note


def _address(source: Endpoint, destination: Endpoint, version: int) -> str:
    has = {":" in address for address in source.addresses}
    fits = [address for address in destination.addresses if (":" in address) in has]
    if version:
        fits = [address for address in fits if (":" in address) == (version == 6)]
    if fits:
        return fits[0]
    family = f"IPv{version}" if version else "family"
    raise BadInput(f"{source.name} and {destination.name} have no {family} address in common"
                   if version else f"{source.name} and {destination.name} have no address family in common")  # fmt: skip


def _one_host(address: str) -> None:
    """Refuse addresses of many hosts or of none: a packet is followed to one host."""
    parsed = ip_address(address)
    noun = "a multicast address" if parsed.is_multicast else "no host's address" if parsed.is_unspecified else ""
    noun = "a broadcast address" if address == "255.255.255.255" else noun
    if noun:
        raise BadInput(f"{address} is {noun}: name a Pod, a Service, a node, a host outside or its address")


def _port(endpoints: Endpoints, destination: Endpoint, text: str) -> tuple[int, str]:
    try:
        wish: PortWish = parse_port(text)
    except ValueError as error:
        raise BadInput(str(error)) from None
    if wish.number:
        if "/" not in text:  # 53 alone: what is served there, TCP if nothing is
            served = [protocol for port, protocol in endpoints.ports(destination) if port == wish.number]
            return wish.number, served[0] if served and "TCP" not in served else wish.protocol
        return wish.number, wish.protocol
    ports = named(endpoints, destination, wish)
    if not ports and "/" not in text:
        ports = named(endpoints, destination, wish._replace(protocol="UDP"))
    if not ports:
        raise BadInput(f"{destination.name} has no port named {wish.name!r}")
    return ports[0]


def _answers(endpoints: Endpoints, flow: Flow) -> tuple[int, ...]:
    """The ports that an answer may come from: those behind a Service, a node port or a host port too."""
    ports = {flow.port}
    for service in endpoints.service_of.values():
        for index, port in enumerate(service.ports):
            if port.protocol == flow.protocol and flow.port in (port.port, port.node_port):
                ports |= {backend.ports[index] for backend in service.serving if backend.ports[index]}
    behind = endpoints.behind(flow) if flow.dst.kind in (NODE, POD, SERVICE, ADDRESS) else None
    return tuple(sorted(ports | ({behind.port} if behind else set())))
