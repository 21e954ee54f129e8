"""A policy allows the DNS by UDP alone."""

from __future__ import annotations

from typing import Any

from netlab.faults.edit import policy_at_pod
from netlab.faults.fault import Control, Fault
from netlab.faults.places import TIMEOUT, is_open, labelled_pods, of_pod, pod_of
from netlab.model import Cluster


def _spec(labels: dict[str, str], __: str, ___: int) -> dict[str, Any]:
    names = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}}}
    return {
        "podSelector": {"matchLabels": labels},
        "policyTypes": ["Egress"],
        "egress": [{"to": [{"podSelector": {}}]}, {"to": [names], "ports": [{"protocol": "UDP", "port": 53}]}],
    }


def _control(cluster: Cluster, at: str) -> Control | None:
    pod = pod_of(cluster, at)
    if pod is None or not cluster.dns:
        return None
    control = Control(of_pod(pod), "svc/kube-dns.kube-system", "53/TCP", broken=(TIMEOUT,))
    return control if is_open(cluster, control) else None


FAULT = Fault(
    id="dns-udp-alone",
    symptom="most names are resolved; those whose replies do not fit into a datagram, and are asked again by TCP, are not",
    cause="the egress rules of the policy allow port 53 to kube-system by UDP, and not by TCP",
    level=2,
    source="projectcalico/calico#8224",
    look_alikes=("egress-without-dns", "dns-port-filtered"),
    requires="a Pod with labels, without an owner, in a lab with names",
    places=labelled_pods,
    control=_control,
    on_objects=policy_at_pod("dns-udp-alone", _spec),
)
