"""Nobody answers for the Pods' gateway."""

from __future__ import annotations

from netlab.faults import traits
from netlab.faults.edit import at_pod, node_veth, without
from netlab.faults.fault import OPEN as WHY
from netlab.faults.fault import Control, Fault
from netlab.faults.places import TIMEOUT, UNREACHABLE, from_pod, pods
from netlab.model import Cluster, Pod
from netlab.objects import Neigh, State, Sysctl


def _silence(_: Cluster, state: State, pod: Pod) -> State:
    veth = node_veth(state, pod)
    if veth is None:
        return state
    path = f"net.ipv4.conf.{veth.name}.proxy_arp"
    state = without(state, Neigh, lambda neigh: neigh.netns == pod.netns and ":" not in neigh.address)
    return state.replace(Sysctl(veth.netns, path, "0", veth.name, why=WHY))


def _control(cluster: Cluster, at: str) -> Control | None:
    return from_pod(cluster, at, (TIMEOUT, UNREACHABLE))


FAULT = Fault(
    id="gateway-unanswered",
    symptom="the Pod reaches nobody: its ARP requests for its gateway are not answered",
    cause="proxy ARP is off on the Pod's link, and no interface has the address of the Pod's gateway (169.254.1.1)",
    level=2,
    source="projectcalico/calico#3270",
    look_alikes=("pod-link-down", "pod-default-route-missing"),
    planes=traits.proxy_arp,
    requires="a Pod and another one that serves a port",
    places=pods,
    control=_control,
    on_state=at_pod(_silence),
)
