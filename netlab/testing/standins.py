"""Pods that stand in for those that policies speak of and that the manifests do not have.

A released chart's policies speak of clients that come from other charts, and of Pods that an operator makes.  So each
selector without a Pod gets a Pod with labels that satisfy it.  A Pod for a policy's own selector serves the ports that
the policy names.  A Pod for a peer is a client, or serves the ports that the rule names.  Besides there are strangers,
whom no policy names: in each namespace that has Pods, and in one of their own; and the API server.

Each has the annotation ``netlab/stand-in``, whose value says what for.  Selectors that contradict themselves get none.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from netlab.model import Cluster, Pod
from netlab.model.cluster.policies import EGRESS, INGRESS, NAME_LABEL, LabelSelector, PodPeer, Policy, PortMatch
from netlab.model.cluster.tiers import TierPolicy
from netlab.model.selection import Selection
from netlab.spec import Text
from netlab.testing.ground import CONTROL_PLANE
from netlab.tuples import NamedTuple

FILE = "(stand-ins)"
ANNOTATION = "netlab/stand-in"
STRANGER, API_SERVER = "stranger", "API server"
SUBJECT, PEER, NAMED = "subject", "peer", "named"
API_SERVER_POD = f"kube-apiserver-{CONTROL_PLANE}"
API_PORT = 6443

_DEFAULT_PORT = 80
#: Port names that mean a number to most charts; others get the next free one.
_NUMBERS = {
    "http": 80,
    "https": 443,
    "web": 80,
    "metrics": 9090,
    "http-metrics": 9090,
    "grpc": 9095,
    "dns": 53,
    "sql": 5432,
}
_FREE_NUMBERS = 20000
#: Labels whose value is a good name for a Pod, the best first.
_NAMING = (
    "app.kubernetes.io/component",
    "app.kubernetes.io/name",
    "app.kubernetes.io/instance",
    "app",
    "name",
    "k8s-app",
)


class Wanted(NamedTuple):
    """A Pod that is to be: a value of ``role`` is the annotation's."""

    namespace: str
    name: str
    labels: Mapping[str, str]
    role: str
    ports: tuple[PortMatch, ...] = ()


def text(
    cluster: Cluster,
    named: Sequence[Wanted] = (),
    namespaces: Mapping[str, Mapping[str, str]] | None = None,
    *,
    automatic: bool = True,
) -> Text:
    """The manifests of all stand-ins of a cluster, and of the ``named`` ones; "" where there are none.

    ``automatic`` false: the named ones alone.
    """
    makers = _Maker(cluster)
    for name, labels in (namespaces or {}).items():
        makers.namespace(name, labels)
    for wanted in named:
        makers.add(wanted)
    if automatic:
        makers.subjects()
        makers.peers()
        makers.strangers()
    objects = [*makers.objects(), *(_api_server(cluster) if automatic else ())]
    body = {"apiVersion": "v1", "kind": "List", "items": objects}
    return Text(FILE, json.dumps(body, indent=1) if objects else "")


def role(pod: Pod) -> str:
    """What a Pod stands in for; "" of a Pod of the manifests."""
    return pod.annotations.get(ANNOTATION, "")


