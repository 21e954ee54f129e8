"""Rules of an earlier engine translate the address of a Service."""

from __future__ import annotations

from netlab.faults.edit import with_rules
from netlab.faults.fault import Control, Fault
from netlab.faults.places import TIMEOUT, UNREACHABLE, service_of, services, to_service
from netlab.model import Cluster
from netlab.objects import State


def _leave(cluster: Cluster, state: State, at: str) -> State:
    service = service_of(cluster, at)
    address = next((each for each in service.cluster_ips if each.version == 4), None) if service else None
    if service is None or address is None:
        return state
    gone = next(each.address for each in service.backends if each.address.version == 4) + 120
    port = service.ports[0]
    rule = f"ip daddr {address} tcp dport {port.port} counter dnat to {gone}:{port.target or port.port}"
    for node in cluster.nodes:
        state = with_rules(state, node.netns, "ip", "nat", "nat prerouting -110", rule)
    return state


def _places(cluster: Cluster, state: State) -> list[str]:
    fits = (service_of(cluster, at) for at in services(cluster, state))
    return [
        str(each)
        for each in fits
        if each
        and each.cluster_ips[0].version == 4
        and each.ports[0].protocol == "TCP"
        and isinstance(each.ports[0].target, int)
    ]


def _control(cluster: Cluster, at: str) -> Control | None:
    return to_service(cluster, at, (TIMEOUT, UNREACHABLE))


FAULT = Fault(
    id="stale-translation",
    symptom="the Service is silent, though kube-proxy's rules, its endpoints and its Pods are right",
    cause="rules of kube-proxy in its iptables mode were left behind, come first, and lead to a Pod that is gone",
    level=3,
    source="kubernetes/kubernetes#71305",
    look_alikes=("stale-endpoints", "kube-proxy-stale"),
    requires="a Service with a selector and a backend, and a Pod that is none of its backends",
    places=_places,
    control=_control,
    on_state=_leave,
)
