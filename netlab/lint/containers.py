"""Containers whose command this host does not have."""

from __future__ import annotations

from collections.abc import Iterator

from netlab.errors import Mark
from netlab.lint.subject import Subject
from netlab.spec import Warning


def missing(subject: Subject) -> Iterator[Warning]:
    """A command that cannot be run, once a workload: the responder serves the ports of its container."""
    seen: set[tuple[str, str, str]] = set()
    for pod in subject.cluster.own_pods:
        kind, _, name = pod.owner.rpartition("/")
        owner = (kind or "Pod", pod.namespace, name or pod.name)
        for one in pod.containers:
            key = (*owner[1:], one.name)
            if one.missing and key not in seen and subject.wanted(owner):
                seen.add(key)
                says = (
                    f"container {one.name} of {owner[0]} {owner[1]}/{owner[2]} cannot run: this host has no program "
                    f'"{one.command[0]}"; the responder serves its ports (status CreateContainerError)'
                )
                yield Warning("program-missing", says, one.mark or Mark("", 0), f"{owner[0]} {owner[1]}/{owner[2]}")
