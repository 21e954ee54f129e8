"""Services as the API server returns and kubectl prints them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from netlab.cli.kinds.kind import AGE, NAME, NONE, Column, Item, Kind, pairs
from netlab.cli.kinds.metadata import with_uids, written
from netlab.cli.kinds.request import Request
from netlab.cli.kinds.times import stamp

if TYPE_CHECKING:
    from netlab.model.cluster.services import Service

_SHOWN = 3  # endpoints that kubectl names before it only counts
_WIDTH = 26  # columns of a field's name


@with_uids
def services(request: Request) -> list[Item]:
    """All Services, netlab's own included."""
    running = request.running
    bodies = {(namespace, body["metadata"]["name"]): body for namespace, body in written(request, "Service", "")}
    return [
        _service(
            service,
            bodies.get((service.namespace, service.name), {}),
            running.born("Service", service.namespace, service.name),
        )
        for service in running.cluster.services
    ]


def _service(service: Service, body: dict[str, Any], since: float) -> Item:
    """A Service with everything that a cluster fills in."""
    spec = dict(body.get("spec", {}))
    if service.kind != "ExternalName":
        addresses = ["None"] if service.headless else [str(address) for address in service.cluster_ips]
        policy = "SingleStack" if len(service.families) == 1 else spec.get("ipFamilyPolicy", "PreferDualStack")
        spec |= {"clusterIP": addresses[0] if addresses else "", "clusterIPs": addresses}
        spec |= {"ipFamilies": list(service.families), "ipFamilyPolicy": policy}
        spec |= {"internalTrafficPolicy": "Local" if service.internal_local else "Cluster"}
    if service.external_facing:
        spec["externalTrafficPolicy"] = "Local" if service.external_local else "Cluster"
    if service.health_port:
        spec["healthCheckNodePort"] = service.health_port
    spec |= {"type": service.kind, "sessionAffinity": "ClientIP" if service.affinity else "None"}
    spec["ports"] = [
        {
            **({"name": port.name} if port.name else {}),
            "protocol": port.protocol,
            "port": port.port,
            "targetPort": port.target,
            **({"nodePort": port.node_port} if port.node_port else {}),
        }
        for port in service.ports
    ]
    if service.selector:
        spec["selector"] = dict(service.selector)
    ingress = [{"ip": str(address), "ipMode": "VIP"} for address in service.load_balancer_ips]
    own = {key: value for key, value in body.get("metadata", {}).items() if key != "creationTimestamp"}
    metadata = {"name": service.name, "namespace": service.namespace, "labels": dict(service.labels)} | own
    metadata["creationTimestamp"] = stamp(since)
    status = {"loadBalancer": {"ingress": ingress} if ingress else {}}
    return {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec, "status": status}


def _external(item: Item) -> str:
    spec = item["spec"]
    addresses = list(spec.get("externalIPs", []))
    if spec["type"] == "LoadBalancer":
        addresses = [ingress["ip"] for ingress in item["status"]["loadBalancer"].get("ingress", [])] + addresses
        addresses = addresses or ["<pending>"]
    elif spec["type"] == "ExternalName":
        addresses = [spec.get("externalName", "")]
    return ",".join(addresses) or NONE


def _ports(item: Item) -> str:
    return ",".join(
        f"{port['port']}{':' + str(port['nodePort']) if port.get('nodePort') else ''}/{port['protocol']}"
        for port in item["spec"]["ports"]
    )


def first_endpoints(endpoints: Sequence[str]) -> str:
    """``10.244.1.2:80,10.244.2.2:80 + 1 more...``."""
    more = f" + {len(endpoints) - _SHOWN} more..." if len(endpoints) > _SHOWN else ""
    return ",".join(endpoints[:_SHOWN]) + more


def endpoint(address: str, port: int) -> str:
    """An address and a port."""
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def _describe(request: Request, items: Sequence[Item]) -> Iterator[Iterable[str]]:
    services = {(service.namespace, service.name): service for service in request.running.cluster.services}
    for item in items:
        rows = _fields(services[item["metadata"]["namespace"], item["metadata"]["name"]], item)
        width = max(_WIDTH, *(len(name) + 2 for name, _ in rows))
        yield [f"{name + ':' if name else '':<{width}}{value}" for name, value in rows]


def _fields(service: Service, item: Item) -> list[tuple[str, str]]:
    spec = item["spec"]
    rows = [
        ("Name", service.name),
        ("Namespace", service.namespace),
        ("Labels", pairs(service.labels)),
        ("Annotations", pairs(item["metadata"].get("annotations"))),
        ("Selector", pairs(service.selector)),
        ("Type", service.kind),
    ]
    if service.kind == "ExternalName":
        return [*rows, ("External Name", service.external_name), ("Session Affinity", "None")]
    rows += [
        ("IP Family Policy", spec["ipFamilyPolicy"]),
        ("IP Families", ",".join(service.families)),
        ("IP", spec["clusterIP"] or NONE),
        ("IPs", ",".join(spec["clusterIPs"]) or NONE),
    ]
    if service.external_ips:
        rows.append(("External IPs", ",".join(map(str, service.external_ips))))
    if service.kind == "LoadBalancer":
        rows.append(("LoadBalancer Ingress", f"{_external(item)} (VIP)" if service.load_balancer_ips else "<pending>"))
    for index, port in enumerate(service.ports):
        rows += [("Port", f"{port.name or '<unset>'}  {port}"), ("TargetPort", f"{port.target}/{port.protocol}")]
        if port.node_port:
            rows.append(("NodePort", f"{port.name or '<unset>'}  {port.node_port}/{port.protocol}"))
        ready = [endpoint(str(backend.address), backend.ports[index]) for backend in service.ready
                 if backend.ports[index]]  # fmt: skip
        rows.append(("Endpoints", first_endpoints(ready)))
    optional = (
        ("Session Affinity", spec["sessionAffinity"]),
        ("Affinity Timeout", f"{service.affinity}s" if service.affinity else ""),
        ("External Traffic Policy", spec.get("externalTrafficPolicy", "") if service.external_facing else ""),
        ("Internal Traffic Policy", spec["internalTrafficPolicy"]),
        ("HealthCheck NodePort", str(service.health_port or "")),
        ("Source Ranges", ",".join(map(str, service.source_ranges))),
    )
    chains = [(("" if index else "Chains"), chain) for index, chain in enumerate(_chains(service))]
    return [*rows, *(row for row in optional if row[1]), *chains, ("Events", NONE)]


def _chains(service: Service) -> list[str]:
    """The chains of ``table ip kube-proxy`` for this Service: one a port."""
    from netlab.plan.services import port_name

    if service.headless or not service.serving:
        return []
    return [f"service-{port_name(service, port)}" for port in service.ports]


_COLUMNS = (
    NAME,
    Column("TYPE", lambda item: item["spec"]["type"]),
    Column("CLUSTER-IP", lambda item: item["spec"].get("clusterIP") or NONE),
    Column("EXTERNAL-IP", _external),
    Column("PORT(S)", lambda item: _ports(item) or NONE),
    AGE,
    Column("SELECTOR", lambda item: pairs(item["spec"].get("selector")), wide=True),
)
SERVICE = Kind("Service", "services", ("svc",), "", services, _COLUMNS, _describe)
