"""Updates that the API server refuses: changes of immutable fields, and most changes of Pods.

``up`` makes a lab equal to its files whatever they were; it is ``apply`` that speaks as kubectl does.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from ipaddress import ip_address, ip_network
from typing import Any

from netlab.errors import Problem
from netlab.model.cluster import Cluster
from netlab.model.cluster.services import EXTERNAL_NAME
from netlab.model.workloads.defaults import settled
from netlab.spec import Document

#: Namespaces that every cluster has.
_ALWAYS = frozenset(("default", "kube-system", "kube-public", "kube-node-lease"))
#: Fields of a Pod's spec, and of its containers, that may change.
_POD_MAY = frozenset(("activeDeadlineSeconds", "terminationGracePeriodSeconds", "tolerations", "nodeName"))
#: By kind, the fields of the spec that may change, or those that may not.
_MAY = {
    "StatefulSet": frozenset(
        (
            "replicas", "ordinals", "template", "updateStrategy", "persistentVolumeClaimRetentionPolicy",
            "minReadySeconds", "revisionHistoryLimit",
        )
    ),
}  # fmt: skip
_MAY_NOT = {
    "Deployment": ("selector",),
    "ReplicaSet": ("selector",),
    "DaemonSet": ("selector",),
    "Job": ("selector", "template", "completionMode"),
}


def refused(new: Sequence[Document], there: Sequence[Document], cluster: Cluster) -> Iterator[Problem]:
    """The problems of applying ``new`` to a lab that has the objects ``there`` and is this ``cluster``."""
    objects = {(item.group, item.kind, item.namespace, item.name): item for item in there}
    made = {item.name for item in new if item.kind == "Namespace"}
    namespaces = {*_ALWAYS, *cluster.namespaces, *(item.namespace for item in there), *made}
    for document in new:
        if document.namespace and document.namespace not in namespaces:
            message = f"no namespace is called {document.namespace}; apply a Namespace of that name with it"
            yield Problem(document.at("metadata", "namespace"), "metadata.namespace", message)
        before = objects.get((document.group, document.kind, document.namespace, document.name))
        problems = list(_of_object(document, before, cluster)) if before is not None else []
        for path, message in [*problems, *_pod_networks(document, cluster)]:
            yield Problem(
                document.at(*path), ".".join(path), f"{message}; delete {document.kind} {document.name} first"
            )


def _of_object(document: Document, before: Document, cluster: Cluster) -> Iterator[tuple[tuple[str, ...], str]]:
    spec, old = document.body.get("spec", {}), before.body.get("spec", {})
    differing = [field for field in {**old, **spec} if spec.get(field) != old.get(field)]
    kind = document.kind
    if kind == "Service":
        yield from _cluster_address(document, cluster)
    elif kind == "Pod":
        for field in differing:
            if field not in _POD_MAY and _kept({field: spec.get(field)}) != _kept({field: old.get(field)}):
                yield ("spec", field), "may not change: of a Pod that runs, only images, tolerations and deadlines may"
        if {"nodeName"} <= spec.keys() & old.keys() and spec["nodeName"] != old["nodeName"]:
            yield ("spec", "nodeName"), f"may not change: the Pod is on {old['nodeName']}"
    elif kind == "EndpointSlice" and document.body["addressType"] != before.body["addressType"]:
        yield ("addressType",), "may not change"
    for field in differing:
        if field in _MAY_NOT.get(kind, ()) or (kind in _MAY and field not in _MAY[kind]):
            yield ("spec", field), f"may not change in a {kind}"


def _pod_networks(document: Document, cluster: Cluster) -> Iterator[tuple[tuple[str, ...], str]]:
    """A node keeps the Pod CIDRs that it was given, by a document or from the lab's."""
    node = next((parent for parent in cluster.nodes if (document.kind, parent.name) == ("Node", document.name)), None)
    spec = document.body.get("spec", {})
    field = "podCIDRs" if "podCIDRs" in spec else "podCIDR"
    if node is None or field not in spec:
        return
    stated = spec[field] if field == "podCIDRs" else [spec[field]]
    if any(ip_network(text) not in node.pod_cidrs for text in stated):
        yield ("spec", field), f"may not change: the node has {', '.join(map(str, node.pod_cidrs))}"


def _kept(spec: dict[str, Any]) -> Any:
    """A part of a Pod's spec without images, which may change."""
    return settled(spec, frozenset(("image",)))


def _cluster_address(document: Document, cluster: Cluster) -> Iterator[tuple[tuple[str, ...], str]]:
    """The cluster address stays for as long as the Service has one: it may be left out, not changed."""
    own = (document.namespace, document.name)
    service = next((other for other in cluster.services if (other.namespace, other.name) == own), None)
    spec = document.body.get("spec", {})
    stated = spec.get("clusterIP")
    if service is None or EXTERNAL_NAME in (service.kind, spec.get("type")):
        return
    families = spec.get("ipFamilies")
    if families and families[0] != service.families[0]:
        yield ("spec", "ipFamilies"), f"may not begin with another family: the first is {service.families[0]}"
    for text, second in list(zip(spec.get("clusterIPs", ()), service.cluster_ips, strict=False))[1:]:
        if ip_address(text) != second:
            yield ("spec", "clusterIPs"), f"may not change once they are set: the second is {second}"
    if stated is None:
        return
    has = "None" if service.headless else next(map(str, service.cluster_ips), "")
    if has and stated != has and (has == "None" or stated == "None" or ip_address(stated) != ip_address(has)):
        yield ("spec", "clusterIP"), f"may not change once it is set: it is {has}"
