"""A Pod has the search list of another namespace."""

from __future__ import annotations

from dataclasses import replace

from netlab.faults.edit import at_pod, changed
from netlab.faults.fault import Control, Fault
from netlab.faults.places import pods, short_name
from netlab.model import Cluster, Pod
from netlab.objects import File, State


def _broken(text: str) -> str:
    lines = text.splitlines(keepends=True)
    return "".join("search staging.svc.cluster.local\n" if line.startswith("search") else line for line in lines)


def _change(_: Cluster, state: State, pod: Pod) -> State:
    def fits(file: File) -> bool:
        return file.netns == (pod.etc or pod.netns) and file.file == "resolv.conf"

    return changed(state, File, fits, lambda file: replace(file, content=_broken(file.content)))


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
    on_state=at_pod(_change),
)
