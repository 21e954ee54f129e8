"""The status that controllers count from their Pods: of Deployments, Jobs and the like.

Nothing is stored: a status is counted from the Pods as ``get pods`` shows them, each time.  A Job whose document states
that it has ended keeps its own words, and a hook that is a Job is complete, since Helm waits for it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

from netlab.cli.kinds.kind import Item
from netlab.cli.kinds.request import Running
from netlab.model.anew import every
from netlab.model.workloads import jobs
from netlab.model.workloads.owners import ENDED, revision
from netlab.model.workloads.systempods import system_pods

_HOOK = "helm.sh/hook"


class _Pods:
    """The Pods of one workload, as the API returns them; those that terminate left out."""

    def __init__(self, items: Sequence[Item]) -> None:
        self.items = items

    @cached_property
    def active(self) -> list[Item]:
        return [pod for pod in self.items if pod["status"]["phase"] not in ENDED]

    @cached_property
    def ready(self) -> int:
        return sum(condition(pod, "Ready") for pod in self.active)

    def phase(self, name: str) -> int:
        return sum(pod["status"]["phase"] == name for pod in self.items)


class Statuses:
    """The statuses of a running lab's workloads; ``pods`` are its Pods, ``sets`` its ReplicaSets, as items."""

    def __init__(self, running: Running, pods: Sequence[Item], sets: Sequence[Item]) -> None:
        self._sets, self._outcomes = sets, running.cluster.outcomes
        items = {(pod["metadata"]["namespace"], pod["metadata"]["name"]): pod for pod in pods}
        self._of: dict[tuple[str, str], list[Item]] = {}
        for pod in (*every(running.cluster), *system_pods(running.cluster)):
            item = items.get((pod.namespace, pod.name))  # the system's are there only where somebody asks for them
            if item is not None and "deletionTimestamp" not in item["metadata"]:
                for owner in {pod.owner, pod.controller}:
                    self._of.setdefault((pod.namespace, owner), []).append(item)

    def pods(self, item: Item) -> _Pods:
        """The Pods of a workload."""
        metadata = item["metadata"]
        return _Pods(self._of.get((metadata["namespace"], f"{item['kind']}/{metadata['name']}"), ()))

    def scaled(self, item: Item) -> Item:
        """A workload with its status; a ReplicaSet of a Deployment wants as many Pods as that lets it have."""
        whole = {**item, "status": _STATUS[item["kind"]](self, item, self.pods(item))}
        if item["kind"] == "ReplicaSet" and item["metadata"].get("ownerReferences"):
            whole["spec"] = {**item["spec"], "replicas": whole["status"]["replicas"]}
        return whole

    def _deployment(self, item: Item, pods: _Pods) -> Item:
        wanted, name = item.get("spec", {}).get("replicas", 1), item["metadata"]["name"]
        own = [replicas for replicas in self._sets if _owned(replicas, item)]
        running = [replicas for replicas in own if self.pods(replicas).active]
        newest = max(running or own, key=revision, default=None)
        updated = self.pods(newest) if newest else pods
        counts = {"replicas": len(pods.active), "updatedReplicas": len(updated.active), "readyReplicas": pods.ready}
        short = wanted - pods.ready
        counts |= {"availableReplicas": pods.ready, "unavailableReplicas": max(0, short)}
        most = _unavailable(item.get("spec", {}), wanted)
        enough = short <= most
        reasons = ("MinimumReplicasAvailable", "Deployment has minimum availability.") if enough else (
            "MinimumReplicasUnavailable", "Deployment does not have minimum availability.")  # fmt: skip
        done = "NewReplicaSetAvailable" if short <= 0 else "ReplicaSetUpdated"
        progress = "has successfully progressed" if short <= 0 else "is progressing"
        message = f'ReplicaSet "{newest["metadata"]["name"] if newest else name}" {progress}.'
        conditions = [_stated(item, "Available", enough, *reasons), _stated(item, "Progressing", True, done, message)]
        return {"observedGeneration": 1, **_counted(counts), "conditions": conditions}

    def _replica_set(self, item: Item, pods: _Pods) -> Item:
        more = {"fullyLabeledReplicas": len(pods.active), "readyReplicas": pods.ready, "availableReplicas": pods.ready}
        return {"replicas": len(pods.active), **_counted(more), "observedGeneration": 1}

    def _stateful_set(self, item: Item, pods: _Pods) -> Item:
        count = len(pods.active)
        more = _counted({"readyReplicas": pods.ready, "currentReplicas": count, "updatedReplicas": count})
        words = {pod["metadata"]["labels"].get("controller-revision-hash", "") for pod in pods.items} - {""}
        revision = {"currentRevision": max(words), "updateRevision": max(words)} if words else {}
        return {"observedGeneration": 1, "replicas": count, **more, **revision,
                "availableReplicas": pods.ready, "collisionCount": 0}  # fmt: skip

    def _daemon_set(self, item: Item, pods: _Pods) -> Item:
        count = len(pods.active)
        more = {"updatedNumberScheduled": count, "numberAvailable": pods.ready, "numberUnavailable": count - pods.ready}
        status = {"currentNumberScheduled": count, "numberMisscheduled": 0, "desiredNumberScheduled": count}
        return {**status, "numberReady": pods.ready, "observedGeneration": 1, **_counted(more)}

    def _job(self, item: Item, pods: _Pods) -> Item:
        stated, spec = item.get("status", {}), item["spec"]
        if finished({"status": stated}):
            return dict(stated)
        begun = _created(item)
        if _HOOK in item["metadata"].get("annotations", {}):
            many = spec.get("completions", spec.get("parallelism", 1))
            return {"startTime": begun, "completionTime": begun, "succeeded": many, "conditions": _complete(item)}
        if spec.get("suspend"):
            return {"conditions": [_stated(item, "Suspended", True, "JobSuspended", "Job suspended")]}
        active, succeeded, failed = pods.active, pods.phase("Succeeded"), pods.phase("Failed")
        status = {"startTime": begun, **_counted({"active": len(active), "succeeded": succeeded, "failed": failed})}
        status |= {"ready": pods.ready, "uncountedTerminatedPods": {}}
        if succeeded and succeeded >= spec.get("completions", 1) and not active:
            return status | {"completionTime": max(map(_ended, pods.items), default=begun) or begun,
                             "conditions": _complete(item)}  # fmt: skip
        if failed > jobs.limit(spec) or self._stopped(item):
            message = "Job has reached the specified backoff limit"
            return status | {"conditions": [_stated(item, "Failed", True, "BackoffLimitExceeded", message)]}
        return status

    def _stopped(self, job: Item) -> bool:
        """Whether a Job has ended its Pods, which had been started again too often."""
        return (
            jobs.key(job["metadata"]["namespace"], job["metadata"]["name"], job["spec"]["template"]) in self._outcomes
        )

    def _cron_job(self, item: Item, pods: _Pods) -> Item:
        namespace = item["metadata"]["namespace"]
        names = {each["name"] for pod in pods.active for each in pod["metadata"].get("ownerReferences", ())}
        active = [{"apiVersion": "batch/v1", "kind": "Job", "name": name, "namespace": namespace}
                  for name in sorted(names)]  # fmt: skip
        last = {"lastScheduleTime": _created(item)} if pods.items else {}
        return ({"active": active} if active else {}) | last


