"""A Pod's resolv.conf, as the kubelet writes it, with the kubelet's own limits."""

from __future__ import annotations

from collections.abc import Mapping

from netlab.model import Cluster, Pod
from netlab.model.resolver import SERVERS_MAX, of_pod
from netlab.plan.dns import server_addresses

# No server is named where none serves: glibc then asks 127.0.0.1, which refuses, and names fail at once instead of
# after the 10 s that an unreachable server takes.
NODE = "# this lab has no DNS server\n"
NODE_WITH_DNS = "# nodes ask no DNS server: the cluster's names are for its Pods\n"


def node_resolv(cluster: Cluster) -> str:
    """The node's own file, which Pods with dnsPolicy Default share."""
    return NODE_WITH_DNS if cluster.dns else NODE


def pod_resolv(pod: Pod, cluster: Cluster) -> str:
    """The text of a Pod's resolv.conf."""
    resolver = of_pod(pod)
    config = pod.spec.get("dnsConfig", {})
    assert isinstance(config, Mapping)
    own = server_addresses(cluster) if resolver.by_cluster else ()
    servers = list(dict.fromkeys([*own, *map(str, config.get("nameservers", ()))]))[:SERVERS_MAX]
    lines = [f"search {' '.join(resolver.searches)}"] if resolver.searches else []
    lines += [f"nameserver {address}" for address in servers]
    shown = " ".join(f"{name}:{value}" if value else name for name, value in resolver.options.items())
    lines += [f"options {shown}"] if shown else []
    if not lines and (pod.host_network or pod.spec.get("dnsPolicy") == "Default"):
        return node_resolv(cluster)
    return "\n".join(lines) + "\n"
