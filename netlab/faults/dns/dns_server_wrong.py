"""A Pod asks a DNS server that is not there."""

from __future__ import annotations

from netlab.faults.edit import at_resolv_conf
from netlab.faults.fault import Control, Fault
from netlab.faults.places import named, pod_of, pods
from netlab.model import Cluster


def _broken(text: str) -> str:
    lines = text.splitlines(keepends=True)
    return "".join("nameserver 10.96.0.100\n" if line.startswith("nameserver") else line for line in lines)


def _control(cluster: Cluster, at: str) -> Control | None:
    return named(cluster, pod_of(cluster, at))


FAULT = Fault(
    id="dns-server-wrong",
    symptom="the Pod resolves no name; by address it reaches everything",
    cause="the Pod's resolv.conf names an address that is not the DNS Service's: kubelet's clusterDNS is wrong",
    level=1,
    source="kubernetes.io, debugging DNS resolution: check resolv.conf",
    look_alikes=("dns-policy-default", "dns-port-filtered", "egress-without-dns"),
    requires="a Pod, and a Service, in a lab with names",
    places=pods,
    control=_control,
    on_state=at_resolv_conf(_broken),
)
