"""Objects of the API as documents of a lab: without what a server gives, and what differs between two of them."""

from __future__ import annotations

import copy
import json
from typing import Any

from netlab.api.resources import Resource
from netlab.api.revisions import PREFIX
from netlab.cli.kinds.kind import Item
from netlab.cli.kinds.nodeready import OWN_TAINTS

#: Metadata that the server gives; what a client sends of it is not taken.
_SERVER = (
    *("uid", "resourceVersion", "creationTimestamp", "generation", "managedFields", "selfLink"),
    *("deletionTimestamp", "deletionGracePeriodSeconds", "generateName"),
)
#: Metadata that netlab keeps beside the lab.
_BESIDE = ("finalizers", "ownerReferences")
_HOOK = "helm.sh/hook"  # netlab leaves hooks out of a release; here Helm itself says when they are made
GIVEN = ("netlab/netns", PREFIX)  # annotations that netlab's own view and controllers have
OWN_LABEL = "kubernetes.io/metadata.name"


def clean(resource: Resource, item: Item) -> Item:
    """The object as a manifest has it: without what the server gives and what is kept beside the lab."""
    made = {name: copy.deepcopy(value) for name, value in item.items() if name != "status"}
    made["apiVersion"], made["kind"] = resource.api_version, resource.name
    metadata = made["metadata"]
    for field in (*_SERVER, *_BESIDE):
        metadata.pop(field, None)
    if not resource.namespaced:
        metadata.pop("namespace", None)
    for field in ("labels", "annotations"):
        if not metadata.get(field):
            metadata.pop(field, None)
    if resource.name == "Node" and (taints := made.get("spec", {}).get("taints")):
        made["spec"]["taints"] = [each for each in taints if each.get("key") not in OWN_TAINTS]
        if not made["spec"]["taints"]:
            del made["spec"]["taints"]
    return made


def document(resource: Resource, item: Item) -> tuple[str, str]:
    """The text of an object, as the lab keeps it: a later write of the same object replaces it."""
    metadata = dict(item["metadata"])
    metadata["annotations"] = document_annotations(metadata)
    labels = dict(metadata.get("labels") or {})
    body = {**item, "apiVersion": resource.api_version, "kind": resource.name, "metadata": metadata}
    if resource.name == "Namespace":
        labels.pop(OWN_LABEL, None)
        body.pop("spec", None)
    metadata["labels"] = labels
    for field in ("labels", "annotations"):
        if not metadata[field]:
            del metadata[field]
    return f"api/{resource.plural}/{metadata.get('namespace', '-')}/{metadata['name']}", json.dumps(body)


def document_annotations(metadata: Item) -> dict[str, str]:
    """The annotations that the document of an object has."""
    annotations = metadata.get("annotations") or {}
    return {name: value for name, value in annotations.items() if not name.startswith((_HOOK, *GIVEN))}


def difference(before: Any, after: Any) -> Any:
    """The JSON merge patch from one object to another."""
    if not (isinstance(before, dict) and isinstance(after, dict)):
        return copy.deepcopy(after)
    patch: Item = {key: None for key in before if key not in after and before[key] is not None}
    for key, value in after.items():
        if key not in before or before[key] != value:
            made = difference(before.get(key), value)
            if made != {} or not isinstance(value, dict) or key not in before:
                patch[key] = made
    return patch
