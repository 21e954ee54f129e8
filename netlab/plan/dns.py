"""The cluster's DNS zones, as zone files: what CoreDNS computes from the API, as the Kubernetes DNS specification names it.

``cluster.local`` holds the names of Services, their ports, their backends and of Pods; ``in-addr.arpa`` and
``ip6.arpa`` the way back; ``.`` all other names of the lab's world: the hosts outside, by their names.

``pod`` names (1-2-3-4.ns.pod.cluster.local) have any address in them, as with kubeadm's ``pods insecure``: Knot makes the
answers up (mod-synthrecord), in a zone for each namespace that there is, so that other namespaces' are NXDOMAIN.

Limits.  A name outside that nobody in the lab has is NXDOMAIN, as the world says it of a name that it does not have: a
cluster that cannot reach the world says SERVFAIL.  An ExternalName that leads to no host of the lab is answered by its
CNAME alone.  Labels before a ``pod`` name's address do not make it NXDOMAIN.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Mapping
from ipaddress import IPv4Address

from netlab import escape
from netlab.memo import Latest, Memo, Session
from netlab.model import Address, Cluster, Pod
from netlab.model.cluster.services import EXTERNAL_NAME, Backend, Service, ServicePort
from netlab.model.services.system import (
    DOMAIN,
    NAMESPACE,
    POD,
    PODS_FILE,
    SERVICE,
    ZONES_FILE,
    pods_zone,
    zone_file,
)
from netlab.objects import File, Obj
from netlab.plan.why import pod_why

TTL = 30  # seconds; kubeadm's
_VERSION_TTL = 28800
_VERSION = "1.1.0"  # of the Kubernetes DNS specification


def server_pod(cluster: Cluster) -> Pod | None:
    """The Pod in which the server runs; None where the lab has no DNS."""
    if not cluster.dns:
        return None
    return next((pod for pod in cluster.pods if pod.system and (pod.namespace, pod.name) == (NAMESPACE, POD)), None)


def server_addresses(cluster: Cluster) -> tuple[str, ...]:
    """The cluster addresses of kube-dns; empty where the lab has no DNS."""
    if not cluster.dns:
        return ()
    return tuple(
        str(address)
        for service in cluster.services
        if (service.namespace, service.name) == (NAMESPACE, SERVICE)
        for address in service.cluster_ips
    )


def objects(cluster: Cluster, session: Session) -> Iterator[Obj]:
    """The zones as files of the server's Pod; ``runtime.dns`` hands them to the server, which takes them as it runs."""
    pod = server_pod(cluster)
    if pod is not None:
        for name, text in server_files(cluster, session).items():
            yield File(pod.netns, name, text, why=pod_why(pod))


def server_files(cluster: Cluster, session: Session) -> dict[str, str]:
    """All that the server reads, by file: its zones, the zone that those of Pods' names share, and which these are.

    A change asks twice: for what the files should be, and for what the server should be given.
    """
    return session.of(_Cache).files(cluster)


class _Cache:
    """The files of the last few clusters, and the records of every Service that stays."""

    def __init__(self) -> None:
        self.files = Latest(self._files)
        self._records = Memo(_of_service).all

    def _files(self, cluster: Cluster) -> dict[str, str]:
        return _files(cluster, zones(cluster, self._records(cluster.services)))


def _files(cluster: Cluster, of_zones: Mapping[str, str]) -> dict[str, str]:
    files = {zone_file(zone): text for zone, text in of_zones.items()}
    files[PODS_FILE] = f"$TTL {TTL}\n{_head(1)}"
    module = "mod-synthrecord:\n  - id: pods\n    type: forward\n" + f"    ttl: {TTL}\n"
    listed = f'  - domain: "{DOMAIN}"\n    file: "{zone_file(DOMAIN)}"\n' if zone_file(DOMAIN) in files else ""
    listed += "".join(
        f'  - domain: "{pods_zone(namespace)}"\n    file: "{PODS_FILE}"\n    module: mod-synthrecord/pods\n'
        for namespace in namespaces(cluster)
    )
    files[ZONES_FILE] = f'{module}    network: [ "0.0.0.0/0", "::/0" ]\nzone:\n{listed}'
    return files


