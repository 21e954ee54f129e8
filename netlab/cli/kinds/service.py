"""Services and what stands behind them, as the API server returns and kubectl prints them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from netlab.cli.kinds.podstatus import stamp
from netlab.names import short_hash

if TYPE_CHECKING:
    from netlab.model import Cluster
    from netlab.model.services_types import Backend, Service
    from netlab.spec import Document

Item = dict[str, Any]
_SHOWN = 3  # endpoints that kubectl's table names before it only counts
_WIDTH = 26


def services(cluster: Cluster, since: float, objects: Sequence[Document]) -> list[Item]:
    """All Services, netlab's own included."""
    bodies = {(one.namespace, one.name): one.body for one in objects if (one.kind, one.group) == ("Service", "")}
    return [service(one, bodies.get((one.namespace, one.name), {}), since) for one in cluster.services]


def service(one: Service, body: dict[str, Any], since: float) -> Item:
    """A Service with everything that a cluster fills in."""
    spec = dict(body.get("spec", {}))
    if one.kind != "ExternalName":
        addresses = ["None"] if one.headless else [str(address) for address in one.cluster_ips]
        policy = "SingleStack" if len(one.families) == 1 else spec.get("ipFamilyPolicy", "PreferDualStack")
        spec |= {"clusterIP": addresses[0] if addresses else "", "clusterIPs": addresses}
        spec |= {"ipFamilies": list(one.families), "ipFamilyPolicy": policy}
        spec |= {"internalTrafficPolicy": "Local" if one.internal_local else "Cluster"}
    if one.external_facing:
        spec["externalTrafficPolicy"] = "Local" if one.external_local else "Cluster"
    spec |= {"type": one.kind, "sessionAffinity": "ClientIP" if one.affinity else "None"}
    spec["ports"] = [
        {
            **({"name": port.name} if port.name else {}),
            "protocol": port.protocol,
            "port": port.port,
            "targetPort": port.target,
            **({"nodePort": port.node_port} if port.node_port else {}),
        }
        for port in one.ports
    ]
    if one.selector:
        spec["selector"] = dict(one.selector)
    ingress = [{"ip": str(address), "ipMode": "VIP"} for address in one.load_balancer_ips]
    written = {key: value for key, value in body.get("metadata", {}).items() if key != "creationTimestamp"}
    metadata = {"name": one.name, "namespace": one.namespace, "labels": dict(one.labels)} | written
    metadata["creationTimestamp"] = stamp(since)
    status = {"loadBalancer": {"ingress": ingress} if ingress else {}}
    return {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec, "status": status}


def endpoints(cluster: Cluster, since: float, objects: Sequence[Document]) -> list[Item]:
    """An Endpoints object a Service with a selector, of its first family, as the API has it; and those that are written."""
    selecting = [one for one in cluster.services if one.kind != "ExternalName" and one.selector]
    names = {(one.namespace, one.name) for one in selecting}
    written = [one for one in objects if one.kind == "Endpoints" and (one.namespace, one.name) not in names]
    found = [_stamped({"subsets": []} | one.body, one.namespace, since) for one in written]
    for one in selecting:
        version = 6 if one.families[0] == "IPv6" else 4
        groups: dict[tuple[int, ...], list[Backend]] = {}
        for backend in one.backends:
            if backend.address.version == version and not backend.given:
                groups.setdefault(backend.ports, []).append(backend)
        subsets = []
        for numbers, group in groups.items():
            subset: Item = {}
            ready = [_address(each) for each in group if one.counts_ready(each)]
            waiting = [_address(each) for each in group if not (one.counts_ready(each) or each.terminating)]
            subset |= {"addresses": ready} if ready else {}
            subset |= {"notReadyAddresses": waiting} if waiting else {}
            subset["ports"] = _ports(one, numbers)
            subsets.append(subset)
        metadata = {"name": one.name, "namespace": one.namespace, "labels": dict(one.labels)}
        metadata["creationTimestamp"] = stamp(since)
        found.append({"apiVersion": "v1", "kind": "Endpoints", "metadata": metadata, "subsets": subsets})
    return found