_STATUS: dict[str, Callable[[Statuses, Item, _Pods], Item]] = {
    "Deployment": Statuses._deployment,
    "ReplicaSet": Statuses._replica_set,
    "ReplicationController": Statuses._replica_set,
    "StatefulSet": Statuses._stateful_set,
    "DaemonSet": Statuses._daemon_set,
    "Job": Statuses._job,
    "CronJob": Statuses._cron_job,
}


def _created(item: Item) -> str:
    return str(item["metadata"]["creationTimestamp"])


def _stated(item: Item, kind: str, status: bool, reason: str, message: str) -> Item:
    stated = {"type": kind, "status": str(status), "reason": reason, "message": message}
    return {**stated, "lastTransitionTime": _created(item)}


def _complete(item: Item) -> list[Item]:
    message = "Reached expected number of succeeded pods"
    return [_stated(item, kind, True, "CompletionsReached", message) for kind in ("SuccessCriteriaMet", "Complete")]


def _counted(counts: Mapping[str, int]) -> Item:
    """Counts as the API writes them: without those that are 0."""
    return {name: count for name, count in counts.items() if count}


def condition(item: Item, kind: str) -> bool:
    """Whether the status of an object has a condition."""
    return any(
        condition["type"] == kind and condition["status"] == "True"
        for condition in item["status"].get("conditions", ())
    )


def finished(item: Item) -> str:
    """The end of a Job: Complete or Failed; "" while it runs."""
    return next((kind for kind in ("Complete", "Failed") if condition(item, kind)), "")


def _owned(item: Item, by: Item) -> bool:
    metadata = item["metadata"]
    return metadata["namespace"] == by["metadata"]["namespace"] and any(
        each.get("controller") and (each["kind"], each["name"]) == (by["kind"], by["metadata"]["name"])
        for each in metadata.get("ownerReferences", ())
    )


def _ended(pod: Item) -> str:
    """When the last container of a Pod ended: a stamp, or "" where none says."""
    ends = [status["state"]["terminated"].get("finishedAt", "") for status in pod["status"].get("containerStatuses", ())
            if "terminated" in status.get("state", {})]  # fmt: skip
    return max(ends, default="")


def _unavailable(spec: Mapping[str, Any], count: int) -> int:
    """The number of Pods that may be unavailable in a rollout: by default 25 %, rounded down."""
    strategy = spec.get("strategy") or {}
    if strategy.get("type") == "Recreate":
        return 0
    most = str((strategy.get("rollingUpdate") or {}).get("maxUnavailable", "25%"))
    number = most.removesuffix("%")
    if not number.isdecimal():
        return 0
    return count * int(number) // 100 if most.endswith("%") else int(number)
