"""The variables by which a container finds Services: those that are there when its Pod starts.

As the kubelet makes them: for each Service with a cluster address in the Pod's own namespace, and for ``kubernetes``;
``enableServiceLinks: false`` leaves only the latter.  A Service that comes later changes no process that runs.
"""

from __future__ import annotations

from netlab.model import Cluster, Pod
from netlab.model.services_system import KUBERNETES
from netlab.model.services_types import Service, ServicePort


def service_variables(pod: Pod, cluster: Cluster) -> dict[str, str]:
    """``WEB_SERVICE_HOST``, ``WEB_SERVICE_PORT`` and the older forms with ``WEB_PORT_80_TCP``."""
    found: dict[str, str] = {}
    linked = pod.spec.get("enableServiceLinks", True)
    for service in cluster.services:
        own = linked and service.namespace == pod.namespace
        if service.cluster_ips and service.ports and (own or (service.namespace, service.name) == KUBERNETES):
            found |= _of(service)
    return found


def _of(service: Service) -> dict[str, str]:
    name, address = _word(service.name), str(service.cluster_ips[0])
    first = service.ports[0]
    found = {f"{name}_SERVICE_HOST": address, f"{name}_SERVICE_PORT": str(first.port)}
    found |= {f"{name}_SERVICE_PORT_{_word(port.name)}": str(port.port) for port in service.ports if port.name}
    found[f"{name}_PORT"] = _url(address, first)
    for port in service.ports:
        stem = f"{name}_PORT_{port.port}_{port.protocol}"
        found[stem] = _url(address, port)
        found[f"{stem}_PROTO"] = port.protocol.lower()
        found[f"{stem}_PORT"] = str(port.port)
        found[f"{stem}_ADDR"] = address
    return found


def _url(address: str, port: ServicePort) -> str:
    shown = f"[{address}]" if ":" in address else address
    return f"{port.protocol.lower()}://{shown}:{port.port}"


def _word(name: str) -> str:
    return name.upper().replace("-", "_")
