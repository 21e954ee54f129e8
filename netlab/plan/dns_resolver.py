"""A Pod's resolv.conf, as the kubelet writes it: dnsPolicy, dnsConfig, and the kubelet's own limits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from netlab.model import Cluster, Pod
from netlab.model.services_system import DOMAIN
from netlab.plan.dns import server_addresses

_SERVERS_MAX, _SEARCHES_MAX = 3, 32  # glibc's MAXNS; the API's limit of search paths
# No server is named where none serves: glibc then asks 127.0.0.1, which refuses, and names fail at once instead of
# after the 10 s that an unreachable server takes.
NODE = "# this lab has no DNS server\n"
NODE_WITH_DNS = "# nodes ask no DNS server: the cluster's names are for its Pods\n"


def node_resolv(cluster: Cluster) -> str:
    """The node's own file, which Pods with dnsPolicy Default share."""
    return NODE_WITH_DNS if cluster.dns else NODE


def pod_resolv(pod: Pod, cluster: Cluster) -> str:
    """The text of a Pod's resolv.conf."""
    policy = pod.spec.get("dnsPolicy", "ClusterFirst")
    if policy == "ClusterFirst" and pod.host_network:
        policy = "Default"  # the kubelet's rule: only ClusterFirstWithHostNet asks the cluster from a node's network
    servers: list[str] = []
    searches: list[str] = []
    options: dict[str, str] = {}
    config = pod.spec.get("dnsConfig", {})
    assert isinstance(config, Mapping)
    if policy in ("ClusterFirst", "ClusterFirstWithHostNet"):
        servers += server_addresses(cluster)
        searches += [f"{pod.namespace}.svc.{DOMAIN}", f"svc.{DOMAIN}", DOMAIN]
        options["ndots"] = "5"
    servers = _merged(servers, config.get("nameservers", ()))[:_SERVERS_MAX]
    searches = _merged(searches, config.get("searches", ()))[:_SEARCHES_MAX]
    for one in config.get("options", ()):
        if one.get("name"):
            options[one["name"]] = str(one.get("value", ""))
    lines = [f"search {' '.join(searches)}"] if searches else []
    lines += [f"nameserver {one}" for one in servers]
    shown = " ".join(f"{name}:{value}" if value else name for name, value in options.items())
    lines += [f"options {shown}"] if shown else []
    if not servers and policy == "Default" and not lines:
        return node_resolv(cluster)
    return "\n".join(lines) + "\n"


def _merged(first: Sequence[str], second: Sequence[Any]) -> list[str]:
    return list(dict.fromkeys([*first, *map(str, second)]))
