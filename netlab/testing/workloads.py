"""Names for people: a workload stands for its replicas, and a stand-in says that it is one.

No name here holds a hash: ``deploy/ui (2)`` are the two Pods of a Deployment, ``ui`` the only one of a workload whose
name no other has.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

from netlab.model import Cluster, Pod
from netlab.oracle.flow import EXTERNAL, POD, SERVICE, Endpoint
from netlab.oracle.selectors import WORKLOADS
from netlab.testing import ground
from netlab.testing.standins import API_SERVER, PEER, STRANGER, SUBJECT, role
from netlab.tuples import NamedTuple

_SHORT = {kind: short for short, kinds in WORKLOADS.items() for kind in kinds}
OWN, STRANGERS, OUTSIDE, SERVER, OTHERS = "own", "strangers", "outside", "server", "others"


class Workload(NamedTuple):
    """Those that a name stands for.  ``group``: own, strangers, outside, server (API server), others (stand-ins, DNS).

    ``word`` is what an expectation or ``trace`` takes for it.
    """

    name: str
    namespace: str
    group: str
    word: str
    replicas: int = 1


class Workloads:
    """The workloads of a cluster.  ``home`` is the namespace that needs no mention: that of all Pods of the manifests."""

    def __init__(self, cluster: Cluster) -> None:
        own = [pod for pod in cluster.own_pods if not role(pod)]
        spaces = {pod.namespace for pod in own or cluster.own_pods if role(pod) in ("", SUBJECT)}
        self.home = next(iter(spaces)) if len(spaces) == 1 else ""
        counts = Counter((pod.namespace, pod.owner) for pod in cluster.pods if pod.owner)
        clashes = Counter(
            (pod.namespace, name)
            for pod in {(pod.namespace, pod.owner or pod.name): pod for pod in cluster.pods}.values()
            for name in [_bare(pod)]
        )
        self._pods = {
            str(pod): self._of(pod, counts[pod.namespace, pod.owner] if pod.owner else 1, clashes)
            for pod in cluster.pods
        }
        self._ends: dict[tuple[str, str], Workload] = {}
        names = sorted((name for name in self._pods if self._pods[name].word != name), key=len, reverse=True)
        self._hashed = (
            re.compile(r"(?<![\w./-])(" + "|".join(map(re.escape, names)) + r")(?![\w.-])") if names else None
        )

    def _of(self, pod: Pod, count: int, clashes: Counter[tuple[str, str]]) -> Workload:
        kind, _, name = pod.owner.partition("/")
        short = _SHORT.get(kind, kind.lower())
        suffix = f".{pod.namespace}" if pod.namespace != "default" else ""
        word = f"{short}/{name}{suffix}" if pod.owner else str(pod) if suffix else pod.name
        prefix = f"{pod.namespace}/" if pod.namespace != self.home else ""
        noun = role(pod)
        if noun == API_SERVER:
            return Workload(API_SERVER, "", SERVER, str(pod))
        if pod.system:
            return Workload("kube-dns", "", OTHERS, str(pod))
        if noun == STRANGER:
            return Workload(f"{prefix}{pod.name} (stand-in)", pod.namespace, STRANGERS, str(pod))
        if noun:
            return Workload(f"{prefix}{pod.name} (stand-in)", pod.namespace, OTHERS if noun == PEER else OWN, str(pod))
        bare = _bare(pod)
        if count > 1 or clashes[pod.namespace, bare] > 1:
            shown = f"{prefix}{short}/{name}" if pod.owner else f"{prefix}pod/{pod.name}"
            return Workload(f"{shown} ({count})" if count > 1 else shown, pod.namespace, OWN, word, count)
        return Workload(f"{prefix}{bare}", pod.namespace, OWN, word)

    def of(self, end: Endpoint) -> Workload:
        """Those that an end of a flow is one of."""
        if end.kind == POD and end.name in self._pods:
            return self._pods[end.name]
        key = end.kind, end.name
        if key not in self._ends:
            self._ends[key] = self._other(end)
        return self._ends[key]

    def _other(self, end: Endpoint) -> Workload:
        if end.kind == SERVICE:
            space, _, name = end.name.partition("/")
            shown = f"svc/{name}" if space == self.home else f"{space}/svc/{name}"
            suffix = f".{space}" if space != "default" else ""
            return Workload(shown, space, OWN, f"svc/{name}{suffix}")
        if end.kind == EXTERNAL:
            name = ground.ADDRESSES[ground.METADATA][0] if end.name == ground.METADATA else end.name
            if end.name.startswith(ground.BLOCK):
                name = f"{end.addresses[0]} (stand-in)"
            return Workload(name, "", OUTSIDE, f"external/{end.name}")
        return Workload(end.name, "", OUTSIDE, end.name)

    def shown(self, text: str) -> str:
        """A sentence in which workloads stand for the Pods that it names."""
        return self._hashed.sub(lambda match: self._pods[match[1]].name, text) if self._hashed else text


def _bare(pod: Pod) -> str:
    return pod.owner.partition("/")[2] or pod.name


def joined(names: Iterable[str], most: int = 3) -> str:
    """``a, b, c and 2 more``."""
    listed = list(dict.fromkeys(names))
    more = f" and {len(listed) - most} more" if len(listed) > most else ""
    return ", ".join(listed[:most]) + more
