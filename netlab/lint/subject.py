"""The input of the rules: a cluster, its documents and the labels of both."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from functools import cached_property

from netlab.model import Cluster, Pod
from netlab.model.policies import EGRESS, INGRESS, LabelSelector, Policy, Rule
from netlab.model.selection import Selection
from netlab.model.services_types import Service
from netlab.model.workloads import WORKLOADS
from netlab.near import close, meant
from netlab.oracle.policy import Evaluator
from netlab.spec import Document, Documents, Level

Identity = tuple[str, str, str]  # kind, namespace, name
Labels = Mapping[str, str]
_GUESSES = 100


class Subject:
    """``policies`` and ``services`` are those that the rules are about; all others are looked at beside them."""

    def __init__(self, cluster: Cluster, documents: Documents, only: Collection[Identity] | None) -> None:
        self.cluster, self.documents, self._only = cluster, documents, only
        self._guesses = 0
        self.policies = [
            policy
            for policy in cluster.network_policies
            if self.wanted(("NetworkPolicy", policy.namespace, policy.name))
        ]
        self.services = [
            service
            for service in cluster.services
            if not service.system and service.selector and self.wanted(("Service", service.namespace, service.name))
        ]

    def wanted(self, identity: Identity) -> bool:
        """Whether the rules are about this object."""
        return self._only is None or identity in self._only

    @property
    def absence(self) -> Level:
        """The level of "no Pod has these labels": a note where something makes Pods that are not in the lab."""
        makes = {"not-modelled-pods", "not-modelled"}
        return "note" if any(warning.code in makes for warning in self.documents.warnings) else "warning"

    @cached_property
    def evaluator(self) -> Evaluator:
        """Judges packets by the policies."""
        return Evaluator(self.cluster)

    @property
    def selection(self) -> Selection:
        """Finds Pods by the selectors of policies."""
        return self.evaluator.selection

    @cached_property
    def _by_port(self) -> dict[tuple[int, str], list[Service]]:
        by_port: dict[tuple[int, str], list[Service]] = {}
        for service in self.cluster.services:
            for port in service.ports:
                by_port.setdefault((port.port, port.protocol), []).append(service)
        return by_port

    def services_at(self, port: int, protocol: str) -> list[Service]:
        """The Services that have this port."""
        return self._by_port.get((port, protocol), [])

    @cached_property
    def _pods(self) -> dict[str, Pod]:
        return {str(pod): pod for pod in self.cluster.pods}

    def behind(self, service: Service) -> list[Pod]:
        """The Pods of a Service."""
        names = dict.fromkeys(backend.pod for backend in service.backends)
        if not names:  # a Service of one family selects also the Pods that have no address of it
            names = dict.fromkeys(
                name
                for name, pod in self._pods.items()
                if pod.namespace == service.namespace and service.selector.items() <= pod.labels.items()
            )
        return [self._pods[name] for name in names if name in self._pods]

    @cached_property
    def _documents(self) -> dict[Identity, Document]:
        return {(obj.kind, obj.namespace, obj.name): obj for obj in self.documents.objects}

    @cached_property
    def service_names(self) -> tuple[tuple[str, str], ...]:
        """Namespace and name of every Service."""
        return tuple((obj.namespace, obj.name) for obj in self.documents.objects if obj.kind == "Service")

    def service(self, namespace: str, name: str) -> Document | None:
        """The document of a Service; None where there is none (netlab makes two of its own, without a document)."""
        return self._documents.get(("Service", namespace, name))

    @cached_property
    def _templates(self) -> dict[str, list[tuple[Document, Labels]]]:
        """By namespace the workloads and Helm hooks that have no Pod now, with the labels that their Pods would have."""
        there = {(pod.namespace, pod.owner or f"Pod/{pod.name}") for pod in self.cluster.pods}
        by_namespace: dict[str, list[tuple[Document, Labels]]] = {}
        for obj in (*self.documents.objects, *self.documents.left_out):
            makes = obj.kind == "Pod" or obj.kind in WORKLOADS
            if makes and (obj.namespace, f"{obj.kind}/{obj.name}") not in there:
                by_namespace.setdefault(obj.namespace, []).append((obj, _labels(obj)))
        return by_namespace

    @cached_property
    def _labels_of_pods(self) -> dict[str, list[Labels]]:
        found: dict[str, dict[tuple[tuple[str, str], ...], Labels]] = {}
        for pod in self.cluster.pods:
            found.setdefault(pod.namespace, {})[tuple(sorted(pod.labels.items()))] = pod.labels
        return {namespace: list(sets.values()) for namespace, sets in found.items()}

    def labels_in(self, namespaces: Iterable[str]) -> list[Labels]:
        """The different sets of labels that Pods of these namespaces have."""
        return [labels for name in namespaces for labels in self._labels_of_pods.get(name, ())]

    def asleep(self, namespaces: Collection[str], matches: Callable[[Labels], bool]) -> Document | None:
        """A workload of these namespaces whose Pods would match if it had any."""
        candidates = (each for name in namespaces for each in self._templates.get(name, ()))
        return next((one for one, labels in candidates if matches(labels)), None)

    def guess(self, selector: LabelSelector, sets: Iterable[Labels]) -> str:
        """The label that was meant; of many selectors that match nothing only the first ones, since it takes time."""
        self._guesses += 1
        return _guess(selector, sets) if self._guesses <= _GUESSES else ""


def rules_of(policy: Policy) -> Iterator[Rule]:
    """The rules of both directions."""
    for direction in (INGRESS, EGRESS):
        yield from policy.rules(direction) or ()


def _guess(selector: LabelSelector, sets: Iterable[Labels]) -> str:
    """The label that was meant, where another value of one key, or another key, would make the selector match."""
    known = list(sets)
    for one in selector.requirements:
        if one.operator != "In" or len(one.values) != 1:
            continue
        others = [requirement for requirement in selector.requirements if requirement is not one]
        word = next(iter(one.values))
        rest = [labels for labels in known if all(requirement.holds(labels) for requirement in others)]
        values = sorted({labels[one.key] for labels in rest if one.key in labels})
        if word not in values and (found := close(word, values)):
            return meant(f"{one.key}={found}")
        keys = sorted({key for labels in rest for key, value in labels.items() if value == word})
        if one.key not in keys and (found := close(one.key, keys)):
            return meant(f"{found}={word}")
    return ""


def selector_of(service: Service) -> LabelSelector:
    """A Service's selector as a policy's."""
    return LabelSelector.of({"matchLabels": service.selector})


def _labels(document: Document) -> Labels:
    body = document.body
    if document.kind == "CronJob":
        body = body["spec"]["jobTemplate"]
    if document.kind != "Pod":
        body = body.get("spec", {}).get("template", {})
    found: Labels = body.get("metadata", {}).get("labels", {})
    return found
