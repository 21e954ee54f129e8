"""The bandwidth of a Pod is limited far too low."""

from __future__ import annotations

from netlab.faults.edit import (
    at_pod,
    node_veth,
)
from netlab.faults.fault import OPEN as WHY
from netlab.faults.fault import Control, Fault
from netlab.faults.places import (
    TIMEOUT,
    servers,
    to_pod,
)
from netlab.model import Cluster, Pod
from netlab.objects import (
    Qdisc,
    State,
)
from netlab.objects.qdisc import Tbf


def _throttle(_: Cluster, state: State, pod: Pod) -> State:
    veth = node_veth(state, pod)
    if veth is None:
        return state
    return state.replace(Qdisc(pod.netns, "eth0", "root", "tbf", Tbf(250, 3000, 4000), why=WHY))


def _control(cluster: Cluster, at: str) -> Control | None:
    control = to_pod(cluster, at, (TIMEOUT,))
    return control._replace(size=60_000) if control else None


FAULT = Fault(
    id="bandwidth-tiny",
    symptom="connections and small replies of the Pod pass; large ones stall",
    cause="the bandwidth plugin limits the Pod to 2 kbit/s: a unit was left out of the annotation",
    level=2,
    source="kubernetes/kubernetes#90838",
    look_alikes=("path-mtu-small", "fragmentation-needed-filtered"),
    requires="a Pod that serves a port, and another one",
    places=servers,
    control=_control,
    on_state=at_pod(_throttle),
)
