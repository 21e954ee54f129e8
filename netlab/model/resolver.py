"""A Pod's resolver, as the kubelet makes it of dnsPolicy and dnsConfig: its search list and its options."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from netlab.model.cluster import Pod
from netlab.model.services.system import DOMAIN
from netlab.tuples import NamedTuple

_SEARCHES_MAX = 32  # the API's limit of search paths
SERVERS_MAX = 3  # glibc's MAXNS
_CLUSTER = ("ClusterFirst", "ClusterFirstWithHostNet")


class Resolver(NamedTuple):
    """``by_cluster``: the cluster's DNS servers are asked."""

    by_cluster: bool
    searches: Sequence[str]
    options: Mapping[str, str]

    def candidates(self, name: str) -> list[str]:
        """The names that the C library asks for, one after the other, until one of them exists."""
        searched = [f"{name}.{domain.rstrip('.')}" for domain in self.searches]
        ndots = self.options.get("ndots", "")
        enough = name.count(".") >= (int(ndots) if ndots.isascii() and ndots.isdigit() else 1)
        return [name, *searched] if enough else [*searched, name]


class ResolvConf(NamedTuple):
    """A file resolv.conf: its name servers, its search list and its options."""

    servers: Sequence[str]
    resolver: Resolver

    @classmethod
    def parse(cls, text: str) -> ResolvConf:
        """Read the text as the C library does: the last search list counts, and of the servers the first three."""
        servers: list[str] = []
        searches: list[str] = []
        options: dict[str, str] = {}
        for line in text.splitlines():
            word, *values = line.split()[:_SEARCHES_MAX] if line[:1] not in "#;" else [""]
            if word == "nameserver" and values:
                servers.append(values[0])
            elif word in ("search", "domain"):
                searches = values
            elif word == "options":
                options |= {name: value for name, _, value in (each.partition(":") for each in values)}
        return cls(servers[:SERVERS_MAX], Resolver(bool(servers), searches, options))


def in_hosts(text: str, name: str) -> list[str]:
    """The addresses that a hosts file gives a name."""
    lines = (line.partition("#")[0].split() for line in text.splitlines())
    return [words[0] for words in lines if name.lower() in (word.lower() for word in words[1:])]


def of_namespace(namespace: str) -> Resolver:
    """The resolver of a Pod with dnsPolicy ClusterFirst and no dnsConfig."""
    return Resolver(True, (f"{namespace}.svc.{DOMAIN}", f"svc.{DOMAIN}", DOMAIN), {"ndots": "5"})


def of_pod(pod: Pod) -> Resolver:
    """The resolver of a Pod."""
    policy = pod.spec.get("dnsPolicy", "ClusterFirst")
    if policy == "ClusterFirst" and pod.host_network:
        policy = "Default"  # the kubelet's rule: only ClusterFirstWithHostNet asks the cluster from a node's network
    config = pod.spec.get("dnsConfig", {})
    assert isinstance(config, Mapping)
    given = of_namespace(pod.namespace) if policy in _CLUSTER else Resolver(False, (), {})
    named = {each["name"]: str(each.get("value", "")) for each in config.get("options", ()) if each.get("name")}
    searches = list(dict.fromkeys([*given.searches, *map(str, config.get("searches", ()))]))[:_SEARCHES_MAX]
    return Resolver(given.by_cluster, searches, {**given.options, **named})
