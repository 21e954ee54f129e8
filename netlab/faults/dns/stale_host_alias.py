"""A Pod's hosts file has an old address for a Service."""

from __future__ import annotations

from typing import Any

from netlab.faults.edit import edited
from netlab.faults.fault import Control, Fault, Objects
from netlab.faults.places import short_name
from netlab.model import Cluster
from netlab.objects import State


def _alias(objects: Objects, at: str) -> Objects:
    services = [each.name for each in objects if each.kind == "Service" and each.namespace == at.partition("/")[0]]

    def change(spec: dict[str, Any]) -> None:
        spec["hostAliases"] = [{"ip": "192.0.2.66", "hostnames": services}]

    return edited(objects, "Pod", at, change)


def _places(cluster: Cluster, _: State) -> list[str]:
    return [str(pod) for pod in cluster.own_pods if not pod.owner and not pod.host_network]


def _control(cluster: Cluster, at: str) -> Control | None:
    control = short_name(cluster, at)
    return control._replace(broken=("192.0.2.66",)) if control else None


FAULT = Fault(
    id="stale-host-alias",
    symptom="the Pod reaches a dead address under the name of a Service; other Pods reach the Service",
    cause="hostAliases of the Pod name an old address, and a hosts file comes before the DNS",
    level=2,
    source="kubernetes.io, adding entries to Pod /etc/hosts",
    look_alikes=("service-headless",),
    requires="a Pod without an owner, and a Service of its namespace, in a lab with names",
    places=_places,
    control=_control,
    on_objects=_alias,
)