def slices(cluster: Cluster, since: float, objects: Sequence[Document]) -> list[Item]:
    """An EndpointSlice a Service with a selector and family, those that are written, and those that mirror Endpoints."""
    from netlab.model.services_mirror import SERVICE_LABEL
    from netlab.model.services_mirror import behind as documents

    filled: Item = {"endpoints": [], "ports": []}
    found = [_stamped(filled | one.body, one.namespace, since) for one in documents(objects).slices]
    for one in cluster.services:
        if one.kind == "ExternalName" or not (one.selector or one.system):
            continue
        for family in one.families:
            behind = [each for each in one.backends if f"IPv{each.address.version}" == family and not each.given]
            groups: dict[tuple[int, ...], list[Item]] = {}
            for each in behind:
                conditions = {"ready": one.counts_ready(each), "serving": each.serving, "terminating": each.terminating}
                entry: Item = {"addresses": [str(each.address)], "conditions": conditions}
                entry |= {"hostname": each.hostname} if each.hostname else {}
                entry |= {"nodeName": each.node} if each.node else {}
                entry |= {"zone": each.zone} if each.zone else {}
                entry |= {"hints": hints} if (hints := _hints(each)) else {}
                entry |= {"targetRef": _ref(each)} if each.pod else {}
                groups.setdefault(each.ports, []).append(entry)
            for numbers, entries in (groups or {(): []}).items():
                name = f"{one.name}-{short_hash(f'{one} {family} {numbers}', 5)}"
                metadata = {
                    "name": name,
                    "namespace": one.namespace,
                    "labels": {**one.labels, SERVICE_LABEL: one.name},
                    "creationTimestamp": stamp(since),
                }
                found.append(
                    {
                        "apiVersion": "discovery.k8s.io/v1",
                        "kind": "EndpointSlice",
                        "metadata": metadata,
                        "addressType": family,
                        "endpoints": entries,
                        "ports": _ports(one, numbers),
                    }
                )
    return found


def _stamped(body: Item, namespace: str, since: float) -> Item:
    metadata = {"namespace": namespace, "labels": {}, "creationTimestamp": stamp(since)} | body["metadata"]
    return {**body, "metadata": metadata}


def _address(backend: Backend) -> Item:
    shown: Item = {"ip": str(backend.address)}
    shown |= {"hostname": backend.hostname} if backend.hostname else {}
    shown |= {"nodeName": backend.node} if backend.node else {}
    return shown | ({"targetRef": _ref(backend)} if backend.pod else {})


def _hints(backend: Backend) -> Item:
    given = {"forZones": backend.for_zones, "forNodes": backend.for_nodes} if backend.ready else {}
    return {key: [{"name": name} for name in names] for key, names in given.items() if names}


def _ref(backend: Backend) -> Item:
    namespace, _, name = backend.pod.partition("/")
    return {"kind": "Pod", "namespace": namespace, "name": name}


def _ports(one: Service, numbers: Sequence[int]) -> list[Item]:
    return [
        {**({"name": port.name} if port.name else {}), "port": number, "protocol": port.protocol}
        for port, number in zip(one.ports, numbers, strict=bool(numbers))
        if number
    ]


# -- what kubectl prints ----------------------------------------------------------------------------------------------


def service_cells(item: Item) -> list[str]:
    """TYPE, CLUSTER-IP, EXTERNAL-IP and PORT(S)."""
    spec = item.get("spec", {})
    kind = spec.get("type", "ClusterIP")
    outside = list(spec.get("externalIPs", []))
    if kind == "LoadBalancer":
        outside = [one["ip"] for one in item["status"]["loadBalancer"].get("ingress", [])] + outside
        outside = outside or ["<pending>"]
    elif kind == "ExternalName":
        outside = [spec.get("externalName", "")]
    ports = ",".join(
        f"{one['port']}{':' + str(one['nodePort']) if one.get('nodePort') else ''}/{one.get('protocol', 'TCP')}"
        for one in spec.get("ports", [])
    )
    return [kind, spec.get("clusterIP") or "<none>", ",".join(outside) or "<none>", ports or "<none>"]


