"""Rollouts of a cluster's dump: which ReplicaSet a Deployment runs, and which Pods that are documents go.

A template that was changed since rolls over: the Deployment makes another ReplicaSet, or takes an older of that
template, and the Pods of the others go.  Templates are compared less what the API fills in.  Where the ReplicaSets are
no documents, the Pods are compared with the template: their labels, and their containers' images, commands and arguments.

A controller that wants fewer Pods than there are lets the last of them go, those first that no node has.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from netlab.model.workloads.defaults import settled
from netlab.model.workloads.owners import HASH, Owners, controller, revision
from netlab.spec import Document

Body = Mapping[str, Any]


def current(deployment: Document, owners: Owners) -> Document | None:
    """The ReplicaSet document that has the Deployment's template; None where none has it."""
    sets = sorted(owners.of(deployment, "ReplicaSet"), key=lambda replica_set: revision(replica_set.body), reverse=True)
    spec = deployment.body.get("spec", {})
    if spec.get("paused"):
        return next(iter(sets), None)
    wanted = _template(spec)
    return next((replica_set for replica_set in sets if _template(replica_set.body.get("spec", {})) == wanted), None)


def share(replica_set: Document, owners: Owners) -> int:
    """How many Pods a ReplicaSet document has.

    The newest of a Deployment's has what the others leave, an older that it goes back to has all, and where it has
    another template none has any.
    """
    count: int = replica_set.body.get("spec", {}).get("replicas", 1)
    reference = controller(replica_set)
    if reference is None or not owners.has(reference.kind, replica_set.namespace, reference.name):
        return count
    deployment = owners.get(reference.kind, replica_set.namespace, reference.name)
    sets, runs = owners.of(deployment, "ReplicaSet"), current(deployment, owners)
    newest = max(sets, key=lambda replica_set: revision(replica_set.body))
    if runs is not newest and runs is not replica_set:
        return 0
    if runs is not replica_set:
        return count
    wanted: int = deployment.body.get("spec", {}).get("replicas", 1)
    others = sum(replicaset.body.get("spec", {}).get("replicas", 1) for replicaset in sets if replicaset is not newest)
    return max(0, wanted - others) if runs is newest else wanted


def gone(documents: list[Document], owners: Owners) -> Iterator[Document]:
    """The Pods among the documents that their controllers do not want any more."""
    for document in documents:
        there = owners.running(document)
        if not there:
            continue
        spec = document.body.get("spec", {})
        if document.kind in ("ReplicaSet", "ReplicationController"):
            yield from _last(there, share(document, owners))
        elif document.kind == "Deployment" and not owners.of(document, "ReplicaSet"):
            stale = [pod for pod in there if _differs(pod, spec)]
            yield from stale
            yield from _last([pod for pod in there if pod not in stale], spec.get("replicas", 1))
        elif document.kind == "StatefulSet":
            start = spec.get("ordinals", {}).get("start", 0)
            names = {f"{document.name}-{number}" for number in range(start, start + spec.get("replicas", 1))}
            yield from (pod for pod in there if pod.name not in names or _replaced(pod, spec))
        elif document.kind == "DaemonSet":
            yield from (pod for pod in there if _replaced(pod, spec))


def _last(pods: list[Document], count: int) -> list[Document]:
    return sorted(pods, key=lambda pod: not pod.body["spec"].get("nodeName"))[count:]


def _replaced(pod: Document, spec: Body) -> bool:
    return spec.get("updateStrategy", {}).get("type") != "OnDelete" and _differs(pod, spec)


def _template(spec: Body) -> Any:
    template = spec.get("template", {})
    metadata = template.get("metadata") or {}
    labels = {key: value for key, value in (metadata.get("labels") or {}).items() if key != HASH}
    return settled({"labels": labels, "annotations": metadata.get("annotations"), "spec": template.get("spec")})


def _differs(pod: Document, spec: Body) -> bool:
    """Whether a Pod was made of another template, as far as it shows: much is added to Pods on their way."""
    template = spec.get("template", {})
    labels = (template.get("metadata") or {}).get("labels") or {}
    own = pod.body["metadata"].get("labels") or {}
    if any(own.get(key) != value for key, value in labels.items()):
        return True
    there = {container["name"]: container for container in pod.body["spec"].get("containers", ())}
    fields = ("image", "command", "args")
    return any(
        container["name"] not in there
        or any((container.get(field) or None) != (there[container["name"]].get(field) or None) for field in fields)
        for container in template.get("spec", {}).get("containers", ())
    )
