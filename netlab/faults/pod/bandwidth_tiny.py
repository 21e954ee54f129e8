"""The bandwidth of a Pod is limited far too low."""

from __future__ import annotations

from netlab.faults.edit import at_pod
from netlab.faults.fault import OPEN as WHY
from netlab.faults.fault import Control, Fault
from netlab.faults.places import TIMEOUT, from_pod, pods
from netlab.model import Cluster, Pod
from netlab.objects import Qdisc, State
from netlab.plan.impairments import tbf


def _throttle(cluster: Cluster, state: State, pod: Pod) -> State:
    return state.replace(Qdisc(pod.netns, "eth0", "root", "tbf", tbf(1000, cluster.pod_mtu), why=WHY))


def _control(cluster: Cluster, at: str) -> Control | None:
    control = from_pod(cluster, at, (TIMEOUT,))
    return control._replace(size=60_000) if control else None


FAULT = Fault(
    id="bandwidth-tiny",
    symptom="connections and small requests of the Pod pass; large ones stall",
    cause="the bandwidth plugin limits the Pod to 8 kbit/s: a unit was left out of the annotation",
    level=2,
    source="kubernetes/kubernetes#90838",
    look_alikes=("path-mtu-small", "fragmentation-needed-filtered"),
    requires="a Pod, and another one that serves a port",
    places=pods,
    control=_control,
    on_state=at_pod(_throttle),
)
