"""Path MTU discovery is filtered away."""

from __future__ import annotations

from dataclasses import replace

from netlab.faults import traits
from netlab.faults.edit import at_node, changed, tunnels, with_rules
from netlab.faults.fault import Control, Fault
from netlab.faults.places import across, nodes
from netlab.model import Cluster, Node
from netlab.objects import State, Veth, Vxlan
from netlab.objects.tunnels import Geneve, Ipip, WireGuard


def _filter(_: Cluster, state: State, node: Node) -> State:
    devices = {link.dev for link in tunnels(state, node)} or {"eth0"}
    for kind in (Vxlan, Geneve, Ipip, WireGuard):
        state = changed(
            state,
            kind,
            lambda link: link.netns == node.netns and link.dev in devices,
            lambda link: replace(link, mtu=1280),
        )
    state = changed(
        state,
        Veth,
        lambda veth: veth.netns == node.netns and veth.end.name in devices,
        lambda veth: replace(veth, end=replace(veth.end, mtu=1280)),
    )
    rule = "icmp type destination-unreachable icmp code frag-needed counter drop"
    return with_rules(state, node.netns, "ip", "hardening", "filter output 0", rule)


def _control(cluster: Cluster, at: str) -> Control | None:
    small = across(cluster, source=at)
    return small._replace(size=60_000) if small else None


FAULT = Fault(
    id="fragmentation-needed-filtered",
    symptom="small requests and replies of Pods of this node pass to other nodes; large ones hang",
    cause="the way to the other nodes has a smaller MTU, and a filter drops the ICMP errors (fragmentation needed) that say so",
    level=3,
    source="angelnu/pod-gateway#33",
    look_alikes=("path-mtu-small", "bandwidth-tiny"),
    planes=traits.routed,
    requires="Pods on two nodes that reach each other",
    places=nodes,
    control=_control,
    on_state=at_node(_filter),
)
