"""What labs and verbs need, as names of checks."""

from __future__ import annotations

import re
from collections.abc import Mapping

from netlab.model import Cluster
from netlab.objects import NftChain, State
from netlab.runtime.host import requirements
from netlab.tuples import NamedTuple

NAMESPACES = "namespaces"
FOLDERS, ROOM = "folders", "room"
ALWAYS = (NAMESPACES, FOLDERS, "sysctls", "rules and sets")


class LabNeeds(NamedTuple):
    """``checks``: all of them; ``one_of``: any of them is enough; ``namespaces`` and ``neighbours``: how many it has;
    ``shortage``: what to do where this host has no room for it.
    """

    checks: tuple[str, ...]
    one_of: tuple[tuple[str, ...], ...] = ()
    namespaces: int = 0
    neighbours: int = 0
    shortage: str = ""


class VerbNeeds(NamedTuple):
    """``checks``: without them the verbs do not work; ``better``: check -> what is missing without it."""

    verbs: tuple[str, ...]
    checks: tuple[str, ...] = ()
    better: Mapping[str, str] = {}


_RUNNING = (
    *("down", "logs", "label", "apply", "delete", "describe", "explain", "graph", "get"),
    *("kubectl", "kubeconfig", "serve"),
)
VERBS = (
    VerbNeeds(("completion", "doctor", "labs", "page", "ls", "new", "plan", "schema", "test --predict")),
    VerbNeeds(("up", "break", "heal", *_RUNNING, "reach", "check", "test", "worker"), ALWAYS),
    VerbNeeds(("exec", "shell"), ALWAYS, {"overlay mounts": "the host's folders are read-only in Pods"}),
    VerbNeeds(("diff",), (*ALWAYS, "listing of sockets")),
    VerbNeeds(("capture", "learn", "class", "diagnose"), (*ALWAYS, "packet sockets")),
    VerbNeeds(
        ("trace",), (*ALWAYS, "packet sockets"), {"drop events": "without the kernel's own reason for a lost packet"}
    ),
    VerbNeeds(("link",), (*ALWAYS, "tbf"), {"netem": "--rate and --loss alone"}),
)


def of_lab(cluster: Cluster, state: State, words: Mapping[str, str]) -> LabNeeds:
    """The needs of a lab.  ``words``: check -> the expression that finds its words in a rule."""
    rules = "\n".join(rule for chain in state.only(NftChain) for rule in chain.rules)
    checks = [*ALWAYS, *cluster.plane.needs]
    checks += [name for name, pattern in words.items() if re.search(pattern, rules)]
    checks += ["br_netfilter"] if requirements.needs_br_netfilter(cluster) else []
    checks += ["IPv6"] if "IPv6" in cluster.families else []
    checks += requirements.programs(cluster)
    qdiscs = {("netem",) if each.values.only_netem else requirements.QDISCS for each in cluster.impairments}
    here: dict[str, int] = {}
    for pod in cluster.pods:
        here[pod.node] = here.get(pod.node, 0) + (not pod.host_network)
    # Each Pod may learn each other of its bridge, and its gateway, which learns it.
    neighbours = sum(count * (count - 1) * bool(cluster.plane.bridge) + 2 * count for count in here.values())
    return LabNeeds(
        tuple(dict.fromkeys(checks)), tuple(sorted(qdiscs)), len(cluster.pods) + len(cluster.nodes), neighbours
    )
