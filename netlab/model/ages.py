"""The ages of a running lab's objects: when each was created, how often its spec changed, and which templates it had.

An API server stores these, and no document has them.  A change of a lab compares its objects before and after.  What a
lab had from its beginning and never changed has no entry: it is as old as the lab.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from netlab.model.anew import every
from netlab.model.cluster import Cluster
from netlab.model.cluster.identity import template_hash
from netlab.model.workloads.owners import REVISION
from netlab.model.workloads.systempods import system_pods
from netlab.spec import Document
from netlab.tuples import NamedTuple

_LIMIT = 10  # the default of revisionHistoryLimit
_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


class Revision(NamedTuple):
    """A template that a workload had.  ``name`` is that of its ReplicaSet or ControllerRevision.

    ``spec`` is the spec of the ReplicaSet, or has the template alone; ``annotations`` are those of the workload then.
    """

    number: int
    name: str
    created: float
    spec: Mapping[str, Any]
    annotations: Mapping[str, str]


class Age(NamedTuple):
    """``created``: seconds of the epoch, 0 for the lab's own beginning.

    ``revision`` is the number of the template that a workload has now, 0 for the first; ``old`` are the earlier templates.
    """

    created: float = 0.0
    generation: int = 1
    revision: int = 0
    old: tuple[Revision, ...] = ()


Ages = Mapping[str, Age]  # by kind/namespace/name


class Objects(NamedTuple):
    """The objects of a lab: its documents, and what its cluster has."""

    documents: Sequence[Document]
    cluster: Cluster


def aged(ages: Ages, before: Objects, after: Objects, now: float) -> dict[str, Age]:
    """The ages after a change."""
    was, kept = dict(_parts(before)), {}
    for key, part in _parts(after):
        age = ages.get(key, Age())
        if key not in was or _another(was[key], part):
            age = Age(now)
        elif was[key] != part:
            age = age._replace(generation=age.generation + 1)
        if age != Age():
            kept[key] = age
    had = running(before)
    for document, new in _templates(after):
        key, old = _key(document), had.get(_key(document))
        age, holder = ages.get(key, Age()), holder_of(key, new)
        if old is None:
            continue
        revision, earlier = age.revision or old.number, age.old
        if old.name != new.name:
            left = old._replace(number=revision, created=ages.get(holder_of(key, old), age).created)
            again = next((each for each in earlier if each.name == new.name), None)
            revision = max(new.number, 1 + max(each.number for each in (left, *earlier)))
            earlier = (*(each for each in earlier if each is not again), left)
            kept[holder] = Age(again.created if again else now)
        elif holder in ages:
            kept.setdefault(holder, ages[holder])
        if earlier or age.revision:
            limit = document.body.get("spec", {}).get("revisionHistoryLimit", _LIMIT)
            old_ones = earlier[-limit:] if limit else ()
            kept[key] = kept.get(key, Age())._replace(revision=revision, old=old_ones)
    return kept


def running(objects: Objects) -> dict[str, Revision]:
    """The templates that run, of Deployments, StatefulSets and DaemonSets, by kind/namespace/name of the workload."""
    return {_key(document): revision for document, revision in _templates(objects)}


def _templates(objects: Objects) -> Iterator[tuple[Document, Revision]]:
    made = {(each.namespace, *each.owner): each for each in objects.cluster.made if each.kind == "ReplicaSet"}
    for document in objects.documents:
        written = (document.body["metadata"].get("annotations") or {}).items()
        annotations = {key: value for key, value in written if key != _APPLIED}
        if document.kind == "Deployment":
            replicas = made.get((document.namespace, "Deployment", document.name))
            if replicas is not None:
                number = int(replicas.annotations[REVISION])
                yield document, Revision(number, replicas.name, 0.0, replicas.spec, annotations)
        elif document.kind in ("StatefulSet", "DaemonSet"):
            template = document.body.get("spec", {}).get("template", {})
            name = f"{document.name}-{template_hash(template)}"
            yield document, Revision(1, name, 0.0, {"template": template}, annotations)


def holder_of(key: str, revision: Revision) -> str:
    """The ReplicaSet or the ControllerRevision of a template, as ``Ages`` has it."""
    kind, namespace, _ = key.split("/")
    return f"{'ReplicaSet' if kind == 'Deployment' else 'ControllerRevision'}/{namespace}/{revision.name}"


def _key(document: Document) -> str:
    return f"{document.kind}/{document.namespace}/{document.name}"


def _parts(objects: Objects) -> Iterator[tuple[str, Any]]:
    """All objects, each with the part of it whose changes count: its spec, or a number where it is another object."""
    cluster = objects.cluster
    for name in cluster.namespaces:
        yield f"Namespace//{name}", None
    for node in cluster.nodes:
        yield f"Node//{node.name}", None
    for pod in (*every(cluster), *system_pods(cluster)):
        yield f"Pod/{pod}", cluster.incarnations.get(pod.slot, 0)
    for made in cluster.made:
        yield f"{made.kind}/{made.namespace}/{made.name}", made.spec
    for document in objects.documents:
        if document.kind not in ("Namespace", "Node", "Pod"):
            yield _key(document), document.body.get("spec")


def _another(was: Any, now: Any) -> bool:
    return isinstance(now, int) and was != now
