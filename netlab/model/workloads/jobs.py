"""The ends of Pods that the controllers of a running lab know: what Jobs do next depends on them.

A Pod that has failed is known after the back-off of its Job: 10 s after its end, doubled for each failure before, at most
10 minutes.  Then its Job makes another, until more have failed than ``backoffLimit`` permits.  A Pod with
restartPolicy OnFailure does not end: its containers start again, and their restarts count.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from netlab.model.cluster import Cluster, Pod
from netlab.model.cluster.identity import template_hash
from netlab.spec import Document
from netlab.tuples import NamedTuple

SUCCEEDED, FAILED = "Succeeded", "Failed"
STOPPED = "Stopped"  # of a Job: it has failed, for its Pods' containers were started again too often
BACKOFF_FIRST, BACKOFF_MAX = 10.0, 600.0
_LIMIT = 6

Spec = Mapping[str, Any]


class Seen(NamedTuple):
    """A Pod as the lab's agent has it; ``at``: when it ended, in seconds of the epoch."""

    ended: bool
    failed: bool
    at: float
    restarts: int


def specs(documents: Iterable[Document], cluster: Cluster) -> dict[tuple[str, str], Spec]:
    """The specs of Jobs, those of CronJobs included, by namespace and name."""
    there = {(each.namespace, each.name): each.body["spec"] for each in documents if each.kind == "Job"}
    return there | {(each.namespace, each.name): each.spec for each in cluster.made if each.kind == "Job"}


def key(namespace: str, name: str, template: Spec) -> str:
    """The name under which a Job itself has an outcome; another template is another Job."""
    return f"Job/{namespace}/{name}/{template_hash(template)}"


def limit(spec: Spec) -> int:
    """The number of failures that a Job bears."""
    return int(spec.get("backoffLimit", _LIMIT))


def exceeded(spec: Spec, restarts: int) -> bool:
    """Whether a Job has failed by its containers' restarts."""
    return restarts > 0 and restarts >= limit(spec)


def known(
    cluster: Cluster, specs: Mapping[tuple[str, str], Spec], seen: Mapping[str, Seen], now: float
) -> tuple[dict[str, str], float | None]:
    """The ends that the controllers know now, and in how many seconds they will know the next.

    They are by ``namespace/name`` of Pods, by ``key`` of Jobs.  ``specs`` are those of Jobs, by namespace and name; Pods that the agent does not have are gone, their ends stay.
    """
    outcomes = {name: end for name, end in cluster.outcomes.items() if name not in seen or seen[name].ended}
    failures: dict[tuple[str, str], int] = {}
    restarts: dict[tuple[str, str], int] = {}
    for pod in cluster.pods:
        failures.setdefault(_job(pod), 0)
        failures[_job(pod)] += outcomes.get(str(pod)) == FAILED
        if str(pod) in seen and not seen[str(pod)].ended:
            restarts[_job(pod)] = restarts.get(_job(pod), 0) + seen[str(pod)].restarts
    waits = []
    for pod in sorted(cluster.pods, key=lambda pod: seen[str(pod)].at if str(pod) in seen else 0.0):
        name, job = str(pod), _job(pod)
        if name not in seen or name in outcomes:
            continue
        if not seen[name].ended:
            if job in specs and seen[name].restarts and exceeded(specs[job], restarts[job]):
                outcomes[key(*job, specs[job].get("template", {}))] = STOPPED
            continue
        if seen[name].failed and job in specs and failures[job] < limit(specs[job]):
            failures[job] += 1
            wait = seen[name].at + min(BACKOFF_FIRST * 2 ** (failures[job] - 1), BACKOFF_MAX) - now
            if wait > 0:
                waits.append(wait)
                continue
        outcomes[name] = FAILED if seen[name].failed else SUCCEEDED
    return outcomes, min(waits, default=None)


def _job(pod: Pod) -> tuple[str, str]:
    """The namespace and name of a Pod's Job; a name that none has where it has none."""
    kind, _, name = pod.controller.partition("/")
    return pod.namespace, name if kind == "Job" else ""
