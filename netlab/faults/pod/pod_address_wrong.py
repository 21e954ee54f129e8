"""A Pod has another address than the API says."""

from __future__ import annotations

from dataclasses import replace

from netlab.faults.edit import at_pod, changed
from netlab.faults.fault import Control, Fault
from netlab.faults.places import TIMEOUT, UNREACHABLE, servers, to_pod
from netlab.model import Cluster, Pod
from netlab.objects import Addr, Route, State


def _move(_: Cluster, state: State, pod: Pod) -> State:
    own = next((address for address in pod.addresses if address.version == 4), None)
    if own is None:
        return state
    new = str(own.ip + 90)

    def fits(addr: Addr) -> bool:
        return addr.netns == pod.netns and addr.address.partition("/")[0] == str(own.ip)

    state = changed(state, Addr, fits, lambda addr: replace(addr, address=f"{new}/{addr.address.partition('/')[2]}"))
    return changed(
        state,
        Route,
        lambda route: route.netns == pod.netns and route.src == str(own.ip),
        lambda route: replace(route, src=new),
    )


def _control(cluster: Cluster, at: str) -> Control | None:
    return to_pod(cluster, at, (TIMEOUT, UNREACHABLE))


FAULT = Fault(
    id="pod-address-wrong",
    symptom="nobody reaches the Pod at the address that kubectl shows",
    cause="the Pod's eth0 has another address than its status says: a plugin of an older configuration set it",
    level=1,
    source="flannel-io/flannel#1437",
    look_alikes=("pod-neighbour-stale", "pod-link-down"),
    requires="a Pod that serves a port, and another one",
    places=servers,
    control=_control,
    on_state=at_pod(_move),
)