_Records = tuple[dict[str, None], dict[str, None]]  # the names and the pointers of a Service, in order


def namespaces(cluster: Cluster) -> list[str]:
    """The namespaces of the cluster and of its Services."""
    return sorted({*cluster.namespaces, *(service.namespace for service in cluster.services)})


def zones(cluster: Cluster, records: Iterable[_Records]) -> dict[str, str]:
    """The zone files by zone.

    Knot follows a CNAME within one zone.  Where an ExternalName leads to a host outside, the cluster's names are part of
    the root's zone, so that a program gets the address with it.
    """
    forward: dict[str, None] = {}
    backward: dict[str, None] = {}
    for names, pointers in records:
        forward.update(names)
        backward.update(pointers)
    forward[f'dns-version {_VERSION_TTL} TXT "{_VERSION}"'] = None
    servers = server_addresses(cluster)
    for server in servers:
        forward[_address("ns.dns", server)] = None
    outside = [_address(f"{host.name}.", address.ip) for host in cluster.external for address in host.addresses]
    lines = {
        DOMAIN: list(forward),
        "in-addr.arpa": [record for record in backward if ".in-addr.arpa." in record],
        "ip6.arpa": [record for record in backward if ".ip6.arpa." in record],
        ".": outside,
    }
    hosts = {host.name for host in cluster.external}
    if any(service.external_name in hosts for service in cluster.services):
        lines["."] += [f"$ORIGIN {DOMAIN}.", *lines.pop(DOMAIN)]
    return {zone: _file(zone, body) for zone, body in lines.items()}


def _file(zone: str, lines: list[str]) -> str:
    """A whole file.  The serial number is of the contents: nobody transfers these zones, so it need not grow."""
    body = "\n".join(lines)
    origin = zone if zone == "." else f"{zone}."
    serial = zlib.crc32(body.encode())
    return f"$ORIGIN {origin}\n$TTL {TTL}\n{_head(serial)}{body}{chr(10) if body else ''}"


def _head(serial: int) -> str:
    # An answer of "no such name" is kept for the last number, in seconds.
    soa = f"@ SOA ns.dns.{DOMAIN}. hostmaster.{DOMAIN}. {serial} 7200 1800 86400 {TTL}"
    return f"{soa}\n@ NS ns.dns.{DOMAIN}.\n"


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
        yield f"{name} CNAME {escape.zone(service.external_name)}."
        return
    for address in service.cluster_ips if not service.headless else ():
        yield _address(name, address)
    for backend in service.ready:
        if service.headless:
            yield _address(name, backend.address)
        yield _address(f"{_label(backend)}.{name}", backend.address)
    for index, port in enumerate(service.ports):
        if port.name:
            yield from _srv(service, name, index, port)


def _of_service(service: Service) -> _Records:
    return dict.fromkeys(_service(service)), dict.fromkeys(_reverse(service))


def _srv(service: Service, name: str, index: int, port: ServicePort) -> Iterator[str]:
    owner = f"_{port.name}._{port.protocol.lower()}.{name}"
    if not service.headless:
        yield f"{owner} SRV 0 100 {port.port} {name}"
        return
    targets = dict.fromkeys(
        (_label(backend), backend.ports[index]) for backend in service.ready if backend.ports[index]
    )
    for label, number in targets:
        yield f"{owner} SRV 0 {max(1, 100 // len(targets))} {number} {label}.{name}"


def _reverse(service: Service) -> Iterable[str]:
    name = f"{_domain(service)}.{DOMAIN}."
    if not service.headless:
        for address in service.cluster_ips:
            yield _pointer(address, name)
    for backend in service.ready:
        yield _pointer(backend.address, f"{_label(backend)}.{name}")


def _pointer(address: Address, name: str) -> str:
    if isinstance(address, IPv4Address):
        first, second, third, fourth = str(address).split(".")
        return f"{fourth}.{third}.{second}.{first}.in-addr.arpa. PTR {name}"
    return f"{address.reverse_pointer}. PTR {name}"
