"""Where faults can be, and the flows that pass there: what places and control probes are made of."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from netlab.errors import BadInput
from netlab.faults.fault import NAME, Control
from netlab.memo import Latest
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


def labelled_pods(cluster: Cluster, _: State) -> list[str]:
    """Those Pods that a document of their own describes, with labels."""
    return [str(pod) for pod in cluster.own_pods if pod.labels and not pod.owner and not pod.host_network]


def labelled_servers(cluster: Cluster, _: State) -> list[str]:
    """Those of them on which netlab's responder serves a TCP port."""
    return [str(pod) for pod in serving(cluster) if pod.labels and not pod.owner]


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
    asks = control.source, control.target, control.port, control.version
    known = _predicted(cluster)
    if asks not in known.open:
        try:
            (verdict,) = known.predictor.predict([flow_of(cluster, control)])
        except BadInput:  # no address family in common, no such end
            return False
        known.open[asks] = verdict.outcome is Outcome.OPEN
    return known.open[asks]


def flow_of(cluster: Cluster, control: Control) -> Flow:
    """The flow that a probe asks: by IPv4, unless it says otherwise.  Raises BadInput where the cluster does not have its ends."""
    target = f"[{control.target}]" if ":" in control.target else control.target
    asks = f"{target}:{control.port}"
    return asked(cluster, control.source, asks, version=control.version or 4).flow._replace(size=control.size)


class _Predicted:
    """The predictions about a cluster, each made once: a list of faults asks a thousand times."""

    def __init__(self, cluster: Cluster) -> None:
        self.predictor = Predictor(cluster)
        self.open: dict[tuple[str, str, str, int], bool] = {}


_predicted = Latest(_Predicted)


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


def from_outside(cluster: Cluster, target: str, port: str, broken: tuple[str, ...]) -> Control | None:
    """A flow from a host outside to an address or node; None where the lab has no such host."""
    return next((Control(f"external/{host.name}", target, port, broken=broken) for host in cluster.external), None)


def to_outside(cluster: Cluster, node: str, broken: tuple[str, ...], version: int = 0) -> Control | None:
    """A flow from a Pod of a node to a host outside; ``version``: of IP, 4 unless it is said."""
    for host in cluster.external:
        port = next((port.port for port in host.ports if port.protocol == "TCP"), None)
        if port is None or (version or 4) not in {address.version for address in host.addresses}:
            continue
        for pod in cluster.own_pods:
            target = f"external/{host.name}"
            control = Control(of_pod(pod), target, f"{port}/TCP", version=version, broken=broken)
            if pod.node == node and not pod.host_network and is_open(cluster, control):
                return control
    return None


def service_from(
    cluster: Cluster, node: str, broken: tuple[str, ...], *, beside: bool = False, itself: bool = False
) -> Control | None:
    """A flow from a Pod of a node to a Service.  ``beside``: whose backends are on that node too and none is the Pod,
    ``itself``: whose only backend is the Pod.
    """
    for service in cluster.services:
        if not is_usual(service) or not any(port.protocol == "TCP" for port in service.ports):
            continue
        behind = {backend.pod for backend in service.backends}
        port = next(port for port in service.ports if port.protocol == "TCP")
        for pod in cluster.own_pods:
            if pod.node != node or pod.host_network or (behind != {str(pod)} if itself else str(pod) in behind):
                continue
            if beside and {backend.node for backend in service.backends} != {node}:
                continue
            control = Control(of_pod(pod), f"svc/{service.name}.{service.namespace}", f"{port.port}/TCP", broken=broken)
            if is_open(cluster, control):
                return control
    return None


def across6(cluster: Cluster, *, source: str = "", target: str = "") -> Control | None:
    """A flow between Pods of two nodes by IPv6."""
    control = across(cluster, source=source, target=target, broken=(TIMEOUT, UNREACHABLE))
    return control._replace(version=6) if control and "IPv6" in cluster.families else None


def named(cluster: Cluster, pod: Pod | None, name: str = "") -> Control | None:
    """The look-up of a Service's name in a Pod; None in a lab without names."""
    service = next((service for service in cluster.services if is_usual(service)), None)
    if pod is None or service is None or not cluster.dns:
        return None
    if not is_open(cluster, Control(of_pod(pod), "svc/kube-dns.kube-system", "53/UDP")):
        return None
    full = name or f"{service.name}.{service.namespace}.svc.cluster.local"
    return Control(str(pod), full, kind=NAME, broken=("no address",))