class _Maker:
    """Collects stand-ins; one that is there already serves for the next selector that means it."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._policies: tuple[Policy | TierPolicy, ...] = (*cluster.network_policies, *cluster.tiers)
        self._selection = Selection(cluster)
        self._spaces: dict[str, Mapping[str, str]] = dict(cluster.namespaces)
        self._homes = dict.fromkeys(pod.namespace for pod in cluster.own_pods)
        self._new_spaces: dict[str, Mapping[str, str]] = {}
        self._pods: dict[tuple[str, str], Wanted] = {}
        self._names = {(pod.namespace, pod.name) for pod in cluster.pods}
        self._numbers = {
            (port.name, port.protocol): port.port for pod in cluster.pods for port in pod.ports if port.name
        }

    # -- who is missing -----------------------------------------------------------------------------------------------

    def subjects(self) -> None:
        """A Pod for each policy that selects none."""
        for policy in self._policies:
            ports = [port for rule in policy.rules(INGRESS) or () for port in rule.ports]
            self._meant(policy.subject, policy, SUBJECT, ports)

    def peers(self) -> None:
        """A Pod for each peer that means nobody."""
        for policy in self._policies:
            for direction in (INGRESS, EGRESS):
                for rule in policy.rules(direction) or ():
                    for peer in rule.peers:
                        if isinstance(peer, PodPeer):
                            self._meant(peer, policy, PEER, rule.ports if direction == EGRESS else ())

    def strangers(self) -> None:
        """Pods whom no policy names."""
        own = self._homes or dict.fromkeys(policy.namespace for policy in self._cluster.network_policies)
        for namespace in own:
            self.add(Wanted(namespace, self._free(namespace, STRANGER), {}, STRANGER))
        if own:
            self.add(Wanted(self._free_space(), STRANGER, {}, STRANGER))

    def _meant(self, peer: PodPeer, policy: Policy | TierPolicy, role: str, ports: Iterable[PortMatch]) -> None:
        """A Pod that a selector of a policy means, unless there is one."""
        labels = satisfying(peer.pods)
        if labels is None or self._somebody(peer):
            return
        own = policy.namespace if isinstance(policy, Policy) else ""
        namespace = own
        if peer.namespaces is not None:
            spaces = [name for name, there in self._spaces.items() if peer.namespaces.matches(there)]
            preferred = [name for name in spaces if name == own] or [name for name in spaces if name in self._homes]
            namespace = next(iter([*preferred, *spaces]), "") or self._space(peer.namespaces)
        if namespace:
            name = _called(labels, policy.name if role == SUBJECT else role)
            self.add(Wanted(namespace, self._free(namespace, name), labels, role, tuple(dict.fromkeys(ports))))

    def _somebody(self, peer: PodPeer) -> bool:
        """Whether a Pod of the manifests or a stand-in is meant, or one of its node's network, which no policy selects."""
        if self._selection.members(peer) or any(
            self._selection.means(peer, pod) for pod in self._cluster.pods if pod.host_network
        ):
            return True
        return any(
            (peer.namespaces is None and wanted.namespace == peer.namespace)
            or (peer.namespaces is not None and peer.namespaces.matches(self._spaces[wanted.namespace]))
            for wanted in self._pods.values()
            if peer.pods.matches(wanted.labels)
        )

    # -- the Pods -----------------------------------------------------------------------------------------------------

    def namespace(self, name: str, labels: Mapping[str, str]) -> None:
        """A namespace with labels; one of the manifests stays as it is."""
        if name not in self._spaces:
            self._new_spaces[name] = labels
            self._spaces[name] = {**labels, NAME_LABEL: name}

    def add(self, wanted: Wanted) -> None:
        self.namespace(wanted.namespace, {})
        self._names.add((wanted.namespace, wanted.name))
        self._pods[wanted.namespace, wanted.name] = wanted

    def _space(self, selector: LabelSelector) -> str:
        """A new namespace that a selector means; "" where there can be none."""
        labels = satisfying(selector)
        if labels is None:
            return ""
        name = labels.pop(NAME_LABEL, "") or self._free_space(_called(labels, "namespace"))
        if name in self._spaces:
            return ""
        self.namespace(name, labels)
        return name

    def _free(self, namespace: str, name: str) -> str:
        names = (name, *(f"{name}-{number}" for number in range(2, 10_000)))
        return next(each for each in names if (namespace, each) not in self._names)

    def _free_space(self, name: str = STRANGER) -> str:
        names = (name, *(f"{name}-{number}" for number in range(2, 10_000)))
        return next(each for each in names if each not in self._spaces)

    # -- as manifests -------------------------------------------------------------------------------------------------

    def objects(self) -> Iterator[dict[str, Any]]:
        """Namespaces, then Pods."""
        for name, labels in self._new_spaces.items():
            metadata: dict[str, Any] = {"name": name, "labels": {**labels}, "annotations": {ANNOTATION: "namespace"}}
            yield {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}
        for wanted in self._pods.values():
            yield self._pod(wanted)

    def _pod(self, wanted: Wanted) -> dict[str, Any]:
        container: dict[str, Any] = {"name": "stand-in", "image": "stand-in"}
        serves = list(self._ports(wanted))
        if serves:
            container["ports"] = serves
        metadata: dict[str, Any] = {
            "name": wanted.name,
            "namespace": wanted.namespace,
            "labels": dict(wanted.labels),
            "annotations": {ANNOTATION: wanted.role},
        }
        return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"containers": [container]}}

    def _ports(self, wanted: Wanted) -> Iterator[dict[str, Any]]:
        if wanted.role == STRANGER:
            return
        seen: set[tuple[int, str]] = set()
        names: set[str] = set()
        for match in wanted.ports or (PortMatch("TCP", _DEFAULT_PORT, _DEFAULT_PORT),):
            number, protocol = match.first or self._number(match), match.protocol or "TCP"
            if (number, protocol) in seen:
                continue
            seen.add((number, protocol))
            port: dict[str, Any] = {"containerPort": number, "protocol": protocol}
            if match.name and match.name not in names:
                names.add(match.name)
                port["name"] = match.name
            yield port

    def _number(self, match: PortMatch) -> int:
        """The number of a port's name, as the manifests' Pods have it; of every port of a protocol the usual one."""
        if not match.name:
            return _DEFAULT_PORT
        number = self._numbers.get((match.name, match.protocol)) or _NUMBERS.get(match.name)
        if number is None:
            number = _FREE_NUMBERS + len(self._numbers)
        self._numbers.setdefault((match.name, match.protocol), number)
        return number


