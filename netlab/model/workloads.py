"""Pods from the templates of workloads, with names that are the same everywhere."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from netlab.errors import Mark
from netlab.model.cluster import Container, Node
from netlab.model.processes import Programs, decided
from netlab.spec import Document
from netlab.spec.hooks import has_ended

# The letters and digits of Kubernetes' own random suffixes (apimachinery util/rand): no vowels, so no words.
_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"

WORKLOADS = frozenset(
    ("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "ReplicationController", "Job", "CronJob")
)


class Template(NamedTuple):
    """One Pod that is to be: ``document`` and ``path`` say where its spec stands."""

    namespace: str
    name: str
    metadata: Mapping[str, Any]
    spec: Mapping[str, Any]
    document: Document
    path: tuple[str, ...]
    owner: str
    node: str
    status: Mapping[str, Any]

    @property
    def mark(self) -> Mark:
        """Where the Pod (or its workload) starts."""
        return self.document.at("metadata", "name")

    @property
    def given_addresses(self) -> tuple[str, ...]:
        """The addresses that a Pod document states: ``status.podIPs``, else ``status.podIP``.

        One that had ended when it was exported had given its address back; here it begins anew, with another.
        """
        if self.status.get("phase") in ("Succeeded", "Failed"):
            return ()
        many = [str(one["ip"]) for one in self.status.get("podIPs", []) if "ip" in one]
        return tuple(many) or ((str(self.status["podIP"]),) if "podIP" in self.status else ())

    def at(self, *path: str | int) -> Mark:
        """The place of something in the Pod's spec."""
        return self.document.at(*self.path, "spec", *path)


def suffix(*parts: str) -> str:
    """Five characters that depend on the parts alone."""
    number = int.from_bytes(hashlib.sha256("/".join(parts).encode()).digest()[:8], "big")
    letters = []
    for _ in range(5):
        number, digit = divmod(number, len(_ALPHABET))
        letters.append(_ALPHABET[digit])
    return "".join(letters)


def templates(objects: Sequence[Document], nodes: Sequence[Node]) -> Iterator[Template]:
    """The Pods of a set of objects, in document order."""
    for document in objects:
        if has_ended(document):
            continue
        if document.kind == "Pod":
            body = document.body
            yield Template(
                document.namespace,
                document.name,
                body["metadata"],
                body["spec"],
                document,
                (),
                "",
                body["spec"].get("nodeName", ""),
                body.get("status", {}),
            )
        elif document.kind in WORKLOADS:
            yield from _of_workload(document, nodes)


def _of_workload(document: Document, nodes: Sequence[Node]) -> Iterator[Template]:
    spec = document.body.get("spec", {})
    path: tuple[str, ...] = ("spec", "template")
    if document.kind == "CronJob":
        spec, path = spec["jobTemplate"]["spec"], ("spec", "jobTemplate", "spec", "template")
    template = spec.get("template", {})
    kind = document.kind
    count = spec.get("replicas", 1)
    if kind in ("Job", "CronJob"):
        # No more run at a time than are still to be completed; a suspended one runs none.
        count = min(spec.get("parallelism", 1), spec.get("completions", spec.get("parallelism", 1)))
        if spec.get("suspend") or document.body["spec"].get("suspend"):
            count = 0
    pod_spec = template.get("spec", {})
    made: list[tuple[str, str]]
    if kind == "DaemonSet":
        fitting = [node for node in nodes if _fits(pod_spec, node)]
        words = _distinct((document.namespace, kind, document.name), [node.name for node in fitting])
        made = [(f"{document.name}-{word}", node.name) for word, node in zip(words, fitting, strict=True)]
    elif kind == "StatefulSet":
        start = spec.get("ordinals", {}).get("start", 0)
        made = [(f"{document.name}-{number}", "") for number in range(start, start + count)]
    else:
        words = _distinct((document.namespace, kind, document.name), [str(number) for number in range(count)])
        made = [(f"{document.name}-{word}", "") for word in words]
    for name, node in made:
        yield Template(
            document.namespace,
            name,
            template.get("metadata", {}),
            pod_spec,
            document,
            path,
            f"{kind}/{document.name}",
            node or pod_spec.get("nodeName", ""),
            {},
        )


def _distinct(owner: tuple[str, ...], members: Sequence[str]) -> list[str]:
    """A suffix for each member, no two the same: of 5,000 Pods two would share one of 14 million by chance."""
    found: dict[str, None] = {}
    for member in members:
        word, again = suffix(*owner, member), 0
        while word in found:
            again += 1
            word = suffix(*owner, member, str(again))
        found[word] = None
    return list(found)


def _fits(spec: Mapping[str, Any], node: Node) -> bool:
    return all(node.labels.get(key) == value for key, value in spec.get("nodeSelector", {}).items())


def fitting(spec: Mapping[str, Any], nodes: Sequence[Node]) -> list[Node]:
    """The nodes that a Pod's nodeSelector allows."""
    return [node for node in nodes if _fits(spec, node)]


def serving(spec: Mapping[str, Any]) -> list[tuple[Mapping[str, Any], str, int]]:
    """The containers that run side by side, as (container, list that it is in, place): native sidecars are init
    containers with ``restartPolicy: Always``.
    """
    main = [(one, "containers", place) for place, one in enumerate(spec.get("containers", []))]
    sidecars = [
        (one, "initContainers", place)
        for place, one in enumerate(spec.get("initContainers", []))
        if one.get("restartPolicy") == "Always"
    ]
    return main + sidecars


def containers(template: Template, has_program: Programs | None = None) -> tuple[Container, ...]:
    """The containers that serve, typed; ``has_program`` as ``processes.decided`` takes it."""
    return tuple(
        decided(_container(template, one, where, place), one, has_program)
        for one, where, place in serving(template.spec)
    )


def inits(template: Template, has_program: Programs | None = None) -> tuple[Container, ...]:
    """The init containers that end before the others start, typed."""
    return tuple(
        decided(_container(template, one, "initContainers", place), one, has_program)
        for place, one in enumerate(template.spec.get("initContainers", []))
        if one.get("restartPolicy") != "Always"
    )


def _container(template: Template, one: Mapping[str, Any], where: str, place: int) -> Container:
    command, args = tuple(one.get("command", ())), tuple(one.get("args", ()))
    return Container(one["name"], one.get("image", ""), command, args, template.at(where, place))