def across_to(cluster: Cluster, at: str, broken: tuple[str, ...]) -> Control | None:
    """A flow to a Pod from a Pod of another node."""
    server = pod_of(cluster, at)
    pair = next((pair for pair in pairs(cluster, target=server.node) if pair[1] is server), None) if server else None
    return Control(of_pod(pair[0]), of_pod(pair[1]), port_of(pair[1]), broken=broken) if pair else None


def from_pod(cluster: Cluster, at: str, broken: tuple[str, ...]) -> Control | None:
    """A flow from a Pod to another one: of another node, where there is one."""
    pod = pod_of(cluster, at)
    if pod is None or pod.host_network:
        return None
    there = [each for each in serving(cluster) if each is not pod and is_free(cluster, pod, each)]
    server = min(there, key=lambda each: each.node == pod.node, default=None)
    return Control(of_pod(pod), of_pod(server), port_of(server), broken=broken) if server else None


def from_other_node(cluster: Cluster, at: str, broken: tuple[str, ...]) -> Control | None:
    """A flow to a Service from a Pod of a node on which it has no backend."""
    service = service_of(cluster, at)
    if service is None or not is_usual(service) or service.ports[0].protocol != "TCP":
        return None
    there = {backend.node for backend in service.backends}
    for pod in cluster.own_pods:
        target = f"svc/{service.name}.{service.namespace}"
        control = Control(of_pod(pod), target, f"{service.ports[0].port}/TCP", broken=broken)
        if pod.node not in there and not pod.host_network and is_open(cluster, control):
            return control
    return None


def to_node_port(
    cluster: Cluster, at: str, *, far: bool = False, node: str = "", broken: tuple[str, ...] = (TIMEOUT, REFUSED)
) -> Control | None:
    """A flow from outside to a node port of a Service; ``far``: of a node without a backend, ``node``: of this node."""
    service = service_of(cluster, at)
    if service is None or not is_usual(service):
        return None
    port = next((port.node_port for port in service.ports if port.node_port and port.protocol == "TCP"), 0)
    there = {backend.node for backend in service.backends}
    for each in cluster.nodes:
        if not port or (far and each.name in there) or node not in ("", each.name):
            continue
        control = from_outside(cluster, f"node/{each.name}", f"{port}/TCP", broken)
        if control and is_open(cluster, control):
            return control
    return None


def short_name(cluster: Cluster, at: str) -> Control | None:
    """The look-up of the short name of a Service of the Pod's namespace."""
    pod = pod_of(cluster, at)
    fits = (each for each in cluster.services if is_usual(each) and pod and each.namespace == pod.namespace)
    service = next(fits, None)
    return named(cluster, pod, service.name) if service else None


def node_name(cluster: Cluster, node: str = "") -> Control | None:
    """The look-up of a name in a Pod, of a node."""
    there = (pod for pod in cluster.own_pods if node in ("", pod.node) and not pod.host_network)
    return next((control for pod in there if (control := named(cluster, pod))), None)


def policies(cluster: Cluster, _: State) -> list[str]:
    """The NetworkPolicies."""
    return [str(policy) for policy in cluster.network_policies]


def denied_by(cluster: Cluster, at: str, node: str = "") -> Control | None:
    """A flow that this policy alone denies to a server (of a node); it is open where the policy has no effect."""
    policy = next((each for each in cluster.network_policies if str(each) == at), None)
    if policy is None or policy.ingress is None:
        return None
    without = replace(cluster, network_policies=tuple(each for each in cluster.network_policies if each is not policy))
    judge = Predictor(without)
    for server in serving(cluster, node):
        for pod in cluster.own_pods:
            # Of the own namespace: what a policy that is cut in two lets in, too.
            if pod is server or pod.host_network or pod.namespace != server.namespace:
                continue
            control = Control(of_pod(pod), of_pod(server), port_of(server), broken=(OPEN,))
            flow = flow_of(cluster, control)
            (now,) = _predicted(cluster).predictor.predict([flow])
            (then,) = judge.predict([flow])
            if now.outcome is not Outcome.OPEN and then.outcome is Outcome.OPEN:
                return control
    return None


def answered(cluster: Cluster, node: str, broken: tuple[str, ...]) -> Control | None:
    """A flow from a Pod of a node to a Pod that may not reach it, so that replies alone come back."""
    for pod in cluster.own_pods:
        if pod.node != node or pod.host_network:
            continue
        for server in serving(cluster):
            back = Control(of_pod(server), of_pod(pod), "40000/TCP")
            if server is pod or server.host_network or not is_free(cluster, pod, server):
                continue
            (verdict,) = _predicted(cluster).predictor.predict([flow_of(cluster, back)])
            if verdict.outcome is Outcome.DENIED:
                return Control(of_pod(pod), of_pod(server), port_of(server), broken=broken)
    return None
