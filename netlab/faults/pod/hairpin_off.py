"""The bridge does not send frames back to where they came from."""

from __future__ import annotations

from dataclasses import replace

from netlab.faults import traits
from netlab.faults.edit import at_pod, changed, node_veth
from netlab.faults.fault import Control, Fault
from netlab.faults.places import TIMEOUT, UNREACHABLE, of_pod, pod_of, pods, service_from
from netlab.model import Cluster, Pod
from netlab.objects import Port, State


def _stop(_: Cluster, state: State, pod: Pod) -> State:
    veth = node_veth(state, pod)
    name = veth.name if veth else ""
    return changed(state, Port, lambda port: port.dev == name, lambda port: replace(port, hairpin=False))


def _control(cluster: Cluster, at: str) -> Control | None:
    pod = pod_of(cluster, at)
    control = service_from(cluster, pod.node, (TIMEOUT, UNREACHABLE), itself=True) if pod else None
    return control if pod and control and control.source == of_pod(pod) else None


FAULT = Fault(
    id="hairpin-off",
    symptom="the Pod does not reach itself by its Service; other Pods do, and itself by its own address works",
    cause="hairpin mode is off on the Pod's port of the bridge: a frame must leave by the port by which it came",
    level=2,
    source="kubernetes/kubernetes#13375",
    look_alikes=("bridge-netfilter-off",),
    planes=traits.bridged,
    requires="a Pod that is the only backend of a Service",
    places=pods,
    control=_control,
    on_state=at_pod(_stop),
)
