"""The metadata that an API server adds to the objects of a manifest: namespace, labels, creation time, uid, owner references."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from netlab.cli.kinds.kind import Item
from netlab.cli.kinds.request import Request, Running
from netlab.cli.kinds.times import stamp
from netlab.model.workloads.owners import REVISION
from netlab.model.workloads.systempods import NAMESPACE, daemon_sets

if TYPE_CHECKING:
    from netlab.model import Cluster
    from netlab.model.ages import Revision
    from netlab.model.cluster import Made

_VERSIONS = {"Job": "batch/v1", "CronJob": "batch/v1", "ReplicationController": "v1", "Node": "v1"}


def written(request: Request, name: str, group: str) -> list[tuple[str, Item]]:
    """The documents of a kind, each with its namespace, as they are written."""
    own = [(each.namespace, each.body) for each in request.running.objects if (each.kind, each.group) == (name, group)]
    if name != "DaemonSet" or not (request.every or request.where == NAMESPACE):
        return own
    return own + [(NAMESPACE, body) for body in daemon_sets(request.running.cluster)]


def made(request: Request, name: str) -> list[tuple[str, Item]]:
    """The ReplicaSets of Deployments, also those of their earlier templates, and the Jobs of CronJobs, each with its
    namespace.
    """
    running, items = request.running, []
    for each in running.cluster.made:
        if each.kind == name:
            age, annotations = running.age(each.owner[0], each.namespace, each.owner[1]), dict(each.annotations)
            if age.revision:
                annotations[REVISION] = str(age.revision)
            items.append((each.namespace, _made(each, running, annotations)))
            items += [(each.namespace, _earlier(old, each, running)) for old in age.old if name == "ReplicaSet"]
    return items


def _made(made: Made, running: Running, annotations: Mapping[str, str]) -> Item:
    metadata: Item = {"name": made.name, "namespace": made.namespace, "labels": dict(made.labels)}
    created = stamp(running.born(made.kind, made.namespace, made.name))
    metadata |= {"annotations": annotations, "creationTimestamp": created}
    metadata |= {"ownerReferences": owner_references(*made.owner, running.cluster, made.namespace)}
    return {"apiVersion": made.api_version, "kind": made.kind, "metadata": metadata, "spec": dict(made.spec)}


def _earlier(old: Revision, now: Made, running: Running) -> Item:
    """The ReplicaSet of an earlier template."""
    item = _made(now, running, {**now.annotations, **old.annotations, REVISION: str(old.number)})
    labels = old.spec["template"]["metadata"]["labels"]
    created = stamp(old.created or running.since)
    item["metadata"] |= {"name": old.name, "labels": dict(labels), "creationTimestamp": created}
    return {**item, "spec": {**old.spec, "replicas": 0}}


def filled(objects: Iterable[tuple[str, Item]], running: Running) -> list[Item]:
    """Objects with the metadata that no manifest has."""
    items = []
    for namespace, body in objects:
        own = body["metadata"]
        created = own.get("creationTimestamp") or stamp(running.born(body.get("kind", ""), namespace, own["name"]))
        metadata = {"namespace": namespace, "labels": {}, **own, "creationTimestamp": created}
        items.append({**body, "metadata": metadata})
    return items


def owner_references(kind: str, name: str, cluster: Cluster, namespace: str) -> list[dict[str, Any]]:
    """The reference to the controller that made an object."""
    from netlab.model.cluster import identity

    version, uid = _VERSIONS.get(kind, "apps/v1"), identity.uid(cluster.lab, kind, namespace, name)
    return [{"apiVersion": version, "kind": kind, "name": name, "uid": uid, "controller": True,
             "blockOwnerDeletion": True}]  # fmt: skip


def with_uids(items: Callable[[Request], list[Item]]) -> Callable[[Request], list[Item]]:
    """``items``, each object with its uid.  (A Pod's uid is another each time that a controller replaces it.)"""

    def identified(request: Request) -> list[Item]:
        from netlab.model.cluster import identity

        lab, objects = request.running.cluster.lab, items(request)
        for item in objects:
            metadata = item["metadata"]
            uid = identity.uid(lab, item["kind"], metadata.get("namespace", ""), metadata["name"])
            item["metadata"] = {**metadata, "uid": uid}
        return objects

    return identified
