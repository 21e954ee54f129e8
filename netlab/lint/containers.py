"""Containers whose command this host does not have."""

from __future__ import annotations

from collections.abc import Iterator

from netlab.errors import Mark
from netlab.lint.subject import Subject
from netlab.spec import Warning

# What a container is called, and what happens where its program is missing.
_CONTAINER = ("container", "the responder serves its ports (status CreateContainerError)")
_INIT = ("init container", "it is skipped, where a cluster would not start the Pod")


def missing(subject: Subject) -> Iterator[Warning]:
    """A command that cannot be run, once a workload: the responder serves the ports of its container."""
    seen: set[tuple[str, str, str]] = set()
    for pod in subject.cluster.own_pods:
        kind, _, name = pod.owner.rpartition("/")
        owner = (kind or "Pod", pod.namespace, name or pod.name)
        # Init containers run only before commands that really run.
        inits = pod.inits if any(container.runs for container in pod.containers) else ()
        for entry in (*pod.containers, *inits):
            key = (*owner[1:], entry.name)
            if entry.missing and key not in seen and subject.wanted(owner):
                seen.add(key)
                noun, then = _CONTAINER if entry in pod.containers else _INIT
                message = (
                    f"{noun} {entry.name} of {owner[0]} {owner[1]}/{owner[2]} cannot run: this host has no program "
                    f'"{entry.command[0]}"; {then}'
                )
                yield Warning(
                    "program-missing", message, entry.mark or Mark("", 0), f"{owner[0]} {owner[1]}/{owner[2]}"
                )
