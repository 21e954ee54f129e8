"""Deleted Pods: their controllers create others.

A Pod of a controller is made anew at once: with another name, but for a StatefulSet's and the lab's own DNS server.  A
Pod of a Job that has ended is not: its work is done.  A Pod that is a document of its own has no controller, or its
controller finds that it has too few.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from netlab.model.cluster import Cluster, Idle, Pod
from netlab.model.workloads.defaults import settled
from netlab.model.workloads.systempods import system_pods
from netlab.spec import Document

_POD = "/Pod/"
_ROLLING = ("StatefulSet", "DaemonSet")


def every(cluster: Cluster) -> list[Pod | Idle]:
    """All Pods, those without a network included."""
    return [*cluster.pods, *cluster.idle]


def leaving(
    cluster: Cluster, documents: Collection[str], gone: Sequence[str]
) -> tuple[tuple[str, ...], dict[str, str]]:
    """Of the objects that are deleted (by identity), those that stay away, and the slots of the Pods that end, by name.

    ``documents`` are the identities of the objects that are there.
    """
    named = {key.removeprefix(_POD) for key in gone if key.startswith(_POD)}
    pods = [pod for pod in (*every(cluster), *system_pods(cluster)) if str(pod) in named]
    finished = {str(pod) for pod in pods if isinstance(pod, Pod) and pod.ended and pod.controller.startswith("Job/")}
    away = tuple(
        key for key in gone if not key.startswith(_POD) or key in documents or key.removeprefix(_POD) in finished
    )
    return away, {str(pod): pod.slot for pod in pods if str(pod) not in finished}


def rolled(cluster: Cluster, was: Sequence[Document], now: Sequence[Document]) -> dict[str, str]:
    """The slots of the Pods that StatefulSets and DaemonSets replace, by name, because their templates changed.

    Those of a StatefulSet keep their names, and those of a DaemonSet that goes back to a template would.
    """
    earlier = {(each.kind, each.namespace, each.name): each for each in was if each.kind in _ROLLING}
    first: dict[tuple[str, str], int] = {}  # by controller: the ordinal of the first Pod that is replaced
    for each in now:
        before = earlier.get((each.kind, each.namespace, each.name))
        if before is None:
            continue
        spec = each.body.get("spec", {})
        strategy = spec.get("updateStrategy") or {}
        same = settled(spec.get("template")) == settled(before.body.get("spec", {}).get("template"))
        if not same and strategy.get("type") != "OnDelete":
            partition = (strategy.get("rollingUpdate") or {}).get("partition") or 0
            first[each.namespace, f"{each.kind}/{each.name}"] = partition
    return {
        str(pod): pod.slot
        for pod in every(cluster)
        if (ordinal := first.get((pod.namespace, pod.controller))) is not None
        and (not ordinal or int(pod.name.rpartition("-")[2]) >= ordinal)
    }


def replacements(before: Cluster, after: Cluster) -> Iterator[Pod | Idle]:
    """The Pods that are there now and were not before, those of the same name but another incarnation included."""
    earlier = {(str(pod), before.incarnations.get(pod.slot, 0)) for pod in (*every(before), *system_pods(before))}
    for pod in (*every(after), *system_pods(after)):
        if (str(pod), after.incarnations.get(pod.slot, 0)) not in earlier:
            yield pod


def with_dependents(cluster: Cluster, documents: Collection[str], wanted: Sequence[str]) -> list[str]:
    """The objects to delete, by identity, with all that goes with them; ``documents`` as in ``leaving``."""
    # With a namespace goes all that is in it.
    spaces = {key.rpartition("/")[2] for key in wanted if key.startswith("/Namespace//")}
    inside = [key for key in documents if key.split("/")[2] in spaces and key not in wanted]
    # A ReplicaSet that its Deployment makes again takes its Pods with it.
    again = [key for key in wanted if key.startswith("apps/ReplicaSet/") and key not in documents]
    sets = {(key.split("/")[2], "/".join(key.split("/")[1:4:2])) for key in again}
    inside += [f"{_POD}{pod}" for pod in every(cluster) if (pod.namespace, pod.controller) in sets]
    # A Service takes its Endpoints with it.
    ends = [key.replace("/Service/", "/Endpoints/", 1) for key in wanted if key.startswith("/Service/")]
    inside += [key for key in ends if key in documents and key not in wanted]
    return [key for key in (*wanted, *inside) if key not in again]
