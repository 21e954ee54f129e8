"""The kinds that ``get``, ``describe``, ``label`` and ``delete`` take, with the short names that kubectl has for them."""

from __future__ import annotations

from typing import NamedTuple

from netlab.errors import BadInput
from netlab.near import near


class Kind(NamedTuple):
    """A kind: its own name, its plural, its short names, its API group, whether it lives in namespaces."""

    name: str
    plural: str
    short: tuple[str, ...]
    group: str = ""
    namespaced: bool = True


KINDS = (
    Kind("Pod", "pods", ("po",)),
    Kind("Node", "nodes", ("no",), namespaced=False),
    Kind("Namespace", "namespaces", ("ns",), namespaced=False),
    Kind("Service", "services", ("svc",)),
    Kind("Endpoints", "endpoints", ("ep",)),
    Kind("EndpointSlice", "endpointslices", (), "discovery.k8s.io"),
    Kind("NetworkPolicy", "networkpolicies", ("netpol",), "networking.k8s.io"),
    Kind("Deployment", "deployments", ("deploy",), "apps"),
    Kind("StatefulSet", "statefulsets", ("sts",), "apps"),
    Kind("DaemonSet", "daemonsets", ("ds",), "apps"),
    Kind("ReplicaSet", "replicasets", ("rs",), "apps"),
    Kind("ReplicationController", "replicationcontrollers", ("rc",)),
    Kind("Job", "jobs", (), "batch"),
    Kind("CronJob", "cronjobs", ("cj",), "batch"),
    Kind("Event", "events", ("ev",)),
)
# What kubectl means by "all".
ALL = (
    "Pod",
    "ReplicationController",
    "Service",
    "DaemonSet",
    "Deployment",
    "ReplicaSet",
    "StatefulSet",
    "CronJob",
    "Job",
)


# What the kernel has: the plural, and the words that ip and bridge take.
KERNEL = {
    "links": ("link", "l"),
    "addresses": ("address", "addrs", "addr"),
    "routes": ("route", "r"),
    "neighbours": ("neighbour", "neighbors", "neighbor", "neighs", "neigh"),
    "fdb": ("fdbs",),
    "sysctls": ("sysctl",),
    "nft": ("nftables", "ruleset"),
}


def of_kernel(word: str) -> str:
    """The kernel's kind that a word means, "" where it means none."""
    return next((plural for plural, short in KERNEL.items() if word.lower() in (plural, *short)), "")


def several(words: str) -> list[Kind]:
    """The kinds that a list of words means: ``pods,svc``, ``all``; raises BadInput with a guess."""
    for word in words.split(","):
        if "," in words and (what := of_kernel(word)):
            raise BadInput(f"{what} are the kernel's, and are asked for by themselves: get {what}")
    by_name = {kind.name: kind for kind in KINDS}
    found = [[by_name[name] for name in ALL] if word == "all" else [find(word)] for word in words.split(",")]
    return list(dict.fromkeys(kind for kinds in found for kind in kinds))


def find(word: str) -> Kind:
    """The kind that a word means; raises BadInput with a guess."""
    wanted = word.lower().partition(".")[0]
    for kind in KINDS:
        if wanted in (kind.name.lower(), kind.plural, *kind.short):
            return kind
    every = [each for kind in KINDS for each in (kind.plural, *kind.short)]
    every += [each for plural, short in KERNEL.items() for each in (plural, *short)]
    raise BadInput(
        f'there is no kind "{word}"{near(wanted, every)}; there are {", ".join([*(kind.plural for kind in KINDS), *KERNEL])}'
    )
