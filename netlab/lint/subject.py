"""The input of the rules: a cluster, its documents and the labels of both."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import cached_property

from netlab.errors import Mark
from netlab.lint.mentions import Mention, Texts
from netlab.model import Cluster, Pod
from netlab.model.cluster.policies import ALLOW, EGRESS, INGRESS, LabelSelector, PodPeer, Policy, Rule
from netlab.model.cluster.services import Service
from netlab.model.cluster.tiers import TierPolicy
from netlab.model.selection import Selection
from netlab.model.workloads.templates import WORKLOADS
from netlab.near import close, meant, misspelt
from netlab.oracle.policy import Evaluator, Party
from netlab.spec import Document, Documents, Level, Warning
from netlab.tuples import NamedTuple

Identity = tuple[str, str, str]  # kind, namespace, name
Labels = Mapping[str, str]
_GUESSES = 100


class Guess(NamedTuple):
    """What was probably meant, as the end of a sentence; ``typo``: a value of the same key is a few letters away."""

    text: str = ""
    typo: bool = False

    def level(self, otherwise: Level) -> Level:
        """The level of a selector that matches nothing."""
        return "error" if self.typo else "warning" if self.text else otherwise

    def code(self, otherwise: str) -> str:
        """Its code."""
        return "selector-typo" if self.typo else otherwise


class Subject:
    """``policies`` and ``services`` are those that the rules are about; all others are looked at beside them."""

    def __init__(self, cluster: Cluster, documents: Documents, only: Collection[Identity] | None) -> None:
        self.cluster, self.documents, self._only = cluster, documents, only
        self._guesses = 0
        self._mentions: dict[str, list[Mention]] = {}
        self._alike: dict[tuple[object, ...], Pod] = {}
        self._firsts: dict[int, Pod] = {}
        self._members: dict[PodPeer, list[Pod]] = {}
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
        by_namespace: dict[str, dict[tuple[tuple[str, str], ...], Labels]] = {}
        for pod in self.cluster.pods:
            by_namespace.setdefault(pod.namespace, {})[tuple(sorted(pod.labels.items()))] = pod.labels
        return {namespace: list(sets.values()) for namespace, sets in by_namespace.items()}

    def labels_in(self, namespaces: Iterable[str]) -> list[Labels]:
        """The different sets of labels that Pods of these namespaces have, or would have if there were any."""
        names = list(namespaces)
        idle = [labels for name in names for _, labels in self._templates.get(name, ())]
        return [labels for name in names for labels in self._labels_of_pods.get(name, ())] + idle

    @cached_property
    def _texts(self) -> Texts:
        return Texts(self.documents.settings)

    def mentions(self, pod: Pod) -> list[Mention]:
        """The servers that a Pod's texts name."""
        kept = self._mentions.get(str(pod))
        if kept is None:
            kept = self._mentions[str(pod)] = self._texts.mentions(pod, self.document_of(pod))
        return kept

    def pod(self, name: str) -> Pod | None:
        """The Pod of this full name."""
        return self._pods.get(name)

    @cached_property
    def _services(self) -> dict[tuple[str, str], Service]:
        return {(service.namespace, service.name): service for service in self.cluster.services}

    def service_of(self, namespace: str, name: str) -> Service | None:
        """The resolved Service of this name."""
        return self._services.get((namespace, name))

    def document_of(self, pod: Pod) -> Document | None:
        """The document that a Pod comes from; None of those that netlab adds."""
        kind, _, name = pod.owner.rpartition("/")
        return self._documents.get((kind or "Pod", pod.namespace, name or pod.name))

    def document(self, kind: str, namespace: str, name: str) -> Document | None:
        """A document of the set."""
        return self._documents.get((kind, namespace, name))

    def distinct(self, pods: Iterable[Pod]) -> list[Pod]:
        """One Pod of each kind: Pods of the same labels and ports are the same to every policy but by address."""
        return list({id(first): first for first in map(self._first, pods)}.values())

    def members(self, peer: PodPeer) -> list[Pod]:
        """The different Pods that a peer means."""
        kept = self._members.get(peer)
        if kept is None:
            kept = self._members[peer] = self.distinct(self.selection.members(peer))
        return kept

    def _first(self, pod: Pod) -> Pod:
        kept = self._firsts.get(id(pod))
        if kept is None:
            key = (pod.namespace, pod.host_network, *sorted(pod.labels.items()), *pod.ports)
            kept = self._firsts[id(pod)] = self._alike.setdefault(key, pod)
        return kept

    def party(self, pod: Pod) -> Party:
        """A Pod as an end of a packet."""
        return self.evaluator.party(str(pod.addresses[0].ip))

    def isolating(self, pod: Pod, direction: str) -> tuple[Policy, ...]:
        """The policies that isolate a Pod in a direction; none where a rule of the Admin tier may allow past them."""
        judges = self.evaluator.judges(pod, direction)
        opened = any(rule.action == ALLOW for policy in judges.admin for rule in policy.rules(direction))
        return () if opened else judges.policies

    def asleep(self, namespaces: Collection[str], matches: Callable[[Labels], bool]) -> Document | None:
        """A workload of these namespaces whose Pods would match if it had any."""
        candidates = (each for name in namespaces for each in self._templates.get(name, ()))
        return next((document for document, labels in candidates if matches(labels)), None)

    def guess(self, selector: LabelSelector, sets: Iterable[Labels]) -> Guess:
        """The label that was meant; of many selectors that match nothing only the first ones, since it takes time."""
        self._guesses += 1
        return _guess(selector, sets) if self._guesses <= _GUESSES else Guess()


