"""The running lab as API objects.  Only the server's worker thread uses it: reading and writing take turns there."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import field
from typing import Any

from netlab.api import revisions
from netlab.api.defaults import fill
from netlab.api.kept import Beside, Kept
from netlab.api.patch import merge
from netlab.api.resources import RESOURCES, Key, key_of
from netlab.cli.kinds.kind import Item
from netlab.cli.kinds.request import Records, Request, Running
from netlab.cli.kinds.times import stamp
from netlab.errors import NetlabError
from netlab.memo import Memo
from netlab.model.cluster import Cluster, Idle, Pod, identity
from netlab.model.topology.nodefaults import Faults
from netlab.model.workloads import systempods
from netlab.runtime.state.nodehealth import Nodes
from netlab.runtime.state.rundir import RunDir, Version
from netlab.values import dataclass

MODELLED = tuple(resource for resource in RESOURCES.values() if resource.kind)
#: Objects that controllers or the cluster itself make again at once, by kind and by identity.
REMADE = ("EndpointSlice", "Endpoints", "Event", "ServiceAccount", "ConfigMap")
SYSTEM = ("/Service/default/kubernetes", "/Service/kube-system/kube-dns")
#: Kinds with a spec whose objects have no generation.
_UNCOUNTED = ("Node", "Namespace", "Service", "PersistentVolume", "PersistentVolumeClaim", "HorizontalPodAutoscaler")
_NOTHING = Beside()
#: What was made of a Pod: by name and the Pod's number, the Pod, what else it was made of, and the result.
_Memory = dict[tuple[str, int], tuple[object, tuple[object, ...], Any]]


@dataclass
class _Reading(Request):
    """A request that asks the agent once for the records of the Pods, their events included."""

    recorded: Records | None = None
    asked = False
    made: dict[str, Any] = field(default_factory=dict)
    before: _Memory = field(default_factory=dict)
    memory: _Memory = field(default_factory=dict)
    looked: Faults = field(default_factory=dict)
    turned: Mapping[str, float] = field(default_factory=dict)

    def faults(self) -> Faults:
        """As they were when the server looked last."""
        return self.looked

    def fault_since(self, node: str) -> float:
        return self.turned.get(node, 0.0)

    def once(self, name: str, make: Callable[[], Any]) -> Any:
        if name not in self.made:
            self.made[name] = make()
        return self.made[name]

    def kept(self, name: str, made_of: Pod | Idle, more: tuple[object, ...], make: Callable[[], Any]) -> Any:
        key = name, id(made_of)
        before = self.before.get(key)
        if before is None or before[0] is not made_of or before[1] != more:
            before = made_of, more, make()
        self.memory[key] = before  # with the Pod, so that its number cannot become another's
        return before[2]

    def records(self, *, events: bool = False, quiet: bool = False) -> Records | None:
        if not self.asked:
            self.recorded, self.asked = super().records(events=True, quiet=True), True
        return self.recorded


class RunningLab:
    """A lab's objects: those of its model, completed as an API server would, and those that are kept beside it."""

    def __init__(self, name: str, authority: Callable[[], str]) -> None:
        """``authority`` returns the CA's certificate, for kube-root-ca.crt."""
        self.name = name
        self.path = RunDir(name).path
        self.kept = Kept(self.path)
        self._authority = authority
        self._reading = self._request()
        self._seen: Running | None = None
        self.annotations: dict[Key, dict[str, str]] = {}  # of the objects themselves, without those that are kept
        self._filled = Memo(fill)
        self._nodes = Nodes(name)
        self._faults: Faults | None = None  # nobody has looked yet
        self._turned: dict[str, float] = {}  # since when a node has a fault

    def _request(self) -> _Reading:
        return _Reading(self.name, full=True, quiet=True, every=True)

    @property
    def cluster(self) -> Cluster:
        """The cluster as it was read last."""
        return self._reading.running.cluster

    @property
    def agents(self) -> tuple[str, ...]:
        """The namespaces of the nodes that have a daemon of the author's."""
        return tuple(node.netns for node in self.cluster.nodes if node.agent)

    @property
    def running(self) -> Running:
        """The lab as it was read last."""
        return self._reading.running

    @property
    def version(self) -> Version:
        """The version of the lab's documents that were read last."""
        return next(iter(self._reading._running))[0]

    @property
    def documents(self) -> list[Any]:
        """The documents of the lab as they were read last."""
        return list(self._reading.running.objects)

    def pod(self, namespace: str, name: str) -> Pod | None:
        """A Pod that has a network, by name."""
        own = next((pod for pod in self.cluster.pods if (pod.namespace, pod.name) == (namespace, name)), None)
        return own or systempods.find(self.cluster, namespace, name)

    def read_changed(self, *, look: bool = False) -> dict[Key, Item] | None:
        """All objects; None where neither the lab nor what its agent knows has changed since the last reading.

        ``look``: nor what the kernels of the nodes have.
        """
        now = self._next()
        if look:
            self._look(now.running.cluster)
        same = now.running is self._seen and now.records() == self._reading.records()
        if same and self._reading.looked == (self._faults or {}):
            return None
        return self.read()

    def _look(self, cluster: Cluster) -> None:
        """Look at the nodes; while another command changes them, they are as before."""
        with contextlib.suppress(OSError, NetlabError):
            faults = self._nodes.faults(cluster)
            if faults is not None and faults != self._faults:
                now = time.time()
                self._turned = {node: self._turned.get(node, now) for node in faults}
                self._faults = faults

    def _next(self) -> _Reading:
        """A new request; the lab is resolved again only where it changed."""
        made = self._request()
        made._running = self._reading._running
        made.before = self._reading.memory
        made.looked, made.turned = self._faults or {}, self._turned
        return made

    def read(self) -> dict[Key, Item]:
        """All objects as they are now.  Raises BadInput where the lab is down."""
        self._reading = self._next()
        if self._faults is None:
            self._look(self._reading.running.cluster)
            self._reading = self._next()
        self._seen = self._reading.running
        bare = [
            (resource, item) for resource in MODELLED if resource.kind for item in resource.kind.items(self._reading)
        ]
        filled = self._filled.all(tuple(item for _, item in bare))
        items = {key_of(resource, item): dict(full) for (resource, item), full in zip(bare, filled, strict=True)}
        self._reading.made.clear()
        for item in (item for key, item in items.items() if key.plural == "events"):
            involved = item["involvedObject"]
            pod = items.get(Key("", "pods", involved["namespace"], involved["name"]))
            item["involvedObject"] = {"apiVersion": "v1", **involved, "uid": pod["metadata"]["uid"] if pod else ""}
        items |= {key: item for key, item in self._default_objects() if key not in items}
        workloads = revisions.of_workloads(self._seen)
        items |= dict(revisions.controller_revisions(self._seen, workloads, items))
        for key in [key for key, beside in self.kept.objects.items() if key not in items and beside.body is None]:
            self.kept.forget(key)
        self.annotations = {key: item["metadata"].get("annotations") or {} for key, item in items.items()}
        for key, item in items.items():
            self._complete(key, item, self.kept.objects.get(key, _NOTHING))
        revisions.annotate(workloads, items, self.kept)
        for key, beside in self.kept.objects.items():
            if beside.body is not None:
                items[key] = self._kept(key, beside)
        return items

    def _default_objects(self) -> Iterator[tuple[Key, Item]]:
        """The objects that controllers make in each namespace; clients of test suites wait for them."""
        certificate = self._authority()
        for namespace in self.cluster.namespaces:
            since = stamp(self._reading.running.born("Namespace", "", namespace))
            for plural, kind, name, more in (
                ("serviceaccounts", "ServiceAccount", "default", {}),
                ("configmaps", "ConfigMap", "kube-root-ca.crt", {"data": {"ca.crt": certificate}}),
            ):
                metadata = {"name": name, "namespace": namespace, "creationTimestamp": since}
                metadata["uid"] = identity.uid(self.name, kind, namespace, name)
                item = {"apiVersion": "v1", "kind": kind, "metadata": metadata, **more}
                yield Key("", plural, namespace, name), item

    def _complete(self, key: Key, item: Item, beside: Beside) -> None:
        """Put what is kept beside the lab over an object of the lab."""
        metadata = item["metadata"] = dict(item["metadata"])
        kind = item["kind"]
        if key in self.kept.remade:
            # A client that deleted it waits until the object is gone, or another of its name is there.
            number, metadata["creationTimestamp"] = self.kept.remade[key]
            metadata["uid"] = identity.uid(self.name, kind, key.namespace, key.name, number)
        if beside.annotations:
            metadata["annotations"] = merge(metadata.get("annotations"), beside.annotations)
        for name in ("labels", "annotations"):
            if not metadata.get(name, True):
                del metadata[name]
        assert self._seen is not None
        generation = self._seen.age(kind, key.namespace, key.name).generation
        if "spec" in item and kind not in _UNCOUNTED:
            metadata["generation"] = generation
        status = item.get("status")
        if isinstance(status, dict):
            if "observedGeneration" in status:
                status = {**status, "observedGeneration": generation}
            item["status"] = {**status, **(beside.status or {})}
        self._lifecycle(metadata, beside)

    def _kept(self, key: Key, beside: Beside) -> Item:
        """An object that netlab only keeps."""
        body = beside.body or {}
        metadata = {**body.get("metadata", {}), "creationTimestamp": beside.created, "uid": beside.uid}
        if "spec" in body and body.get("kind") not in _UNCOUNTED:
            metadata["generation"] = beside.generation
        self._lifecycle(metadata, beside)
        return {**body, "metadata": metadata, **({"status": beside.status} if beside.status is not None else {})}

    @staticmethod
    def _lifecycle(metadata: Item, beside: Beside) -> None:
        if beside.finalizers:
            metadata["finalizers"] = list(beside.finalizers)
        if beside.owners:
            metadata["ownerReferences"] = [*metadata.get("ownerReferences", ()), *beside.owners]
        if beside.deletion:
            metadata |= {"deletionTimestamp": beside.deletion, "deletionGracePeriodSeconds": beside.grace}
        if beside.managers:
            metadata["managedFields"] = list(beside.managers)

    def pods_of(self, items: Mapping[Key, Item], key: Key) -> set[str]:
        """The Pods that go with an object: itself, those that it owns, those of a namespace (``namespace/name``)."""
        pods = {each: item for each, item in items.items() if each[:2] == ("", "pods")}
        if key.plural == "namespaces":
            return {f"{each.namespace}/{each.name}" for each in pods if each.namespace == key.name}
        owners = {item["metadata"].get("uid"): item for item in items.values()}
        wanted = items[key]["metadata"].get("uid")

        def belongs(item: Item) -> bool:
            metadata = item["metadata"]
            if metadata.get("uid") == wanted:
                return True
            above = (owners.get(reference.get("uid")) for reference in metadata.get("ownerReferences", ()))
            return any(belongs(owner) for owner in above if owner is not None and owner is not item)

        return {f"{each.namespace}/{each.name}" for each, item in pods.items() if belongs(item)}

    def still_run(self, pods: set[str]) -> bool:
        """Whether a process runs of any of these Pods that were deleted."""
        records = self._next().records() or {}
        return any(
            container.get("pid")
            for pod in self.cluster.pods
            if pod.leaving and str(pod) in pods
            for container in records.get((pod.namespace, pod.name), {}).get("containers", ())
        )

    def dependents(self, items: dict[Key, Item], uids: Iterable[str]) -> list[Key]:
        """The kept objects and Pods whose owners have these uids."""
        gone = set(uids)
        return [
            key
            for key, beside in self.kept.objects.items()
            if key in items and any(reference.get("uid") in gone for reference in beside.owners)
        ]
