"""A Pod has the search list of another namespace."""

from __future__ import annotations

from netlab.faults.edit import at_resolv_conf
from netlab.faults.fault import Control, Fault
from netlab.faults.places import pods, short_name
from netlab.model import Cluster


def _broken(text: str) -> str:
    lines = text.splitlines(keepends=True)
    return "".join("search staging.svc.cluster.local\n" if line.startswith("search") else line for line in lines)


def _control(cluster: Cluster, at: str) -> Control | None:
    return short_name(cluster, at)


FAULT = Fault(
    id="search-list-of-other-namespace",
    symptom="the Pod resolves no short name of its own namespace",
    cause="the search list of the Pod's resolv.conf was copied from another namespace",
    level=2,
    source="kubernetes/dns#119",
    look_alikes=("search-list-missing",),
    requires="a Pod, and a Service of its namespace, in a lab with names",
    places=pods,
    control=_control,
    on_state=at_resolv_conf(_broken),
)
