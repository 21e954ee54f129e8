"""The DNS server drops what it is asked."""

from __future__ import annotations

from netlab.faults.edit import with_rules
from netlab.faults.fault import Control, Fault
from netlab.faults.places import node_name, pod_of
from netlab.model import Cluster
from netlab.objects import State


def _drop(cluster: Cluster, state: State, at: str) -> State:
    pod = pod_of(cluster, at)
    rules = ("udp dport 53 counter drop", "tcp dport 53 counter drop")
    return with_rules(state, pod.netns, "inet", "guard", "filter input 0", *rules) if pod else state


def _places(cluster: Cluster, _: State) -> list[str]:
    return [str(pod) for pod in cluster.pods if pod.system]


def _control(cluster: Cluster, at: str) -> Control | None:
    return node_name(cluster)


FAULT = Fault(
    id="dns-server-filtered",
    symptom="no Pod of the cluster resolves a name; by address all is well",
    cause="the DNS server does not answer: what arrives at its Pod for port 53 is dropped there",
    level=1,
    source="kubernetes.io, debugging DNS resolution: is the DNS Pod running?",
    look_alikes=("dns-port-filtered", "dns-server-wrong"),
    requires="a Service, in a lab with names",
    places=_places,
    control=_control,
    on_state=_drop,
)
