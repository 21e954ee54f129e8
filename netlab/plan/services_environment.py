"""The variables by which a container finds Services: those that are there when its Pod starts.

As the kubelet makes them: for each Service with a cluster address in the Pod's own namespace, and for ``kubernetes``;
``enableServiceLinks: false`` leaves only the latter.  A Service that comes later changes no process that runs.
"""

from __future__ import annotations

from netlab.model import Cluster, Pod
from netlab.model.cluster.services import Service, ServicePort
from netlab.model.services.system import KUBERNETES


def service_variables(pod: Pod, cluster: Cluster) -> dict[str, str]:
    """``WEB_SERVICE_HOST``, ``WEB_SERVICE_PORT`` and the older forms with ``WEB_PORT_80_TCP``."""
    variables: dict[str, str] = {}
    linked = pod.spec.get("enableServiceLinks", True)
    for service in cluster.services:
        own = linked and service.namespace == pod.namespace
        if service.cluster_ips and service.ports and (own or (service.namespace, service.name) == KUBERNETES):
            variables |= _of(service)
    return variables


def _of(service: Service) -> dict[str, str]:
    name, address = _word(service.name), str(service.cluster_ips[0])
    first = service.ports[0]
    variables = {f"{name}_SERVICE_HOST": address, f"{name}_SERVICE_PORT": str(first.port)}
    variables |= {f"{name}_SERVICE_PORT_{_word(port.name)}": str(port.port) for port in service.ports if port.name}
    variables[f"{name}_PORT"] = _url(address, first)
    for port in service.ports:
        stem = f"{name}_PORT_{port.port}_{port.protocol}"
        variables[stem] = _url(address, port)
        variables[f"{stem}_PROTO"] = port.protocol.lower()
        variables[f"{stem}_PORT"] = str(port.port)
        variables[f"{stem}_ADDR"] = address
    return variables


def _url(address: str, port: ServicePort) -> str:
    shown = f"[{address}]" if ":" in address else address
    return f"{port.protocol.lower()}://{shown}:{port.port}"


def _word(name: str) -> str:
    return name.upper().replace("-", "_")
