"""The cluster's DNS zones, as zone files: what CoreDNS computes from the API, as the Kubernetes DNS specification names it.

``cluster.local`` holds the names of Services, their ports, their backends and of Pods; ``in-addr.arpa`` and
``ip6.arpa`` the way back; ``.`` all other names of the lab's world: the hosts outside, by their names.

Limits.  ``pod`` names (1-2-3-4.ns.pod.cluster.local) exist for Pods that exist (CoreDNS's ``pods verified``; kubeadm's
``insecure`` answers for any address).  A name outside that nobody has is NXDOMAIN, where a real cluster would ask the
world.  An ExternalName that leads out of cluster.local is answered by its CNAME alone.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address

from netlab.model import Address, Cluster, Pod
from netlab.model.services_system import NAMESPACE, POD, SERVICE, ZONES, zone_file
from netlab.model.services_types import EXTERNAL_NAME, Backend, Service, ServicePort
from netlab.objects import File, Obj
from netlab.plan.why import pod_why

DOMAIN = "cluster.local"
TTL = 30  # seconds; kubeadm's
_VERSION_TTL = 28800
_VERSION = "1.1.0"  # of the Kubernetes DNS specification


def server_pod(cluster: Cluster) -> Pod | None:
    """The Pod in which the server runs; None where the lab has no DNS."""
    if not cluster.dns:
        return None
    return next((pod for pod in cluster.pods if pod.system and (pod.namespace, pod.name) == (NAMESPACE, POD)), None)


def server_addresses(cluster: Cluster) -> tuple[str, ...]:
    """What Pods ask: kube-dns's cluster addresses; empty where the lab has no DNS."""
    if not cluster.dns:
        return ()
    return tuple(
        str(address)
        for service in cluster.services
        if (service.namespace, service.name) == (NAMESPACE, SERVICE)
        for address in service.cluster_ips
    )


def objects(cluster: Cluster) -> Iterator[Obj]:
    """The zones as files of the server's Pod; ``runtime.dns`` hands them to the server, which takes them as it runs."""
    pod = server_pod(cluster)
    if pod is not None:
        for zone, text in zones(cluster).items():
            yield File(pod.netns, zone_file(zone), text, why=pod_why(pod))


def zones(cluster: Cluster) -> dict[str, str]:
    """The zone files by zone."""
    forward: dict[str, None] = {}
    backward: dict[str, None] = {}
    for service in cluster.services:
        for line in _service(service):
            forward[line] = None
        for line in _reverse(service):
            backward[line] = None
    for pod in cluster.pods:
        for address in pod.addresses:
            forward[_address(f"{dashed(address.ip)}.{pod.namespace}.pod", address.ip)] = None
    forward[f'dns-version {_VERSION_TTL} TXT "{_VERSION}"'] = None
    servers = server_addresses(cluster)
    for server in servers:
        forward[_address("ns.dns", server)] = None
    outside = [_address(f"{host.name}.", one.ip) for host in cluster.external for one in host.addresses]
    lines = {
        DOMAIN: list(forward),
        "in-addr.arpa": [one for one in backward if ".in-addr.arpa." in one],
        "ip6.arpa": [one for one in backward if ".ip6.arpa." in one],
        ".": outside,
    }
    return {zone: _file(zone, lines[zone]) for zone in ZONES}


def _file(zone: str, lines: list[str]) -> str:
    """A whole file.  The serial number is of the contents: nobody transfers these zones, so it need not grow."""
    body = "\n".join(lines)
    origin = zone if zone == "." else f"{zone}."
    serial = zlib.crc32(body.encode())
    # An answer of "no such name" is kept for the last number, in seconds.
    soa = f"@ SOA ns.dns.{DOMAIN}. hostmaster.{DOMAIN}. {serial} 7200 1800 86400 {TTL}"
    return f"$ORIGIN {origin}\n$TTL {TTL}\n{soa}\n@ NS ns.dns.{DOMAIN}.\n{body}{chr(10) if body else ''}"


def dashed(address: Address) -> str:
    """``10-244-1-5``: an address as a label."""
    return str(address).replace(".", "-").replace(":", "-")


def _address(name: str, address: Address | str) -> str:
    return f"{name} {'AAAA' if ':' in str(address) else 'A'} {address}"


def _domain(service: Service) -> str:
    return f"{service.name}.{service.namespace}.svc"


def _label(backend: Backend) -> str:
    """A backend's own label: its hostname where it has one of this Service, else its address."""
    return backend.hostname or dashed(backend.address)


def _service(service: Service) -> Iterator[str]:
    name = _domain(service)
    if service.kind == EXTERNAL_NAME:
        yield f"{name} CNAME {service.external_name}."
        return
    for address in service.cluster_ips if not service.headless else ():
        yield _address(name, address)
    for backend in service.serving:
        if service.headless:
            yield _address(name, backend.address)
        yield _address(f"{_label(backend)}.{name}", backend.address)
    for place, port in enumerate(service.ports):
        if port.name:
            yield from _srv(service, name, place, port)


def _srv(service: Service, name: str, place: int, port: ServicePort) -> Iterator[str]:
    owner = f"_{port.name}._{port.protocol.lower()}.{name}"
    if not service.headless:
        yield f"{owner} SRV 0 100 {port.port} {name}"
        return
    targets = dict.fromkeys((_label(one), one.ports[place]) for one in service.serving if one.ports[place])
    for label, number in targets:
        yield f"{owner} SRV 0 {max(1, 100 // len(targets))} {number} {label}.{name}"


def _reverse(service: Service) -> Iterable[str]:
    name = f"{_domain(service)}.{DOMAIN}."
    if not service.headless:
        for address in service.cluster_ips:
            yield _pointer(address, name)
    for backend in service.serving:
        yield _pointer(backend.address, f"{_label(backend)}.{name}")


def _pointer(address: Address, name: str) -> str:
    if isinstance(address, IPv4Address):
        one, two, three, four = str(address).split(".")
        return f"{four}.{three}.{two}.{one}.in-addr.arpa. PTR {name}"
    return f"{address.reverse_pointer}. PTR {name}"
