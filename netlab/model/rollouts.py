"""Rollouts of a cluster's dump: which ReplicaSet a Deployment runs, and which Pods that are documents go.

A template that was changed since rolls over: the Deployment makes another ReplicaSet, or takes an older of that
template, and the Pods of the others go.  Templates are compared less what the API fills in.  Where the ReplicaSets are
no documents, the Pods are compared with the template: their labels, and their containers' images, commands and arguments.

A controller that wants fewer Pods than there are lets the last of them go, those first that no node has.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from netlab.model.defaults import settled
from netlab.model.owners import HASH, Owners, controller, revision
from netlab.spec import Document

Body = Mapping[str, Any]


def current(deployment: Document, owners: Owners) -> Document | None:
    """The ReplicaSet document that has the Deployment's template; None where none has it."""
    sets = sorted(owners.of(deployment, "ReplicaSet"), key=lambda one: revision(one.body), reverse=True)
    spec = deployment.body.get("spec", {})
    if spec.get("paused"):
        return next(iter(sets), None)
    wanted = _template(spec)
    return next((one for one in sets if _template(one.body.get("spec", {})) == wanted), None)


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
    newest = max(sets, key=lambda one: revision(one.body))
    if runs is not newest and runs is not replica_set:
        return 0
    if runs is not replica_set:
        return count
    wanted: int = deployment.body.get("spec", {}).get("replicas", 1)
    others = sum(one.body.get("spec", {}).get("replicas", 1) for one in sets if one is not newest)
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
            stale = [one for one in there if _differs(one, spec)]
            yield from stale
            yield from _last([one for one in there if one not in stale], spec.get("replicas", 1))
        elif document.kind == "StatefulSet":
            start = spec.get("ordinals", {}).get("start", 0)
            names = {f"{document.name}-{number}" for number in range(start, start + spec.get("replicas", 1))}
            yield from (one for one in there if one.name not in names or _replaced(one, spec))
        elif document.kind == "DaemonSet":
            yield from (one for one in there if _replaced(one, spec))


def _last(pods: list[Document], count: int) -> list[Document]:
    return sorted(pods, key=lambda one: not one.body["spec"].get("nodeName"))[count:]


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
    there = {one["name"]: one for one in pod.body["spec"].get("containers", ())}
    fields = ("image", "command", "args")
    return any(
        one["name"] not in there
        or any((one.get(field) or None) != (there[one["name"]].get(field) or None) for field in fields)
        for one in template.get("spec", {}).get("containers", ())
    )