def satisfying(selector: LabelSelector) -> dict[str, str] | None:
    """Labels that a selector matches, as few as it demands; None where it contradicts itself."""
    labels: dict[str, str] = {}
    for requirement in selector.requirements:
        if requirement.operator == "In":
            values = requirement.values
            if requirement.key in labels and labels[requirement.key] in values:
                continue
            labels[requirement.key] = min(values)
        elif requirement.operator == "Exists":
            labels.setdefault(requirement.key, "true")
    return labels if selector.matches(labels) else None


def _called(labels: Mapping[str, str], otherwise: str) -> str:
    """A name for a Pod with these labels."""
    values = [labels[key] for key in _NAMING if labels.get(key)] + [value for value in labels.values() if value]
    text = re.sub(r"[^a-z0-9]+", "-", (values[0] if values else otherwise).lower()).strip("-")[:50].strip("-")
    return text or "stand-in"


def _api_server(cluster: Cluster) -> Iterator[dict[str, Any]]:
    """The API server on its own node, and what makes the Service ``kubernetes`` lead to it."""
    node = next((node for node in cluster.nodes if node.name == CONTROL_PLANE), None)
    if node is None:
        return
    if not any(pod.namespace == "kube-system" and pod.name == API_SERVER_POD for pod in cluster.pods):
        yield {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "name": API_SERVER_POD,
                "namespace": "kube-system",
                "labels": {"component": "kube-apiserver", "tier": "control-plane"},
                "annotations": {ANNOTATION: API_SERVER},
            },
            "spec": {
                "nodeName": CONTROL_PLANE,
                "hostNetwork": True,
                "containers": [
                    {
                        "name": "kube-apiserver",
                        "image": "stand-in",
                        "ports": [{"name": "https", "containerPort": API_PORT, "protocol": "TCP"}],
                    }
                ],
            },
        }
    for address in node.addresses:
        yield {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {
                "name": "kubernetes" if address.version == 4 else "kubernetes-v6",
                "namespace": "default",
                "labels": {"kubernetes.io/service-name": "kubernetes"},
            },
            "addressType": f"IPv{address.version}",
            "ports": [{"name": "https", "port": API_PORT, "protocol": "TCP"}],
            "endpoints": [{"addresses": [str(address.ip)], "conditions": {"ready": True}}],
        }
