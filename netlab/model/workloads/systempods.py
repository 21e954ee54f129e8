"""The DaemonSets of kube-system that program the nodes, and their Pods: kube-proxy, and the agent of the CNI project.

No process of theirs runs: netlab itself programs the nodes.  They are no part of ``Cluster.pods``, so they are in no
count and no matrix; ``get`` shows them in kube-system, with what the kernel of their node has as their state.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from netlab.model.cluster import Cluster, Container, Node, Pod, identity
from netlab.planes import Agent

NAMESPACE = "kube-system"
PROXY = Agent("kube-proxy", {"k8s-app": "kube-proxy"}, (("kube-proxy", "kube-proxy:v1.37.0"),))
_KIND = "DaemonSet"


def agents(cluster: Cluster) -> tuple[Agent, ...]:
    """The agents of each node, but for those whose DaemonSet the lab has itself."""
    made = (*((cluster.plane.agent,) if cluster.plane.agent else ()), PROXY)
    own = {pod.controller for pod in cluster.pods if pod.namespace == NAMESPACE}
    return tuple(agent for agent in made if f"{_KIND}/{agent.name}" not in own)


def daemon_sets(cluster: Cluster) -> list[dict[str, Any]]:
    """The DaemonSets, as manifests have them."""
    return [
        {
            "apiVersion": "apps/v1",
            "kind": _KIND,
            "metadata": {"name": agent.name, "namespace": NAMESPACE, "labels": dict(agent.labels)},
            "spec": {"selector": {"matchLabels": dict(agent.labels)}, "template": _template(agent)},
        }
        for agent in agents(cluster)
    ]


def _template(agent: Agent) -> dict[str, Any]:
    spec = {
        "hostNetwork": True,
        "priorityClassName": "system-node-critical",
        "serviceAccountName": agent.name,
        "nodeSelector": {"kubernetes.io/os": "linux"},
        "tolerations": [{"operator": "Exists"}],
        "containers": [{"name": name, "image": image} for name, image in agent.containers],
    }
    return {"metadata": {"labels": dict(agent.labels)}, "spec": spec}


def system_pods(cluster: Cluster) -> list[Pod]:
    """The Pods: each agent's, node by node."""
    return [pod for agent in agents(cluster) for pod in _pods(agent, cluster)]


def find(cluster: Cluster, namespace: str, name: str) -> Pod | None:
    """The Pod of that name."""
    if namespace != NAMESPACE:
        return None
    return next((pod for pod in system_pods(cluster) if pod.name == name), None)


def is_system(cluster: Cluster, kind: str, namespace: str, name: str) -> bool:
    """Whether an object is a DaemonSet or a Pod of this module."""
    if kind == _KIND:
        return namespace == NAMESPACE and any(agent.name == name for agent in agents(cluster))
    return kind == "Pod" and find(cluster, namespace, name) is not None


def _pods(agent: Agent, cluster: Cluster) -> Iterator[Pod]:
    template = _template(agent)
    revision = {"controller-revision-hash": identity.template_hash(template), "pod-template-generation": "1"}
    slots = [f"{_KIND}/{NAMESPACE}/{agent.name}/{node.name}" for node in cluster.nodes]
    members = [
        f"{node.name}.{cluster.incarnations.get(slot, 0)}" for node, slot in zip(cluster.nodes, slots, strict=True)
    ]
    words = identity.suffixes((NAMESPACE, _KIND, agent.name), members)
    for node, slot, word in zip(cluster.nodes, slots, words, strict=True):
        yield _pod(
            agent, node, slot, identity.generated(agent.name, word), {**agent.labels, **revision}, template["spec"]
        )


def _pod(agent: Agent, node: Node, slot: str, name: str, labels: Mapping[str, str], spec: Mapping[str, Any]) -> Pod:
    return Pod(
        NAMESPACE,
        name,
        node.name,
        node.netns,
        node.addresses,
        serial=0,
        mac=node.mac,
        containers=tuple(Container(container, image) for container, image in agent.containers),
        labels=labels,
        hostname=node.name,
        host_network=True,
        owner=f"{_KIND}/{agent.name}",
        spec=spec,
        etc=node.netns,
        controller=f"{_KIND}/{agent.name}",
        slot=slot,
    )
