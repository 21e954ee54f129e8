"""A Pod has no search list."""

from __future__ import annotations

from netlab.faults.edit import at_resolv_conf
from netlab.faults.fault import Control, Fault
from netlab.faults.places import pods, short_name
from netlab.model import Cluster


def _broken(text: str) -> str:
    return "".join(line for line in text.splitlines(keepends=True) if not line.startswith("search"))


def _control(cluster: Cluster, at: str) -> Control | None:
    return short_name(cluster, at)


FAULT = Fault(
    id="search-list-missing",
    symptom="the Pod resolves full names of Services, and short ones not",
    cause="the Pod's resolv.conf has no search list: dnsConfig replaced it",
    level=1,
    source="kubernetes/kubernetes#33554",
    look_alikes=("search-list-of-other-namespace",),
    requires="a Pod, and a Service of its namespace, in a lab with names",
    places=pods,
    control=_control,
    on_state=at_resolv_conf(_broken),
)
