"""Objects that controllers create: the Pods of workloads, the ReplicaSets of Deployments, the Jobs of CronJobs.

Names, labels, hostnames and owners are those that the controllers of kube-controller-manager give; letters and numbers
that they draw at random or from the clock are hashes (``identity``).  A changed template makes other Pods, with other
names, as a rollout does: ``pod-template-hash`` and the suffixes depend on it.  Pods of a StatefulSet keep theirs.

A Deployment whose ReplicaSets are documents (a dump) runs those; its rollouts are ``rollouts``'.

A Pod of a Job that has ended gets a successor while its Job needs another and backoffLimit permits it: ``outcomes`` are
the ends that the Job's controller knows (``jobs``).

Limits.  A CronJob has one Job.  Of a Job's fields backoffLimitPerIndex, podFailurePolicy, successPolicy and deadlines have
no effect.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from netlab.model.cluster import Made, Node, identity
from netlab.model.workloads import jobs, nodefit, rollouts
from netlab.model.workloads.owners import ENDED, HASH, REVISION, Owners, Reference, controller, phase, revision
from netlab.model.workloads.templates import WORKLOADS, Template
from netlab.spec import Document
from netlab.spec.hooks import has_ended
from netlab.tuples import NamedTuple

_INDEX = "batch.kubernetes.io/job-completion-index"


class _Source(NamedTuple):
    """A controller that makes Pods, and where its template stands; ``owner`` is the workload that the user wrote."""

    kind: str
    namespace: str
    name: str
    spec: Mapping[str, Any]
    document: Document
    path: tuple[str, ...]
    owner: str

    @property
    def template(self) -> Mapping[str, Any]:
        template: Mapping[str, Any] = self.spec.get("template", {})
        return template


class _Attempt(NamedTuple):
    """A Pod of a Job; ``outcome`` is "" while its controller knows of no end.

    ``annotations`` have its completion index, where the Job is Indexed.
    """

    name: str
    slot: str
    outcome: str
    annotations: Mapping[str, str] = MappingProxyType({})
    spec: Mapping[str, Any] | None = None


class Controllers:
    """The Pods and objects of one lab; ``incarnations`` by slot, ``on`` where its DaemonSets' Pods already are.

    ``paused``: the templates that paused Deployments run, by ``namespace/name``.  ``outcomes``: ``jobs.known``.
    """

    def __init__(
        self,
        lab: str,
        documents: Sequence[Document],
        nodes: Sequence[Node] = (),
        incarnations: Mapping[str, int] | None = None,
        on: frozenset[tuple[str, str]] = frozenset(),
        paused: Mapping[str, Mapping[str, Any]] | None = None,
        outcomes: Mapping[str, str] | None = None,
    ) -> None:
        self._lab, self._nodes, self._incarnations, self._on = lab, nodes, incarnations or {}, on
        self._documents = [document for document in documents if not has_ended(document)]
        self._owners = Owners(self._documents)
        gone = {(pod.namespace, pod.name) for pod in rollouts.gone(self._documents, self._owners)}
        if gone:
            self._documents = [document for document in self._documents
                               if document.kind != "Pod" or (document.namespace, document.name) not in gone]  # fmt: skip
            self._owners = Owners(self._documents)
        self.made: list[Made] = []
        self.jobs: set[str] = set()  # by ``jobs.key``
        self._paused, self._outcomes = paused or {}, outcomes or {}
        self.paused: dict[str, Mapping[str, Any]] = {}  # the templates that paused Deployments run

    def templates(self) -> Iterator[Template]:
        """The Pods, in document order; ``made`` is whole when all are asked for."""
        for document in self._documents:
            if document.kind == "Pod":
                yield self._of_document(document)
            elif document.kind in WORKLOADS:
                yield from self._of_workload(document)

    def _of_document(self, document: Document) -> Template:
        body, reference = document.body, controller(document)
        return Template(
            document.namespace,
            document.name,
            body["metadata"],
            body["spec"],
            document,
            (),
            self._owners.top(document),
            body["spec"].get("nodeName", ""),
            body.get("status", {}),
            f"{reference.kind}/{reference.name}" if reference else "",
            f"Pod/{document.namespace}/{document.name}",
        )

    def _of_workload(self, document: Document) -> Iterable[Template]:
        spec = document.body.get("spec", {})
        owner = self._owners.top(document) or f"{document.kind}/{document.name}"
        source = _Source(document.kind, document.namespace, document.name, spec, document, ("spec", "template"), owner)
        if document.kind == "Deployment":
            return self._deployment(source)
        if document.kind == "CronJob":
            return self._cron_job(source)
        there = self._owners.running(document)
        if document.kind == "DaemonSet":
            return self._daemon_set(source, {pod.body["spec"].get("nodeName", "") for pod in there})
        if document.kind == "StatefulSet":
            return self._stateful_set(source)
        if document.kind == "Job":
            return self._job(source)
        count = spec.get("replicas", 1)
        if document.kind == "ReplicaSet":
            count = rollouts.share(document, self._owners)
        return self._replicas(source, count - len(there), {})

    # -- Deployments --------------------------------------------------------------------------------------------------

    def _deployment(self, source: _Source) -> Iterator[Template]:
        sets = self._owners.of(source.document, "ReplicaSet")
        if sets and rollouts.current(source.document, self._owners) is not None:
            return
        if source.spec.get("paused"):
            full = f"{source.namespace}/{source.name}"
            template = self.paused[full] = self._paused.get(full, source.template)
            source = source._replace(spec={**source.spec, "template": template})
        there = self._owners.running(source.document)
        word = identity.template_hash(source.template)
        absent = self._owners.absent.get((source.kind, source.namespace, source.name))
        if absent is not None:  # the Pods of a dump name the ReplicaSet
            word = absent.name.removeprefix(f"{source.name}-")
        count = source.spec.get("replicas", 1)
        labels = {**source.template.get("metadata", {}).get("labels", {}), HASH: word}
        selector = source.spec.get("selector", {})
        selector = {**selector, "matchLabels": {**selector.get("matchLabels", {}), HASH: word}}
        template = {**source.template, "metadata": {**source.template.get("metadata", {}), "labels": labels}}
        name = f"{source.name}-{word}"
        annotations = {
            "deployment.kubernetes.io/desired-replicas": str(count),
            "deployment.kubernetes.io/max-replicas": str(count + _surge(source.spec, count)),
            REVISION: str(1 + max((revision(replica_set.body)[0] for replica_set in sets), default=0)),
        }
        spec = {"replicas": count, "selector": selector, "template": template}
        self._make("ReplicaSet", name, source, labels, annotations, spec)
        made = source._replace(kind="ReplicaSet", name=name)
        yield from self._replicas(made, count - len(there), {HASH: word})

    def _make(
        self,
        kind: str,
        name: str,
        source: _Source,
        labels: Mapping[str, str],
        annotations: Mapping[str, str],
        spec: Mapping[str, Any],
    ) -> None:
        version = "apps/v1" if kind == "ReplicaSet" else "batch/v1"
        owner = Reference(source.kind, source.name)
        self.made.append(Made(version, kind, source.namespace, name, labels, annotations, owner, spec))

    # -- the others ---------------------------------------------------------------------------------------------------

    def _replicas(self, source: _Source, count: int, labels: Mapping[str, str]) -> Iterator[Template]:
        slots = [self._slot(source, number) for number in range(count)]
        for word, slot in zip(self._words(source, slots), slots, strict=True):
            yield self._pod(source, identity.generated(source.name, word), slot, labels=labels)

    def _daemon_set(self, source: _Source, taken: set[str]) -> Iterator[Template]:
        spec = {**source.template.get("spec", {})}
        spec["tolerations"] = [*spec.get("tolerations", ()), *nodefit.daemon_tolerations(spec)]
        source = source._replace(spec={**source.spec, "template": {**source.template, "spec": spec}})
        # A Pod stays on its node where a taint with NoSchedule comes later.
        slots = {node.name: self._slot(source, node.name) for node in self._nodes if node.name not in taken}
        there = [node for node in self._nodes if node.name in slots
                 and nodefit.may_run(spec, node, runs=(slots[node.name], node.name) in self._on)]  # fmt: skip
        words = self._words(source, [slots[node.name] for node in there])
        labels = {"controller-revision-hash": identity.template_hash(source.template), "pod-template-generation": "1"}
        for word, node in zip(words, there, strict=True):
            name = identity.generated(source.name, word)
            yield self._pod(source, name, slots[node.name], labels=labels, node=node.name)

    def _stateful_set(self, source: _Source) -> Iterator[Template]:
        start = source.spec.get("ordinals", {}).get("start", 0)
        there = {pod.name for pod in self._owners.of(source.document, "Pod")}
        revision = f"{source.name}-{identity.template_hash(source.template)}"
        for number in range(start, start + source.spec.get("replicas", 1)):
            name = f"{source.name}-{number}"
            if name in there:
                continue
            labels = {
                "apps.kubernetes.io/pod-index": str(number),
                "controller-revision-hash": revision,
                "statefulset.kubernetes.io/pod-name": name,
            }
            spec = {"hostname": name, "subdomain": source.spec.get("serviceName", "")}
            yield self._pod(source, name, f"Pod/{source.namespace}/{name}", labels=labels, spec=spec)

    def _cron_job(self, source: _Source) -> Iterator[Template]:
        spec = source.spec["jobTemplate"]["spec"]
        metadata = source.spec["jobTemplate"].get("metadata", {})
        if self._owners.of(source.document, "Job") or source.spec.get("suspend"):
            return
        absent = self._owners.absent.get((source.kind, source.namespace, source.name))
        name = f"{source.name}-{identity.job_number(source.namespace, source.kind, source.name)}"
        if absent is not None:
            if self._owners.running(source.document):
                return
            name = absent.name
        job = source._replace(kind="Job", name=name, spec=spec, path=("spec", "jobTemplate", "spec", "template"))
        self._make("Job", name, source, metadata.get("labels", {}), metadata.get("annotations", {}), spec)
        yield from self._job(job)

    def _job(self, source: _Source) -> Iterator[Template]:
        """No more run at a time than are still to be completed; a suspended Job and one that has ended run none."""
        spec, document = source.spec, source.document
        own = self._owners.of(document, "Pod") if document.kind == "Job" else []
        done = sum(phase(pod) == jobs.SUCCEEDED for pod in own)
        active = sum(phase(pod) not in ENDED for pod in own)
        parallel = spec.get("parallelism", 1)
        wanted = spec.get("completions", done or parallel) - done
        if spec.get("suspend") or (document.kind == "Job" and _complete(document)):
            wanted = 0
        count = min(parallel, max(0, wanted)) - active
        base = f"{source.namespace}/{source.name}-"[: len(source.namespace) + 50]
        ended = sum(name.startswith(base) for name in self._outcomes)
        indexed = spec.get("completionMode") == "Indexed"
        attempts = list(self._indexed(source, own, count + ended) if indexed else self._attempts(source, count + ended))
        outcomes = [attempt.outcome for attempt in attempts]
        failed = sum(phase(pod) == jobs.FAILED for pod in own) + outcomes.count(jobs.FAILED)
        room = min(parallel, max(0, wanted - outcomes.count(jobs.SUCCEEDED))) - active
        own_key = jobs.key(source.namespace, source.name, source.template)
        self.jobs.add(own_key)
        if failed > jobs.limit(spec) or own_key in self._outcomes:
            room = 0
        labels = self._job_labels(source)
        for attempt in attempts:
            if not attempt.outcome:
                room -= 1
            if attempt.outcome in ENDED or (not attempt.outcome and room >= 0):
                name, slot, index = attempt.name, attempt.slot, attempt.annotations
                own_labels = {**labels, **index}
                yield self._pod(source, name, slot, labels=own_labels, annotations=index, spec=attempt.spec)

    def _attempts(self, source: _Source, count: int) -> Iterator[_Attempt]:
        slots = [self._slot(source, number) for number in range(count)]
        for word, slot in zip(self._words(source, slots), slots, strict=True):
            name = identity.generated(source.name, word)
            yield _Attempt(name, slot, self._outcome(source, name))

    def _indexed(self, source: _Source, own: Sequence[Document], count: int) -> Iterator[_Attempt]:
        """The first Pod of each index, and behind one that failed its successor of the same index."""
        used = {pod.body["metadata"].get("annotations", {}).get(_INDEX) for pod in own if phase(pod) != jobs.FAILED}
        most = min(count + len(used), source.spec.get("completions", source.spec.get("parallelism", 1)))
        free = [number for number in range(most) if str(number) not in used][: max(0, count)]
        words = self._words(source, [self._slot(source, number) for number in free])
        for number, word in zip(free, words, strict=True):
            spec = {"hostname": f"{source.name}-{number}", **_given(source.template.get("spec", {}))}
            slots = [self._slot(source, number)]
            while True:
                name = identity.generated_indexed(source.name, number, word)
                outcome = self._outcome(source, name)
                yield _Attempt(name, slots[-1], outcome, {_INDEX: str(number)}, spec)
                if outcome != jobs.FAILED:
                    break
                slots.append(self._slot(source, f"{number}.{len(slots)}"))
                word = self._words(source, slots)[-1]

    def _outcome(self, source: _Source, name: str) -> str:
        return self._outcomes.get(f"{source.namespace}/{name}", "")

    def _job_labels(self, source: _Source) -> dict[str, str]:
        labels: dict[str, str] = {}
        if not source.spec.get("manualSelector"):
            uid = identity.uid(self._lab, "Job", source.namespace, source.name)
            for prefix in ("batch.kubernetes.io/", ""):
                labels |= {f"{prefix}controller-uid": uid, f"{prefix}job-name": source.name}
        return labels

    # -- one Pod ------------------------------------------------------------------------------------------------------

    def _slot(self, source: _Source, ordinal: int | str) -> str:
        return f"{source.kind}/{source.namespace}/{source.name}/{ordinal}"

    def _words(self, source: _Source, slots: Sequence[str]) -> list[str]:
        owner = (source.namespace, source.kind, source.name, identity.template_hash(source.template))
        ordinals = [f"{slot.rpartition('/')[2]}.{self._incarnations.get(slot, 0)}" for slot in slots]
        return identity.suffixes(owner, ordinals)

    def _pod(
        self,
        source: _Source,
        name: str,
        slot: str,
        *,
        labels: Mapping[str, str],
        annotations: Mapping[str, str] | None = None,
        spec: Mapping[str, Any] | None = None,
        node: str = "",
    ) -> Template:
        metadata, pod_spec = source.template.get("metadata", {}), source.template.get("spec", {})
        if labels:
            metadata = {**metadata, "labels": {**metadata.get("labels", {}), **labels}}
        if annotations:
            metadata = {**metadata, "annotations": {**metadata.get("annotations", {}), **annotations}}
        return Template(
            source.namespace,
            name,
            metadata,
            {**pod_spec, **spec} if spec else pod_spec,
            source.document,
            source.path,
            source.owner,
            node or pod_spec.get("nodeName", ""),
            {},
            f"{source.kind}/{source.name}",
            slot,
        )


def _given(spec: Mapping[str, Any]) -> dict[str, Any]:
    """The containers of a Pod of an Indexed Job: a variable has the index, where they do not set it themselves."""
    path = f"metadata.annotations['{_INDEX}']"
    own = {"name": "JOB_COMPLETION_INDEX", "valueFrom": {"fieldRef": {"fieldPath": path}}}
    return {
        where: [
            container if any(each["name"] == own["name"] for each in container.get("env") or ()) else
            {**container, "env": [*(container.get("env") or ()), own]}
            for container in spec[where]
        ]
        for where in ("initContainers", "containers")
        if spec.get(where)
    }  # fmt: skip


def _complete(job: Document) -> bool:
    """Whether a Job document states that it has ended."""
    conditions = job.body.get("status", {}).get("conditions", ())
    return any(
        condition.get("type") in ("Complete", "Failed") and condition.get("status") == "True"
        for condition in conditions
    )


def _surge(spec: Mapping[str, Any], count: int) -> int:
    """The number of Pods that a rollout may add: by default 25 %, rounded up."""
    strategy = spec.get("strategy", {})
    if strategy.get("type") == "Recreate":
        return 0
    most = str(strategy.get("rollingUpdate", {}).get("maxSurge", "25%"))
    number = most.removesuffix("%")
    if not number.isdecimal():
        return 0
    return -(-count * int(number) // 100) if most.endswith("%") else int(number)
