"""A policy allows the port of the Service, where it judges that of the Pod."""

from __future__ import annotations

from netlab.faults.edit import policy
from netlab.faults.fault import Control, Fault, Objects
from netlab.faults.places import REFUSED, TIMEOUT, service_of, services, to_service
from netlab.model import Cluster
from netlab.objects import State


def _apply(objects: Objects, at: str) -> Objects:
    service = next((each for each in objects if each.kind == "Service" and f"{each.namespace}/{each.name}" == at), None)
    if service is None:
        return objects
    spec = service.body["spec"]
    ports = [{"port": port["port"]} for port in spec.get("ports", ())]
    rule = {"podSelector": {"matchLabels": spec["selector"]}, "ingress": [{"ports": ports}]}
    return (*objects, policy(service.namespace, f"{service.name}-clients", rule))


def _places(cluster: Cluster, state: State) -> list[str]:
    fits = (service_of(cluster, at) for at in services(cluster, state))
    return [
        str(each)
        for each in fits
        if each
        and each.ports[0].protocol == "TCP"
        and all(number != each.ports[0].port for backend in each.backends for number in backend.ports[:1])
    ]


def _control(cluster: Cluster, at: str) -> Control | None:
    return to_service(cluster, at, (TIMEOUT, REFUSED))


FAULT = Fault(
    id="policy-service-port",
    symptom="connections by the Service are denied, though the policy allows its port",
    cause="the rule has the Service's port, and policies judge the packet behind the Service: the targetPort counts",
    level=2,
    source="projectcalico/calico#8049",
    look_alikes=("default-deny", "policy-end-port-missing"),
    requires="a Service whose port is not its targetPort, and a Pod that is none of its backends",
    places=_places,
    control=_control,
    on_objects=_apply,
)
