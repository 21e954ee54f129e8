"""Where faults can be, and the flows that pass there: what places and control probes are made of."""

from __future__ import annotations

from collections.abc import Iterator

from netlab.faults.fault import Control
from netlab.model import Cluster, Node, Pod
from netlab.model.cluster.services import EXTERNAL_NAME, Service
from netlab.objects import State
from netlab.oracle.flow import Flow, Outcome
from netlab.oracle.predict import Predictor
from netlab.oracle.target import asked

TIMEOUT, REFUSED, UNREACHABLE, OPEN = "timeout", "refused", "unreachable", "open"


def nodes(cluster: Cluster, _: State) -> list[str]:
    """All nodes."""
    return [node.name for node in cluster.nodes]


def pods(cluster: Cluster, _: State) -> list[str]:
    """All Pods of the author with a network of their own."""
    return [str(pod) for pod in cluster.own_pods if not pod.host_network]


def servers(cluster: Cluster, _: State) -> list[str]:
    """The Pods on which netlab's responder serves a TCP port."""
    return [str(pod) for pod in serving(cluster)]


def services(cluster: Cluster, _: State) -> list[str]:
    """The Services with a cluster address and a backend."""
    return [str(service) for service in cluster.services if is_usual(service)]


def is_usual(service: Service) -> bool:
    """Whether it is the author's and has an address, a selector and a backend."""
    return not service.system and bool(service.cluster_ips and service.selector and service.serving)


def serving(cluster: Cluster, node: str = "") -> list[Pod]:
    """Pods on which the responder serves a declared TCP port; of this node, where one is named."""
    return [
        pod
        for pod in cluster.own_pods
        if (not node or pod.node == node)
        and not pod.host_network
        and any(port.protocol == "TCP" and port.served_by == "responder" and port.declared for port in pod.ports)
    ]


def port_of(pod: Pod) -> str:
    """A TCP port that the Pod serves, as ``80/TCP``."""
    return next(f"{port.port}/TCP" for port in pod.ports if port.protocol == "TCP" and port.declared)


def node_of(cluster: Cluster, name: str) -> Node | None:
    """The node of that name."""
    return next((node for node in cluster.nodes if node.name == name), None)


def pod_of(cluster: Cluster, name: str) -> Pod | None:
    """The Pod of that ``namespace/name``."""
    return next((pod for pod in cluster.pods if str(pod) == name), None)


def service_of(cluster: Cluster, name: str) -> Service | None:
    """The Service of that ``namespace/name``."""
    return next((each for each in cluster.services if str(each) == name and each.kind != EXTERNAL_NAME), None)


def pairs(cluster: Cluster, *, source: str = "", target: str = "") -> Iterator[tuple[Pod, Pod]]:
    """Pods and Pods that serve, on different nodes, that reach each other; of the nodes that are named."""
    for server in serving(cluster, target):
        for pod in cluster.own_pods:
            if pod.host_network or pod.node == server.node or (source and pod.node != source):
                continue
            if is_free(cluster, pod, server):
                yield pod, server


def neighbours(cluster: Cluster, node: str) -> Iterator[tuple[Pod, Pod]]:
    """Pods and other Pods that serve, on one node."""
    for server in serving(cluster, node):
        for pod in cluster.own_pods:
            if pod is not server and not pod.host_network and pod.node == node and is_free(cluster, pod, server):
                yield pod, server


def is_free(cluster: Cluster, pod: Pod, server: Pod) -> bool:
    """Whether the Pod reaches the other one's port, as predicted."""
    return is_open(cluster, Control(of_pod(pod), of_pod(server), port_of(server)))


def is_open(cluster: Cluster, control: Control) -> bool:
    """Whether the flow of a probe is open in this cluster, as predicted."""
    (verdict,) = predictor(cluster).predict([flow_of(cluster, control)])
    return verdict.outcome is Outcome.OPEN


def flow_of(cluster: Cluster, control: Control) -> Flow:
    """The flow that a probe asks; Raises BadInput where the cluster does not have its ends."""
    target = f"[{control.target}]" if ":" in control.target else control.target
    asks = f"{target}:{control.port}"
    return asked(cluster, control.source, asks, version=control.version).flow._replace(size=control.size)


class _Last:
    """The predictor of the cluster that was asked about last: a fault asks a hundred times."""

    cluster: Cluster | None = None
    predictor: Predictor | None = None


def predictor(cluster: Cluster) -> Predictor:
    """The predictor of a cluster."""
    if _Last.predictor is None or _Last.cluster is not cluster:
        _Last.cluster, _Last.predictor = cluster, Predictor(cluster)
    return _Last.predictor


def of_pod(pod: Pod) -> str:
    """The selector of a Pod."""
    return f"pod/{pod.name}.{pod.namespace}"


def across(
    cluster: Cluster, *, source: str = "", target: str = "", broken: tuple[str, ...] = (TIMEOUT,)
) -> Control | None:
    """A flow from a Pod of one node to one of another; None where the lab has none."""
    pair = next(pairs(cluster, source=source, target=target), None)
    return Control(of_pod(pair[0]), of_pod(pair[1]), port_of(pair[1]), broken=broken) if pair else None


def inside(cluster: Cluster, node: str, broken: tuple[str, ...] = (TIMEOUT,)) -> Control | None:
    """A flow between two Pods of a node; None where it has none."""
    pair = next(neighbours(cluster, node), None)
    return Control(of_pod(pair[0]), of_pod(pair[1]), port_of(pair[1]), broken=broken) if pair else None


def client_of(cluster: Cluster, server: Pod) -> Pod | None:
    """A Pod that reaches another one where nothing is broken: of another node, where there is one."""
    there = [
        pod for pod in cluster.own_pods if pod is not server and not pod.host_network and is_free(cluster, pod, server)
    ]
    return min(there, key=lambda pod: pod.node == server.node, default=None)


def to_pod(cluster: Cluster, at: str, broken: tuple[str, ...]) -> Control | None:
    """A flow to a Pod; None where no other Pod reaches it."""
    server = next((pod for pod in serving(cluster) if str(pod) == at), None)
    client = client_of(cluster, server) if server else None
    return Control(of_pod(client), of_pod(server), port_of(server), broken=broken) if server and client else None


def to_service(cluster: Cluster, at: str, broken: tuple[str, ...]) -> Control | None:
    """A flow to a Service's address from a Pod that is none of its backends, where there is one."""
    service = service_of(cluster, at)
    if service is None or not service.serving or not any(port.protocol == "TCP" for port in service.ports):
        return None
    behind = {backend.pod for backend in service.backends}
    port = next(port for port in service.ports if port.protocol == "TCP")
    for pod in cluster.own_pods:
        control = Control(of_pod(pod), f"svc/{service.name}.{service.namespace}", f"{port.port}/TCP", broken=broken)
        if str(pod) not in behind and not pod.host_network and is_open(cluster, control):
            return control
    return None