def workload(pod: Pod) -> str:
    """A Pod's workload, or itself: ``namespace/name`` without hashes."""
    return f"{pod.namespace}/{pod.owner.partition('/')[2] or pod.name}"


def rules_of(policy: Policy) -> Iterator[Rule]:
    """The rules of both directions."""
    for direction in (INGRESS, EGRESS):
        yield from policy.rules(direction) or ()


def _guess(selector: LabelSelector, sets: Iterable[Labels]) -> Guess:
    """The label that was meant, where another value of one key, or another key, would make the selector match."""
    label_sets, likely = list(sets), ""
    for requirement in selector.requirements:
        if requirement.operator != "In":
            continue
        others = [other for other in selector.requirements if other is not requirement]
        rest = [labels for labels in label_sets if all(other.holds(labels) for other in others)]
        values = sorted({labels[requirement.key] for labels in rest if requirement.key in labels})
        for word in sorted(requirement.values):
            if wanted := misspelt(word, values):
                return Guess(meant(f"{requirement.key}={wanted}"), typo=True)
            keys = sorted({key for labels in rest for key, value in labels.items() if value == word})
            near, key = close(word, values), "" if requirement.key in keys else close(requirement.key, keys)
            likely = likely or (meant(f"{requirement.key}={near}") if near else meant(f"{key}={word}") if key else "")
    return _typo(selector, label_sets) or Guess(likely)


def _typo(selector: LabelSelector, label_sets: Sequence[Labels]) -> Guess | None:
    """A value that no Pod has and that is nearly one of its key, whatever the other labels are."""
    for requirement in selector.requirements:
        values = {labels[requirement.key] for labels in label_sets if requirement.key in labels}
        for word in sorted(requirement.values - values) if requirement.operator == "In" else ():
            if wanted := misspelt(word, sorted(values)):
                return Guess(meant(f"{requirement.key}={wanted}"), typo=True)
    return None


def opens(rule: Rule, pod: Pod, number: int, protocol: str, selection: Selection) -> bool:
    """Whether a rule opens a port of a Pod, to whomever."""
    return not rule.ports or any(
        selection.named_port(pod, port.name, protocol) == number
        if port.name
        else port.first is None or port.first <= number <= (port.last or port.first)
        for port in rule.ports
        if port.protocol == protocol
    )


def selector_of(service: Service) -> LabelSelector:
    """A Service's selector as a policy's."""
    return LabelSelector.of({"matchLabels": service.selector})


def _labels(document: Document) -> Labels:
    body = document.body
    if document.kind == "CronJob":
        body = body["spec"]["jobTemplate"]
    if document.kind != "Pod":
        body = body.get("spec", {}).get("template", {})
    labels: Labels = body.get("metadata", {}).get("labels", {})
    return labels


def rule_warning(policy: Policy | TierPolicy, rule: Rule | None, code: str, message: str, level: Level) -> Warning:
    """A warning about a rule of a policy, or about the whole policy."""
    name = f"NetworkPolicy {policy}" if isinstance(policy, Policy) else str(policy)
    mark = (rule.mark if rule else None) or policy.mark or Mark("", 0)
    return Warning(code, f"{name} {rule}: {message}" if rule else f"{name}: {message}", mark, name, level)
