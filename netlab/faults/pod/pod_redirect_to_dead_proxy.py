"""A Pod redirects what comes in to a proxy that does not run."""

from __future__ import annotations

from netlab.faults.edit import at_pod, with_rules
from netlab.faults.fault import Control, Fault
from netlab.faults.places import REFUSED, servers, to_pod
from netlab.model import Cluster, Pod
from netlab.objects import State


def _redirect(_: Cluster, state: State, pod: Pod) -> State:
    return with_rules(
        state, pod.netns, "ip", "mesh", "nat prerouting -100", "meta l4proto tcp counter redirect to :15006"
    )


def _control(cluster: Cluster, at: str) -> Control | None:
    return to_pod(cluster, at, (REFUSED,))


FAULT = Fault(
    id="pod-redirect-to-dead-proxy",
    symptom="connections to the Pod are refused (RST), though its process listens on the port",
    cause="rules inside the Pod's namespace redirect connections to a sidecar proxy (port 15006) that does not run",
    level=3,
    source="Istio documentation, ports used by the sidecar (15006)",
    look_alikes=("server-dead", "server-other-port"),
    requires="a Pod that serves a port, and another one",
    places=servers,
    control=_control,
    on_state=at_pod(_redirect),
)
