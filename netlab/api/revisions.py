"""Rollouts as clients see them: revision numbers, and the ControllerRevisions of StatefulSets and DaemonSets.

``kubectl rollout history`` and ``undo`` read the templates from ReplicaSets and ControllerRevisions, and write one of
them back.  ``model.ages`` remembers them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from netlab.api.kept import Kept
from netlab.api.resources import Key
from netlab.cli.kinds.kind import Item
from netlab.cli.kinds.metadata import owner_references
from netlab.cli.kinds.request import Running
from netlab.cli.kinds.times import stamp
from netlab.model.ages import Objects, Revision, holder_of
from netlab.model.ages import running as templates
from netlab.model.cluster import identity
from netlab.model.workloads.defaults import settled
from netlab.model.workloads.owners import HASH, REVISION

PREFIX = "deployment.kubernetes.io/"
_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
#: All templates of each workload, by kind/namespace/name, the one that runs last.
Workloads = Mapping[str, tuple[Revision, ...]]
_PLURALS = {"StatefulSet": "statefulsets", "DaemonSet": "daemonsets"}


def of_workloads(running: Running) -> Workloads:
    """All templates of each workload, by kind/namespace/name, the one that runs last."""
    made = {}
    for key, now in templates(Objects(running.objects, running.cluster)).items():
        kind, namespace, name = key.split("/")
        age = running.age(kind, namespace, name)
        holder = running.ages.get(holder_of(key, now))
        created = holder.created if holder else age.created
        made[key] = (*age.old, now._replace(number=age.revision or now.number, created=created))
    return made


def controller_revisions(
    running: Running, workloads: Workloads, items: Mapping[Key, Item]
) -> Iterator[tuple[Key, Item]]:
    """The ControllerRevisions."""
    for workload, revisions in workloads.items():
        kind, namespace, name = workload.split("/")
        item = items.get(Key("apps", _PLURALS.get(kind, ""), namespace, name))
        if item is None:
            continue
        for each in revisions:
            labels = item["spec"].get("selector", {}).get("matchLabels", {})
            metadata = {
                "name": each.name,
                "namespace": namespace,
                "labels": {**labels, "controller.kubernetes.io/hash": each.name.removeprefix(f"{name}-")},
                "annotations": {key: value for key, value in each.annotations.items() if key != _APPLIED},
                "creationTimestamp": stamp(each.created or running.since),
                "uid": identity.uid(running.cluster.lab, "ControllerRevision", namespace, each.name),
                "ownerReferences": owner_references(kind, name, running.cluster, namespace),
            }
            template = {**each.spec["template"], "$patch": "replace"}
            yield (
                Key("apps", "controllerrevisions", namespace, each.name),
                {
                    "apiVersion": "apps/v1",
                    "kind": "ControllerRevision",
                    "metadata": metadata,
                    "data": {"spec": {"template": template}},
                    "revision": each.number,
                },
            )


def annotate(workloads: Workloads, items: Mapping[Key, Item], kept: Kept) -> None:
    """The revision of each Deployment, and its annotations on the ReplicaSet that it runs, where they stay later."""
    for workload, revisions in workloads.items():
        kind, namespace, name = workload.split("/")
        key = Key(
            "apps", "replicasets" if kind == "Deployment" else "controllerrevisions", namespace, revisions[-1].name
        )
        item = items.get(Key("apps", _PLURALS.get(kind, "deployments"), namespace, name))
        if item is None or key not in items:
            continue
        own = {
            key: value
            for key, value in item["metadata"].get("annotations", {}).items()
            if key != _APPLIED and not key.startswith(PREFIX)
        }
        if own or key in kept.objects:
            kept.of(key).annotations = dict(own)
        metadata = items[key]["metadata"]
        counted = {key: value for key, value in metadata.get("annotations", {}).items() if key.startswith(PREFIX)}
        metadata["annotations"] = {**own, **counted}
        if kind == "Deployment":
            number = str(revisions[-1].number)
            item["metadata"]["annotations"] = {**item["metadata"].get("annotations", {}), REVISION: number}


def as_written(running: Running, workload: str, template: Any, new: Item) -> Any:
    """The template of ``new``, or the earlier one that is this, less what the API fills in: its Pods have the same names."""
    wanted = _bare(template)
    revisions = of_workloads(running).get(workload, ())
    return next(
        (_plain(each) for each in reversed(revisions) if _bare(each.spec["template"]) == wanted),
        new["spec"]["template"],
    )


def _plain(revision: Revision) -> Item:
    """The template without the label that the controller adds."""
    template: Item = dict(revision.spec["template"])
    metadata = dict(template.get("metadata") or {})
    metadata["labels"] = {key: value for key, value in (metadata.get("labels") or {}).items() if key != HASH}
    return {**template, "metadata": metadata}


def _bare(template: Any) -> Any:
    template = template if isinstance(template, dict) else {}
    metadata = template.get("metadata") or {}
    labels = {key: value for key, value in (metadata.get("labels") or {}).items() if key != HASH}
    return settled({"labels": labels, "annotations": metadata.get("annotations"), "spec": template.get("spec")})
