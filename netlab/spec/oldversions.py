"""API versions that Kubernetes has removed: charts still print them, and netlab reads them as their successors.

``helm template`` asks no cluster, so a chart that asks for ``batch/v1/CronJob`` gets no for an answer and prints the old
version.  The dates are those of Kubernetes' deprecation guide.  Of the kinds that netlab reads, the old fields are those
of today but for what ``today`` does.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from netlab.errors import Mark
from netlab.spec.compose import MappingNode, Node, ScalarNode, SequenceNode, pairs
from netlab.spec.documents import Warning
from netlab.spec.scalars import PLAIN, is_null
from netlab.tuples import NamedTuple


class Old(NamedTuple):
    """An object of an old version: ``now`` is its apiVersion today, "" where there is none; ``removed`` the release."""

    version: str
    kind: str
    now: str
    removed: str
    mark: Mark


#: Old version -> the release that removed it, and the new version of these kinds.
_REMOVED: dict[str, tuple[tuple[str, str, str], ...]] = {
    "extensions/v1beta1": (
        ("1.16", "apps/v1", "DaemonSet Deployment ReplicaSet"),
        ("1.16", "networking.k8s.io/v1", "NetworkPolicy"),
        ("1.16", "", "PodSecurityPolicy"),
        ("1.22", "networking.k8s.io/v1", "Ingress"),
    ),
    "apps/v1beta1": (("1.16", "apps/v1", "ControllerRevision Deployment StatefulSet"),),
    "apps/v1beta2": (("1.16", "apps/v1", "ControllerRevision DaemonSet Deployment ReplicaSet StatefulSet"),),
    "batch/v2alpha1": (("1.21", "batch/v1", "CronJob"),),
    "batch/v1beta1": (("1.25", "batch/v1", "CronJob"),),
    "discovery.k8s.io/v1beta1": (("1.25", "discovery.k8s.io/v1", "EndpointSlice"),),
    "networking.k8s.io/v1beta1": (("1.22", "networking.k8s.io/v1", "Ingress IngressClass"),),
    "policy/v1beta1": (("1.25", "policy/v1", "PodDisruptionBudget"), ("1.25", "", "PodSecurityPolicy")),
    "autoscaling/v2beta1": (("1.25", "autoscaling/v2", "HorizontalPodAutoscaler"),),
    "autoscaling/v2beta2": (("1.26", "autoscaling/v2", "HorizontalPodAutoscaler"),),
    "rbac.authorization.k8s.io/v1beta1": (
        ("1.22", "rbac.authorization.k8s.io/v1", "ClusterRole ClusterRoleBinding Role RoleBinding"),
    ),
    "admissionregistration.k8s.io/v1beta1": (
        ("1.22", "admissionregistration.k8s.io/v1", "MutatingWebhookConfiguration ValidatingWebhookConfiguration"),
    ),
    "apiextensions.k8s.io/v1beta1": (("1.22", "apiextensions.k8s.io/v1", "CustomResourceDefinition"),),
    "apiregistration.k8s.io/v1beta1": (("1.22", "apiregistration.k8s.io/v1", "APIService"),),
    "certificates.k8s.io/v1beta1": (("1.22", "certificates.k8s.io/v1", "CertificateSigningRequest"),),
    "coordination.k8s.io/v1beta1": (("1.22", "coordination.k8s.io/v1", "Lease"),),
    "scheduling.k8s.io/v1beta1": (("1.22", "scheduling.k8s.io/v1", "PriorityClass"),),
    "storage.k8s.io/v1beta1": (
        ("1.22", "storage.k8s.io/v1", "CSIDriver CSINode StorageClass VolumeAttachment"),
        ("1.27", "storage.k8s.io/v1", "CSIStorageCapacity"),
    ),
    "node.k8s.io/v1beta1": (("1.25", "node.k8s.io/v1", "RuntimeClass"),),
    "events.k8s.io/v1beta1": (("1.25", "events.k8s.io/v1", "Event"),),
}
Change = Callable[[Node], Node]
_BY_KIND = {
    (version, kind): (now, removed)
    for version, rows in _REMOVED.items()
    for removed, now, kinds in rows
    for kind in kinds.split()
}
#: Versions in which a workload without a selector selects its template's labels.
_SELECTED = ("extensions/v1beta1", "apps/v1beta1")
#: Fields of old versions that tell controllers what no lab has: the rollback of a Deployment, a counter.
_GONE = frozenset(("rollbackTo", "templateGeneration"))
#: Topology labels of an old EndpointSlice's endpoints, and the fields that have their values today.
_TOPOLOGY = {"kubernetes.io/hostname": "nodeName", "topology.kubernetes.io/zone": "zone"}


def old(version: str, kind: str, mark: Mark) -> Old | None:
    """What is to be said of an object of a version that is gone; None of every other."""
    row = _BY_KIND.get((version, kind))
    return Old(version, kind, *row, mark) if row else None


def current(version: str, kind: str) -> str:
    """The apiVersion that the objects of a version have today."""
    return _BY_KIND.get((version, kind), (version,))[0] or version


def today(node: MappingNode, version: str, kind: str) -> MappingNode:
    """An object of an old version as it is written today."""
    if kind == "EndpointSlice":
        return _changed(node, "endpoints", _endpoints)
    if kind in ("Deployment", "DaemonSet", "ReplicaSet", "StatefulSet"):
        return _changed(node, "spec", lambda each: _workload(each, version in _SELECTED))
    return node


def warning(olds: Sequence[Old]) -> Warning:
    """All of them, in one line: what to write, and how a chart is made to."""
    counts = Counter(old._replace(mark=olds[0].mark) for old in olds)
    parts = [_words(old, number) for old, number in counts.items()]
    wanted = [f"--api-versions {old.now}/{old.kind}" for old in counts if old.now]
    release = max((old.removed for old in counts), key=lambda each: int(each.partition(".")[2]))
    message = f"apiVersions that Kubernetes no longer serves, read as the new ones: {', '.join(parts)}"
    cure = f"helm template {' '.join(wanted)}, or --kube-version {release}" if wanted else ""
    return Warning("old-api-version", message + (f"; from a chart: {cure}" if cure else ""), olds[0].mark)


def _words(old: Old, number: int) -> str:
    count = f" of {number} objects" if number > 1 else ""
    successor = f"write {old.now}" if old.now else "it has no successor"
    return f"{old.version} {old.kind}{count} (removed in {old.removed}; {successor})"


def _changed(node: MappingNode, field: str, change: Change) -> MappingNode:
    """A mapping with the value of a field made anew; the places stay."""
    return _mapping(node, [(key, change(value) if _named(key, field) else value) for key, value in pairs(node)])


def _workload(spec: Node, selected: bool) -> Node:
    if not isinstance(spec, MappingNode):
        return spec
    kept = [(key, value) for key, value in pairs(spec) if not isinstance(key, ScalarNode) or key.value not in _GONE]
    selector = _value(spec, "selector")
    labels = _value(_value(_value(spec, "template"), "metadata"), "labels")
    if selected and (selector is None or is_null(selector)) and isinstance(labels, MappingNode):
        kept = [(key, value) for key, value in kept if not _named(key, "selector")]
        kept.append((_key("selector", labels), _mapping(labels, [(_key("matchLabels", labels), labels)])))
    return _mapping(spec, kept)


def _endpoints(endpoints: Node) -> Node:
    if not isinstance(endpoints, SequenceNode):
        return endpoints
    return SequenceNode(
        endpoints.tag, [_endpoint(each) for each in endpoints.value], endpoints.start_mark, endpoints.end_mark,
        endpoints.flow_style,
    )  # fmt: skip


def _endpoint(endpoint: Node) -> Node:
    topology = _value(endpoint, "topology")
    if not isinstance(endpoint, MappingNode) or topology is None:
        return endpoint
    kept = [(_key("deprecatedTopology", key) if _named(key, "topology") else key, value)
            for key, value in pairs(endpoint)]  # fmt: skip
    for label, field in _TOPOLOGY.items():
        value = _value(topology, label)
        if value is not None and _value(endpoint, field) is None:
            kept.append((_key(field, value), value))
    return _mapping(endpoint, kept)


def _value(node: Node | None, field: str) -> Node | None:
    """The value of a field, None where there is no such field or no mapping."""
    fields = pairs(node) if isinstance(node, MappingNode) else []
    return next((value for key, value in fields if _named(key, field)), None)


def _named(key: Node, field: str) -> bool:
    return isinstance(key, ScalarNode) and key.value == field


def _key(name: str, at: Node) -> ScalarNode:
    return ScalarNode(PLAIN, name, at.start_mark, at.end_mark)


def _mapping(like: MappingNode, items: list[tuple[Node, Node]]) -> MappingNode:
    """A mapping in the place of another node."""
    return MappingNode(like.tag, items, like.start_mark, like.end_mark, like.flow_style)
