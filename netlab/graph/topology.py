"""The document of a lab's topology: nodes, Pods, hosts outside, racks; ``wiring`` and ``traffic`` have the rest."""

from __future__ import annotations

from collections.abc import Iterable

from netlab.graph import traffic, wiring
from netlab.graph.wiring import texts
from netlab.model import Cluster, Port
from netlab.model.topology.places import places
from netlab.objects import State
from netlab.output import graph as output
from netlab.output.places import place


def graph(cluster: Cluster, want: State, up: frozenset[tuple[str, str]] | None = None) -> output.Graph:
    """The whole topology of a lab; ``want`` is its desired state, ``up`` the kernel's links that are up."""
    return output.Graph(
        lab=cluster.lab,
        dataplane=cluster.dataplane,
        families=cluster.families,
        mtu=cluster.mtu,
        pod_mtu=cluster.pod_mtu,
        pod_cidrs=texts(cluster.pod_cidrs),
        service_cidrs=texts(cluster.service_cidrs),
        places=places(cluster),
        underlay=_underlay(cluster),
        racks=tuple(_racks(cluster)),
        nodes=tuple(_nodes(cluster)),
        pods=tuple(_pods(cluster)),
        externals=tuple(_externals(cluster)),
        devices=tuple(wiring.devices(want)),
        wires=tuple(wiring.wires(want, cluster.impairments, up)),
        bridges=tuple(wiring.bridges(want)),
        tunnels=tuple(wiring.tunnels(want)),
        routes=tuple(wiring.routes(want)),
        neighbours=tuple(wiring.neighbours(want)),
        services=tuple(traffic.services(cluster)),
        policies=tuple(traffic.policies(cluster)),
        tiers=tuple(traffic.tiers(cluster)),
        enforced=cluster.enforced,
    )


def _underlay(cluster: Cluster) -> output.Underlay:
    under = cluster.underlay
    return output.Underlay(
        kind=under.kind,
        netns=under.netns,
        cidrs=texts(under.cidrs),
        gateways=texts(under.gateways),
        mtu=under.mtu,
        learns_pod_routes=under.learns_pod_routes,
        drop_foreign_sources=under.drop_foreign_sources,
    )


def _racks(cluster: Cluster) -> Iterable[output.Rack]:
    for rack in cluster.underlay.racks:
        uplinks = tuple(output.Uplink(router=str(router), spine=str(spine)) for router, spine in rack.uplinks)
        yield output.Rack(
            name=rack.name,
            netns=rack.netns,
            cidrs=texts(rack.cidrs),
            gateways=texts(rack.gateways),
            uplinks=uplinks,
        )


def _nodes(cluster: Cluster) -> Iterable[output.Node]:
    for node in cluster.nodes:
        yield output.Node(
            name=node.name,
            netns=node.netns,
            rack=node.rack or None,
            addresses=texts(address.ip for address in node.addresses),
            pod_cidrs=texts(node.pod_cidrs),
            labels=node.labels,
            **place(node.mark),
        )


def _pods(cluster: Cluster) -> Iterable[output.Pod]:
    for pod in cluster.pods:
        yield output.Pod(
            namespace=pod.namespace,
            name=pod.name,
            node=pod.node,
            netns=pod.netns,
            addresses=texts(address.ip for address in pod.addresses),
            labels=pod.labels,
            owner=pod.owner or None,
            ready=pod.ready,
            system=pod.system,
            host_network=pod.host_network,
            ports=_ports(pod.ports),
            **place(pod.mark),
        )


def _externals(cluster: Cluster) -> Iterable[output.External]:
    for host in cluster.external:
        yield output.External(
            name=host.name,
            netns=host.netns,
            addresses=texts(address.ip for address in host.addresses),
            ports=_ports(host.ports),
            **place(host.mark),
        )


def _ports(ports: Iterable[Port]) -> tuple[output.ContainerPort, ...]:
    return tuple(
        output.ContainerPort(
            port=port.port,
            protocol=port.protocol,
            name=port.name or None,
            container=port.container or None,
            declared=port.declared,
        )
        for port in ports
    )