def endpoints_cell(item: Item) -> str:
    """``10.244.1.2:80,10.244.2.2:80 + 1 more...``."""
    shown = [
        _joined(address["ip"], port["port"])
        for subset in item["subsets"]
        for port in subset.get("ports", [])
        for address in subset.get("addresses", [])
    ] or [
        address["ip"]
        for subset in item["subsets"]
        if not subset.get("ports")
        for address in subset.get("addresses", [])
    ]
    more = f" + {len(shown) - _SHOWN} more..." if len(shown) > _SHOWN else ""
    return ",".join(shown[:_SHOWN]) + more or "<none>"


def slice_cells(item: Item) -> list[str]:
    """ADDRESSTYPE, PORTS and ENDPOINTS."""
    ports = ",".join(str(one["port"]) for one in item["ports"] if "port" in one) or "<unset>"
    ends = [one["addresses"][0] for one in item["endpoints"]]
    more = f" + {len(ends) - _SHOWN} more..." if len(ends) > _SHOWN else ""
    return [item["addressType"], ports, ",".join(ends[:_SHOWN]) + more or "<unset>"]


def _joined(address: str, port: int) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def description(one: Service, item: Item) -> list[str]:
    """``describe service``, line by line, as kubectl has it."""
    spec = item["spec"]
    kind, cluster_ip, outside, _ = service_cells(item)
    rows = [
        ("Name", one.name),
        ("Namespace", one.namespace),
        ("Labels", _pairs(one.labels)),
        ("Annotations", _pairs(item["metadata"].get("annotations", {}))),
        ("Selector", ",".join(f"{key}={value}" for key, value in one.selector.items()) or "<none>"),
        ("Type", kind),
    ]
    if kind == "ExternalName":
        return _lines([*rows, ("External Name", one.external_name), ("Session Affinity", "None")])
    rows += [
        ("IP Family Policy", spec["ipFamilyPolicy"]),
        ("IP Families", ",".join(one.families)),
        ("IP", cluster_ip),
        ("IPs", ",".join(spec["clusterIPs"]) or "<none>"),
    ]
    if one.external_ips:
        rows.append(("External IPs", ",".join(map(str, one.external_ips))))
    if kind == "LoadBalancer":
        rows.append(("LoadBalancer Ingress", f"{outside} (VIP)" if one.load_balancer_ips else "<pending>"))
    for place, port in enumerate(one.ports):
        rows.append(("Port", f"{port.name or '<unset>'}  {port}"))
        rows.append(("TargetPort", f"{port.target}/{port.protocol}"))
        if port.node_port:
            rows.append(("NodePort", f"{port.name or '<unset>'}  {port.node_port}/{port.protocol}"))
        behind = [_joined(str(each.address), each.ports[place]) for each in one.ready if each.ports[place]]
        more = f" + {len(behind) - _SHOWN} more..." if len(behind) > _SHOWN else ""
        rows.append(("Endpoints", ",".join(behind[:_SHOWN]) + more))
    rows.append(("Session Affinity", spec["sessionAffinity"]))
    if one.affinity:
        rows.append(("Affinity Timeout", f"{one.affinity}s"))
    if one.external_facing:
        rows.append(("External Traffic Policy", spec["externalTrafficPolicy"]))
    rows.append(("Internal Traffic Policy", spec["internalTrafficPolicy"]))
    if one.source_ranges:
        rows.append(("Source Ranges", ",".join(map(str, one.source_ranges))))
    chains = _chains(one)
    if chains:
        rows.append(("Chains", chains[0]))
        rows += [("", chain) for chain in chains[1:]]
    return _lines([*rows, ("Events", "<none>")])


def _chains(one: Service) -> list[str]:
    """Where it is in ``table ip kube-proxy``: one chain a port."""
    from netlab.plan.services import port_name

    return [f"service-{port_name(one, port)}" for port in one.ports] if not one.headless and one.serving else []


def _pairs(values: Any) -> str:
    return ",".join(f"{key}={value}" for key, value in values.items()) or "<none>"


def _lines(rows: Sequence[tuple[str, str]]) -> list[str]:
    width = max(_WIDTH, *(len(name) + 2 for name, _ in rows))
    return [f"{name + ':' if name else '':<{width}}{value}".rstrip() for name, value in rows]
