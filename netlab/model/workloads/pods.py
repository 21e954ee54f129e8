"""Pods made of templates, after their nodes, addresses and labels are determined.

A change of a large lab leaves nearly every Pod unchanged. So each Pod is kept with all its inputs, and used again where
these are the same: documents by identity, the rest by equality. Pods with a command are made each time: the result
depends on the programs of the host.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from netlab import names
from netlab.memo import Session
from netlab.model.cluster import Interface, Node, Pod
from netlab.model.workloads.bylabel import ByLabel
from netlab.model.workloads.ports import declared, served
from netlab.model.workloads.processes import Programs, owned
from netlab.model.workloads.templates import Template, containers, inits
from netlab.spec import Document, Warning
from netlab.tuples import NamedTuple


class Given(NamedTuple):
    """What was settled for a Pod: its namespace in the kernel, its addresses, its serial number, its labels.

    ``etc``: the folder of its files below /etc/netns.
    """

    netns: str
    etc: str
    addresses: tuple[Interface, ...]
    serial: int
    labels: Mapping[str, str]


class _Made(NamedTuple):
    """A Pod with what it was made from, and what was to be said about it."""

    documents: tuple[Document, ...]
    rest: tuple[object, ...]
    pod: Pod
    warnings: tuple[Warning, ...]


class Pods:
    """The Pods of the build before, by the namespace in the kernel and the Pod's own and full name."""

    def __init__(self) -> None:
        self.made: dict[str, _Made] = {}


class Maker:
    """Makes the Pods of one build; ``warn`` gets what their authors should know."""

    def __init__(
        self, services: ByLabel[Document], policies: ByLabel[Document], warn: list[Warning], session: Session
    ) -> None:
        kept = session.of(Pods)
        self._services, self._policies, self._warn = services, policies, warn
        self._before, self._now = kept.made, dict[str, _Made]()
        kept.made = self._now

    def pod(
        self, template: Template, node: Node, given: Given, programs: Programs | None, for_inits: Programs | None
    ) -> Pod:
        """One Pod; ``programs`` tells what its containers can run, ``for_inits`` what its init containers can."""
        namespace, labels = template.namespace, given.labels
        services, policies = self._services.of(namespace, labels), self._policies.of(namespace, labels)
        documents = (template.document, *services, *policies)
        rest = (
            template.name,
            template.path,
            template.owner,
            template.controller,
            template.slot,
            node.number,
            node.name,
            node.mac,
            given,
            len(services),
        )
        key = f"{given.netns} {namespace}/{template.name}"
        previous = self._before.get(key)
        if previous is None or previous.rest != rest or not _same(previous.documents, documents):
            warnings: list[Warning] = []
            pod = _pod(template, node, given, (programs, for_inits), services, policies, warnings)
            previous = _Made(documents, rest, pod, tuple(warnings))
        if not _commands(template):
            self._now[key] = previous
        self._warn += previous.warnings
        return previous.pod


def _same(some: Sequence[object], others: Sequence[object]) -> bool:
    return len(some) == len(others) and all(item is other for item, other in zip(some, others, strict=True))


def _commands(template: Template) -> bool:
    places: Iterable[str] = ("containers", "initContainers")
    return any("command" in container for group in places for container in template.spec.get(group, ()))


def _pod(
    template: Template,
    node: Node,
    given: Given,
    programs: tuple[Programs | None, Programs | None],
    services: Sequence[Document],
    policies: Sequence[Document],
    warn: list[Warning],
) -> Pod:
    host = bool(template.spec.get("hostNetwork"))
    made = containers(template, programs[0])
    return Pod(
        template.namespace,
        template.name,
        node.name,
        given.netns,
        given.addresses,
        given.serial,
        node.mac if host else names.mac(names.POD, node.number, given.serial),
        made,
        owned(served(template, declared(template, warn), given.labels, services, policies), made),
        given.labels,
        template.metadata.get("annotations", {}),
        str(template.spec.get("hostname", template.name))[:63].rstrip("-."),
        str(template.spec.get("subdomain", "")),
        host,
        template.owner,
        template.spec,
        template.mark,
        inits(template, programs[1]),
        etc=given.etc,
        controller=template.controller,
        slot=template.slot,
    )
