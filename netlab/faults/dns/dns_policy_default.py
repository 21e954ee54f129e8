"""A Pod asks its node's DNS server."""

from __future__ import annotations

from typing import Any

from netlab.faults.edit import edited
from netlab.faults.fault import Control, Fault, Objects
from netlab.faults.places import named, pod_of
from netlab.model import Cluster
from netlab.objects import State


def _node(objects: Objects, at: str) -> Objects:
    def change(spec: dict[str, Any]) -> None:
        spec["dnsPolicy"] = "Default"

    return edited(objects, "Pod", at, change)


def _places(cluster: Cluster, _: State) -> list[str]:
    return [str(pod) for pod in cluster.own_pods if not pod.owner and not pod.host_network]


def _control(cluster: Cluster, at: str) -> Control | None:
    return named(cluster, pod_of(cluster, at))


FAULT = Fault(
    id="dns-policy-default",
    symptom="the Pod resolves no name of the cluster",
    cause="dnsPolicy is Default, which means the node's resolv.conf, not the default: the cluster's names are unknown there",
    level=1,
    source="kubernetes.io, Pod's DNS policy",
    look_alikes=("dns-server-wrong",),
    requires="a Pod without an owner, and a Service, in a lab with names",
    places=_places,
    control=_control,
    on_objects=_node,
)
