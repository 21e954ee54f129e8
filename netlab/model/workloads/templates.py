"""Templates of Pods: those of Pod documents and those that controllers make (``controllers``), and their containers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from netlab.errors import Mark
from netlab.model.cluster import Container
from netlab.model.workloads.processes import Programs, decided
from netlab.spec import Document
from netlab.tuples import NamedTuple

WORKLOADS = frozenset(
    ("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "ReplicationController", "Job", "CronJob")
)


class Template(NamedTuple):
    """One Pod to make; ``document`` and ``path`` say where its spec is.

    ``owner`` is the workload that a user knows (``Deployment/web``), ``controller`` is the Pod's own
    (``ReplicaSet/web-5d9c8b7f6``). ``slot`` is its place in the controller; its replacement has the same slot.
    """

    namespace: str
    name: str
    metadata: Mapping[str, Any]
    spec: Mapping[str, Any]
    document: Document
    path: tuple[str, ...]
    owner: str
    node: str
    status: Mapping[str, Any]
    controller: str = ""
    slot: str = ""

    @property
    def full(self) -> str:
        """``namespace/name``."""
        return f"{self.namespace}/{self.name}"

    @property
    def labels(self) -> Mapping[str, str]:
        """The Pod's labels, as its document or its controller gives them."""
        labels: Mapping[str, str] = self.metadata.get("labels", {})
        return labels

    @property
    def mark(self) -> Mark:
        """The position of the Pod (or its workload) in its file."""
        return self.document.at("metadata", "name")

    @property
    def given_addresses(self) -> tuple[str, ...]:
        """The addresses that a Pod document states: ``status.podIPs``, else ``status.podIP``."""
        many = [str(ip["ip"]) for ip in self.status.get("podIPs", []) if "ip" in ip]
        return tuple(many) or ((str(self.status["podIP"]),) if "podIP" in self.status else ())

    def at(self, *path: str | int) -> Mark:
        """The place of something in the Pod's spec."""
        return self.document.at(*self.path, "spec", *path)


def serving(spec: Mapping[str, Any]) -> list[tuple[Mapping[str, Any], str, int]]:
    """The containers that run side by side, as (container, list that it is in, place): native sidecars are init
    containers with ``restartPolicy: Always``.
    """
    main = [(container, "containers", index) for index, container in enumerate(spec.get("containers", []))]
    sidecars = [
        (container, "initContainers", index)
        for index, container in enumerate(spec.get("initContainers", []))
        if container.get("restartPolicy") == "Always"
    ]
    return main + sidecars


def containers(template: Template, has_program: Programs | None = None) -> tuple[Container, ...]:
    """The containers that serve, typed; ``has_program`` as ``processes.decided`` takes it."""
    return tuple(
        decided(_container(template, container, where, index), container, has_program)
        for container, where, index in serving(template.spec)
    )


def inits(template: Template, has_program: Programs | None = None) -> tuple[Container, ...]:
    """The init containers that end before the others start, typed."""
    return tuple(
        decided(_container(template, container, "initContainers", index), container, has_program)
        for index, container in enumerate(template.spec.get("initContainers", []))
        if container.get("restartPolicy") != "Always"
    )


def _container(template: Template, container: Mapping[str, Any], where: str, index: int) -> Container:
    command, args = tuple(container.get("command", ())), tuple(container.get("args", ()))
    return Container(container["name"], container.get("image", ""), command, args, template.at(where, index))
