"""The resources that the API serves: those that netlab models, and those that it keeps for their clients."""

from __future__ import annotations

from collections.abc import Mapping

from netlab.cli.kinds import KINDS
from netlab.cli.kinds.kind import AGE, NAME, NONE, Column, Item, Kind
from netlab.spec.schema import CHECKED, api_version
from netlab.tuples import NamedTuple

VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")


class Resource(NamedTuple):
    """A resource of the API.  ``kind``: the kind of ``netlab get`` that lists it; None: netlab keeps its objects."""

    group: str
    version: str
    plural: str
    name: str
    namespaced: bool = True
    short: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    subresources: tuple[str, ...] = ()
    kind: Kind | None = None
    columns: tuple[Column, ...] = (NAME, AGE)

    @property
    def api_version(self) -> str:
        """``apps/v1``."""
        return api_version(self.group, self.version)

    @property
    def path(self) -> str:
        """``api/v1``, ``apis/apps/v1``."""
        return f"apis/{self.group}/{self.version}" if self.group else f"api/{self.version}"

    @property
    def title(self) -> str:
        """``deployments.apps``, as the messages of an API server have it."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def review(self) -> bool:
        """Whether an object is a question that is answered at once and never kept."""
        return self.name.endswith("Review")

    @property
    def verbs(self) -> tuple[str, ...]:
        """What clients may do."""
        return ("create",) if self.review else VERBS


def _data(item: Item) -> object:
    return len(item.get("data") or ()) + len(item.get("binaryData") or ())


def _controller(item: Item) -> object:
    owner = next((each for each in item["metadata"].get("ownerReferences", ()) if each.get("controller")), None)
    return f"{owner['kind'].lower()}.apps/{owner['name']}" if owner else NONE


def _hosts(item: Item) -> object:
    return ",".join(rule.get("host", "*") for rule in item.get("spec", {}).get("rules") or ()) or "*"


def _scaled(item: Item) -> object:
    target = item["spec"].get("scaleTargetRef", {})
    return f"{target.get('kind')}/{target.get('name')}"


def _targets(item: Item) -> object:
    """What nobody measures, and the wanted value."""
    spec = item["spec"]
    wanted = [(each["resource"]["name"], each["resource"]["target"]) for each in spec.get("metrics") or ()
              if each.get("resource")]  # fmt: skip
    if "targetCPUUtilizationPercentage" in spec:
        wanted.append(("cpu", {"averageUtilization": spec["targetCPUUtilizationPercentage"]}))
    shares = [(name, target.get("averageUtilization"), target.get("averageValue")) for name, target in wanted]
    return (
        ", ".join(f"{name}: <unknown>/{value if share is None else f'{share}%'}" for name, share, value in shares)
        or NONE
    )


_INGRESS = (
    Column("CLASS", lambda item: item.get("spec", {}).get("ingressClassName", NONE)),
    Column("HOSTS", _hosts),
    Column("ADDRESS", lambda _: ""),
    Column("PORTS", lambda item: "80, 443" if item.get("spec", {}).get("tls") else "80"),
)
_AUTOSCALER = (
    Column("REFERENCE", _scaled),
    Column("TARGETS", _targets),
    Column("MINPODS", lambda item: item["spec"].get("minReplicas", 1)),
    Column("MAXPODS", lambda item: item["spec"].get("maxReplicas", 0)),
    Column("REPLICAS", lambda item: (item.get("status") or {}).get("currentReplicas", 0)),
)
_ALL = ("all",)
_SCALED = ("status", "scale")
#: Of modelled resources: the version, where it is not v1, and the subresources; columns come from the kind.
_SUBRESOURCES: Mapping[str, tuple[str, ...]] = {
    "Pod": ("status", "exec", "attach", "log", "portforward", "eviction", "binding", "ephemeralcontainers"),
    "Node": ("status",),
    "Namespace": ("status", "finalize"),
    "Service": ("status",),
    "Deployment": _SCALED,
    "ReplicaSet": _SCALED,
    "StatefulSet": _SCALED,
    "ReplicationController": _SCALED,
    "DaemonSet": ("status",),
    "Job": ("status",),
    "CronJob": ("status",),
}
#: kubectl's "all" (the category of each resource in the published API).
_IN_ALL = {"Pod", "Service", *_SUBRESOURCES} - {"Node", "Namespace"}
_RBAC = "rbac.authorization.k8s.io"
_KEPT = (
    Resource("", "v1", "configmaps", "ConfigMap", short=("cm",), columns=(NAME, Column("DATA", _data), AGE)),
    Resource(
        *("", "v1", "secrets", "Secret"),
        columns=(NAME, Column("TYPE", lambda item: item.get("type", "Opaque")), Column("DATA", _data), AGE),
    ),
    Resource(
        *("", "v1", "serviceaccounts", "ServiceAccount"),
        short=("sa",),
        subresources=("token",),
        columns=(NAME, Column("SECRETS", lambda item: len(item.get("secrets") or ())), AGE),
    ),
    Resource("", "v1", "persistentvolumeclaims", "PersistentVolumeClaim", short=("pvc",), subresources=("status",)),
    Resource("", "v1", "persistentvolumes", "PersistentVolume", False, ("pv",), subresources=("status",)),
    Resource("", "v1", "limitranges", "LimitRange", short=("limits",)),
    Resource("", "v1", "resourcequotas", "ResourceQuota", short=("quota",), subresources=("status",)),
    Resource("", "v1", "podtemplates", "PodTemplate"),
    Resource(
        *("apps", "v1", "controllerrevisions", "ControllerRevision"),
        columns=(NAME, Column("CONTROLLER", _controller), Column("REVISION", lambda item: item.get("revision", 0)), AGE),
    ),
    Resource(
        *("autoscaling", "v2", "horizontalpodautoscalers", "HorizontalPodAutoscaler"),
        short=("hpa",),
        categories=_ALL,
        subresources=("status",),
        columns=(NAME, *_AUTOSCALER, AGE),
    ),
    Resource(
        *("autoscaling", "v1", "horizontalpodautoscalers", "HorizontalPodAutoscaler"),
        short=("hpa",),
        categories=_ALL,
        subresources=("status",),
        columns=(NAME, *_AUTOSCALER, AGE),
    ),
    Resource(
        *("networking.k8s.io", "v1", "ingresses", "Ingress"),
        short=("ing",),
        subresources=("status",),
        columns=(NAME, *_INGRESS, AGE),
    ),
    Resource("networking.k8s.io", "v1", "ingressclasses", "IngressClass", False),
    Resource(
        *("certificates.k8s.io", "v1", "certificatesigningrequests", "CertificateSigningRequest", False),
        short=("csr",),
        subresources=("status", "approval"),
    ),
    Resource("policy", "v1", "poddisruptionbudgets", "PodDisruptionBudget", short=("pdb",), subresources=("status",)),
    Resource("coordination.k8s.io", "v1", "leases", "Lease"),
    Resource(_RBAC, "v1", "roles", "Role"),
    Resource(_RBAC, "v1", "rolebindings", "RoleBinding"),
    Resource(_RBAC, "v1", "clusterroles", "ClusterRole", False),
    Resource(_RBAC, "v1", "clusterrolebindings", "ClusterRoleBinding", False),
    Resource(
        *("apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition", False),
        short=("crd", "crds"),
        subresources=("status",),
    ),
    Resource("storage.k8s.io", "v1", "storageclasses", "StorageClass", False, ("sc",)),
    Resource("scheduling.k8s.io", "v1", "priorityclasses", "PriorityClass", False, ("pc",)),
    Resource("admissionregistration.k8s.io", "v1", "validatingwebhookconfigurations", "ValidatingWebhookConfiguration", False),
    Resource("admissionregistration.k8s.io", "v1", "mutatingwebhookconfigurations", "MutatingWebhookConfiguration", False),
    *(
        Resource("authorization.k8s.io", "v1", f"{name.lower()}s", name, name == "LocalSubjectAccessReview")
        for name in (
            *("SelfSubjectAccessReview", "SelfSubjectRulesReview", "SubjectAccessReview"),
            "LocalSubjectAccessReview",
        )
    ),
    Resource("authentication.k8s.io", "v1", "selfsubjectreviews", "SelfSubjectReview", False),
    Resource("authentication.k8s.io", "v1", "tokenreviews", "TokenReview", False),
)  # fmt: skip


def _modelled(kind: Kind) -> Resource:
    return Resource(
        *(kind.group, CHECKED.get((kind.group, kind.name), "v1"), kind.plural, kind.name, kind.namespaced),
        short=kind.short,
        categories=_ALL if kind.name in _IN_ALL else (),
        subresources=_SUBRESOURCES.get(kind.name, ()),
        kind=kind,
        columns=kind.columns,
    )


def _resources() -> dict[tuple[str, str, str], Resource]:
    return {(each.group, each.version, each.plural): each for each in (*map(_modelled, KINDS), *_KEPT)}


#: By group, version and plural.
RESOURCES = _resources()


class Key(NamedTuple):
    """The identity of an object: the resource's group and plural, the namespace ("" without one) and the name."""

    group: str
    plural: str
    namespace: str
    name: str


def key_of(resource: Resource, item: Item) -> Key:
    """The identity of an object of the resource."""
    metadata = item["metadata"]
    namespace = metadata.get("namespace", "") if resource.namespaced else ""
    return Key(resource.group, resource.plural, namespace, metadata["name"])
