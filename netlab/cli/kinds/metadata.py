"""The metadata that an API server adds to the objects of a manifest: namespace, labels, creation time, uid, owner references."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from netlab.cli.kinds.kind import Item
from netlab.cli.kinds.request import Request
from netlab.cli.kinds.times import stamp

if TYPE_CHECKING:
    from netlab.model import Cluster
    from netlab.model.cluster import Made

_VERSIONS = {"Job": "batch/v1", "CronJob": "batch/v1", "ReplicationController": "v1", "Node": "v1"}


def written(request: Request, name: str, group: str) -> list[tuple[str, Item]]:
    """The documents of a kind, each with its namespace, as they are written."""
    return [(each.namespace, each.body) for each in request.running.objects if (each.kind, each.group) == (name, group)]


def made(request: Request, name: str) -> list[tuple[str, Item]]:
    """The ReplicaSets of Deployments and the Jobs of CronJobs, each with its namespace."""
    cluster, since, _ = request.running
    return [(each.namespace, _made(each, cluster, since)) for each in cluster.made if each.kind == name]


def _made(made: Made, cluster: Cluster, since: float) -> Item:
    metadata: Item = {"name": made.name, "namespace": made.namespace, "labels": dict(made.labels)}
    metadata |= {"annotations": dict(made.annotations), "creationTimestamp": stamp(since)}
    metadata |= {"ownerReferences": owner_references(*made.owner, cluster, made.namespace)}
    return {"apiVersion": made.api_version, "kind": made.kind, "metadata": metadata, "spec": dict(made.spec)}


def filled(objects: Iterable[tuple[str, Item]], since: float) -> list[Item]:
    """Objects with the metadata that no manifest has."""
    items = []
    for namespace, body in objects:
        metadata = {"namespace": namespace, "labels": {}, "creationTimestamp": stamp(since)}
        items.append({**body, "metadata": metadata | body["metadata"]})
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
