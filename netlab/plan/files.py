"""The files of a Pod in /etc: hosts, resolv.conf and hostname, in the kubelet's form.

They stand below /etc/netns/<netns>/, from where ``ip netns exec`` and netlab's own ``exec`` bind them over /etc.
"""

from __future__ import annotations

from collections.abc import Iterator

from netlab.model import Cluster, Node, Pod
from netlab.model.services.system import DOMAIN
from netlab.objects import File, Obj
from netlab.plan.dns_resolver import node_resolv, pod_resolv
from netlab.plan.why import node_why, pod_why

_LOCAL = (
    "127.0.0.1\tlocalhost\n"
    "::1\tlocalhost ip6-localhost ip6-loopback\n"
    "fe00::0\tip6-localnet\n"
    "fe00::0\tip6-mcastprefix\n"
    "fe00::1\tip6-allnodes\n"
    "fe00::2\tip6-allrouters\n"
)


def of_nodes(cluster: Cluster) -> Iterator[Obj]:
    """The files of all nodes."""
    hosts = _node_hosts(cluster.nodes)
    for node in cluster.nodes:
        why = node_why(node)
        yield File(node.netns, "hosts", hosts, why=why)
        yield File(node.netns, "resolv.conf", node_resolv(cluster), why=why)
        yield File(node.netns, "hostname", f"{node.name}\n", why=why)


def of_pod(pod: Pod, cluster: Cluster) -> Iterator[Obj]:
    """The files of a Pod; those of one in its node's network stand beside its node's, in a folder of their own."""
    why = pod_why(pod)
    hosts = _host_network_hosts(cluster) if pod.host_network else _pod_hosts(pod)
    yield File(pod.etc, "hosts", hosts + _aliases(pod), why=why)
    yield File(pod.etc, "resolv.conf", pod_resolv(pod, cluster), why=why)
    yield File(pod.etc, "hostname", f"{pod.uts_name}\n", why=why)


def _node_hosts(nodes: tuple[Node, ...]) -> str:
    return _LOCAL + "".join(f"{address.ip}\t{node.name}\n" for node in nodes for address in node.addresses)


def _pod_hosts(pod: Pod) -> str:
    names = pod.hostname
    if pod.subdomain:
        names = f"{pod.hostname}.{pod.subdomain}.{pod.namespace}.svc.{DOMAIN}\t{pod.hostname}"
    own = "".join(f"{address.ip}\t{names}\n" for address in pod.addresses)
    return f"# Kubernetes-managed hosts file.\n{_LOCAL}{own}"


def _host_network_hosts(cluster: Cluster) -> str:
    return f"# Kubernetes-managed hosts file (host network).\n{_node_hosts(cluster.nodes)}"


def _aliases(pod: Pod) -> str:
    aliases = pod.spec.get("hostAliases", [])
    if not isinstance(aliases, list) or not aliases:
        return ""
    return "\n# Entries added by HostAliases.\n" + "".join(
        f"{alias['ip']}\t" + "\t".join(alias.get("hostnames", [])) + "\n" for alias in aliases
    )
