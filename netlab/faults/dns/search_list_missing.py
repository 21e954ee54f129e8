"""A Pod has no search list."""

from __future__ import annotations

from dataclasses import replace

from netlab.faults.edit import at_pod, changed
from netlab.faults.fault import Control, Fault
from netlab.faults.places import pods, short_name
from netlab.model import Cluster, Pod
from netlab.objects import File, State


def _broken(text: str) -> str:
    return "".join(line for line in text.splitlines(keepends=True) if not line.startswith("search"))


def _change(_: Cluster, state: State, pod: Pod) -> State:
    def fits(file: File) -> bool:
        return file.netns == (pod.etc or pod.netns) and file.file == "resolv.conf"

    return changed(state, File, fits, lambda file: replace(file, content=_broken(file.content)))


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
    on_state=at_pod(_change),
)
