"""Which flows are probed: all of a small lab, else such that each way and each rule is used by one of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from netlab.model.cluster import Cluster
from netlab.oracle.endpoints import Endpoints
from netlab.oracle.flow import EXTERNAL, NODE, POD, SERVICE, Endpoint, Flow
from netlab.oracle.flows import flows

ALL = 150  # flows; a lab that has no more is probed whole
BIG = 3000  # bytes: more than a packet of any data plane, so that full packets must arrive


def choose(cluster: Cluster, most: int = ALL) -> list[Flow]:
    """The flows to probe."""
    endpoints = Endpoints(cluster)
    everything = [*flows(cluster), *_from_nodes(endpoints), *_to_node_ports(cluster, endpoints)]
    if len(everything) > most:
        everything = list(_covering(everything, endpoints))
    return [*everything, *_big(everything, endpoints)]


def _covering(everything: Iterable[Flow], endpoints: Endpoints) -> Iterator[Flow]:
    """Each flow that has a feature which no flow before it has."""
    seen: set[tuple[object, ...]] = set()
    for flow in everything:
        features = set(_features(flow, endpoints))
        if not features <= seen:
            seen |= features
            yield flow


def _features(flow: Flow, endpoints: Endpoints) -> Iterator[tuple[object, ...]]:
    near, far = node_of(flow.src, endpoints), node_of(flow.dst, endpoints)
    six, itself = ":" in flow.address, flow.src == flow.dst
    port = flow.port, flow.protocol
    yield "source", flow.src.name, six, flow.dst.kind if flow.dst.kind in (SERVICE, EXTERNAL) else ""
    yield "target", flow.dst.name, flow.address, port, near == far, itself
    yield "nodes", near, far, six, flow.dst.kind, flow.protocol
    yield "workloads", _workload(flow.src, endpoints), _workload(flow.dst, endpoints), port, six


def _workload(end: Endpoint, endpoints: Endpoints) -> str:
    pod = endpoints.pod_of.get(end.name) if end.kind == POD else None
    return f"{end.kind} {pod.owner or pod if pod else end.name}"


def node_of(end: Endpoint, endpoints: Endpoints) -> str:
    """The node of a Pod or of a node itself; "" of what is on no node."""
    if end.kind == NODE:
        return end.name
    pod = endpoints.pod_of.get(end.name) if end.kind == POD else None
    return pod.node if pod else ""


def _from_nodes(endpoints: Endpoints) -> Iterator[Flow]:
    """As the kubelet's probes and hostNetwork Pods: each node to a Pod of each node, where the paths have answers."""
    by_node: dict[str, Endpoint] = {}
    for name, pod in endpoints.pod_of.items():
        if pod.ports and pod.ready and not pod.host_network and not pod.system:
            by_node.setdefault(pod.node, endpoints.pods[name])
    for node in endpoints.nodes.values():
        for target in by_node.values():
            for port, protocol in endpoints.ports(target, undeclared=False)[:1]:
                for address in target.addresses:
                    yield Flow.to(node, target, address, port, protocol)


def _to_node_ports(cluster: Cluster, endpoints: Endpoints) -> Iterator[Flow]:
    """Each NodePort at each node, from outside and from a Pod of each node."""
    pods = {pod.node: endpoints.pods[name] for name, pod in endpoints.pod_of.items() if not pod.system}
    sources = [*endpoints.external.values(), *pods.values()]
    for service in cluster.services:
        for port in service.ports:
            if not port.node_port:
                continue
            for source in sources:
                for node in endpoints.nodes.values():
                    for address in node.addresses[:1]:
                        if any((":" in own) == (":" in address) for own in source.addresses):
                            yield Flow.to(source, node, address, port.node_port, port.protocol)


def _big(chosen: Sequence[Flow], endpoints: Endpoints) -> Iterator[Flow]:
    """Full packets: a TCP flow for each pair of nodes and family, and into each Pod."""
    seen: set[tuple[object, ...]] = set()
    for flow in chosen:
        if flow.protocol != "TCP" or flow.dst.kind != POD or flow.src.kind not in (POD, EXTERNAL):
            continue
        if flow.src == flow.dst:
            continue
        six = ":" in flow.address
        nodes = node_of(flow.src, endpoints), node_of(flow.dst, endpoints)
        features: set[tuple[object, ...]] = {("nodes", *nodes, six), ("source", flow.src.name)}
        features.add(("target", flow.dst.name))
        if not features <= seen:
            seen |= features
            yield flow._replace(size=BIG)
