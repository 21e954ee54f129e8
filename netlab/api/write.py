"""Writes of the API: each becomes one change of the running lab, as ``netlab apply``, ``label`` and ``delete`` make it.

An object of a kind that netlab models is a document of the lab.  Of an update only what the client changed is put into
the document as it was written: defaults that the API shows must not make another Pod template of it.  Annotations,
finalizers and owner references have no effect in the network and are kept beside the lab.
"""

from __future__ import annotations

import base64
import copy
import random
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Concatenate, ParamSpec, TypeVar

from netlab.api.lab import REMADE, SYSTEM, RunningLab
from netlab.api.manifest import GIVEN, OWN_LABEL, clean, difference, document, document_annotations
from netlab.api.patch import merge
from netlab.api.resources import RESOURCES, Key, Resource, key_of
from netlab.api.revisions import as_written
from netlab.api.status import Refused
from netlab.cli.kinds.kind import Item
from netlab.cli.kinds.times import stamp
from netlab.errors import BadInput, NetlabError
from netlab.lint import kept, lint
from netlab.model.anew import with_dependents
from netlab.model.status import runs
from netlab.model.workloads.changes import label_key
from netlab.model.workloads.systempods import is_system, system_pods
from netlab.runtime import termination
from netlab.runtime.lab import Outcome, change
from netlab.runtime.state.resolved import identity
from netlab.spec import Text, load_texts
from netlab.spec.kinds import Fate, ruling
from netlab.tuples import NamedTuple

P = ParamSpec("P")
T = TypeVar("T")
_LABELLED = ("Pod", "Node", "Namespace")
_WITH_PODS = ("pods", "namespaces", *(f"{kind}s" for kind in ("deployment", "replicaset", "statefulset", "daemonset", "job", "cronjob")))  # fmt: skip
_LETTERS = "bcdfghjklmnpqrstvwxz2456789"  # apimachinery util/rand


class Manager(NamedTuple):
    """The client of a write: its entry of managedFields; ``applied``: the object of server-side apply."""

    entry: Item
    applied: Item | None = None


class Written(NamedTuple):
    """The key of the written object, all objects after it, and warnings."""

    key: Key
    items: dict[Key, Item]
    warnings: tuple[str, ...] = ()


def generated(base: str) -> str:
    """A name of ``generateName``."""
    return base[:58] + "".join(random.choices(_LETTERS, k=5))


def _whole(write: Callable[Concatenate[Writer, P], T]) -> Callable[Concatenate[Writer, P], T]:
    """A write after which all is as before where it fails; the lab itself is ``change``'s business."""

    def whole(self: Writer, /, *arguments: P.args, **options: P.kwargs) -> T:
        try:
            return write(self, *arguments, **options)
        except Exception:
            self.lab.kept.abandon()
            raise

    return whole


class Writer:
    """The writes of a lab; used by the worker thread alone."""

    def __init__(self, lab: RunningLab) -> None:
        self.lab = lab

    # -- create and update --------------------------------------------------------------------------------------------

    @_whole
    def create(self, resource: Resource, item: Item, manager: Manager | None, *, dry: bool) -> Written:
        """Make a new object; its name and namespace are set.  Raises Refused or NetlabError, and nothing is changed."""
        key = key_of(resource, item)
        if resource.namespaced and key.namespace not in self.lab.cluster.namespaces:
            raise Refused(404, "NotFound", f'namespaces "{key.namespace}" not found')
        if resource.kind is None or resource.name == "Event":
            return self._keep(resource, key, item, manager, None, dry=dry)
        text = document(resource, clean(resource, item))
        if dry:
            self._check(text)
            return Written(key, {key: self._shown(item, None)})
        return self._done(resource, key, item, None, manager, {"add": [text]})

    @_whole
    def update(self, resource: Resource, old: Item, new: Item, manager: Manager | None, *, dry: bool) -> Written:
        """Replace an object.  Raises Refused or NetlabError, and nothing is changed.

        ChangedMeanwhile: another command has changed the lab since ``old`` was read.
        """
        key = key_of(resource, old)
        beside = self.lab.kept.objects.get(key)
        if resource.kind is None or (beside is not None and beside.body is not None):
            return self._keep(resource, key, new, manager, old, dry=dry)
        before, after = clean(resource, old), clean(resource, new)
        labels = _changed_labels(resource, key, before, after)
        patch = difference(before, after)
        metadata = patch.get("metadata") or {}
        for field in ("annotations", *(("labels",) if labels else ())):
            metadata.pop(field, None)
        if not metadata:
            patch.pop("metadata", None)
        if (patch or labels) and is_system(self.lab.cluster, resource.name, key.namespace, key.name):
            return self._system(resource, key, new, old, patch, manager, dry=dry)
        add = []
        if patch:
            raw = self._written(resource, key)
            if raw is None and resource.name == "Pod":
                raise self._immutable(resource, key)
            made = merge(raw or {"metadata": _identity(key)}, patch)
            if "template" in patch.get("spec", {}):
                workload = f"{resource.name}/{key.namespace}/{key.name}"
                made["spec"]["template"] = as_written(self.lab.running, workload, new["spec"]["template"], made)
            add = [document(resource, made)]
        if dry:
            for text in add:
                self._check(text)
            return Written(key, {key: self._shown(new, old)})
        wanted: dict[str, Any] | None = None
        if add or labels:
            wanted = {"add": add, "label": labels or None, "read_at": self.lab.version if add else None}
        return self._done(resource, key, new, old, manager, wanted)

    def _written(self, resource: Resource, key: Key) -> Item | None:
        """The body of the document of an object; None where it has none of its own."""
        wanted = f"{resource.group}/{resource.name}/{key.namespace}/{key.name}"
        body = next((each.body for each in self.lab.documents if identity(each) == wanted), None)
        return copy.deepcopy(body) if body is not None else None

    @staticmethod
    def _immutable(resource: Resource, key: Key) -> Refused:
        why = "its controller makes it: change the template of the controller"
        return Refused(422, "Invalid", f'{resource.name} "{key.name}" is invalid: spec: Forbidden: {why}')

    def _system(
        self, resource: Resource, key: Key, new: Item, old: Item, patch: Item, manager: Manager | None, *, dry: bool
    ) -> Written:
        """A DaemonSet that netlab makes follows from the data plane: it can be restarted, not changed."""
        if resource.name != "DaemonSet" or not _restarts(patch):
            raise self._follows(resource, key)
        if dry:
            return Written(key, {key: self._shown(new, old)})
        owner = f"DaemonSet/{key.name}"
        pods = [f"/Pod/{pod}" for pod in system_pods(self.lab.cluster) if pod.controller == owner]
        return self._done(resource, key, new, old, manager, {"delete": pods})

    @staticmethod
    def _follows(resource: Resource, key: Key) -> Refused:
        why = "it follows from the lab's data plane, and netlab itself programs the nodes"
        return Refused(403, "Forbidden", f'{resource.title} "{key.name}" is forbidden: {why}')

    def _check(self, text: tuple[str, str]) -> None:
        """The checks of a document that need no change of the lab."""
        given = load_texts([Text(*text)])
        if given.problems:
            raise BadInput(given.problems)

    @staticmethod
    def _shown(item: Item, old: Item | None) -> Item:
        """The object of a dry run."""
        metadata = {"creationTimestamp": stamp(time.time()), **item["metadata"]}
        for field in ("uid", "resourceVersion", "creationTimestamp", "generation"):
            if old is not None and field in old["metadata"]:
                metadata[field] = old["metadata"][field]
        return {**item, "metadata": metadata}

    def _keep(
        self, resource: Resource, key: Key, item: Item, manager: Manager | None, old: Item | None, *, dry: bool
    ) -> Written:
        """Write an object that netlab only keeps."""
        fate = ruling(resource.api_version, resource.name)
        does = f"{resource.name} has no effect in netlab: {fate.message}" if fate.fate == Fate.NOT_MODELLED else ""
        warnings = (does,) if does and old is None else ()
        body = clean(resource, item)
        if resource.name == "Secret":
            _secret(body)
        if dry:
            return Written(key, {key: self._shown({**item, **body}, old)}, warnings)
        if old is None:
            self.lab.kept.new(key, body).status = copy.deepcopy(item.get("status"))
        else:
            beside = self.lab.kept.of(key)
            beside.generation += _spec(old) != _spec(item)
            beside.body = body
        written = self._done(resource, key, item, old, manager, None)
        return written._replace(warnings=(*warnings, *written.warnings))

    def _done(
        self,
        resource: Resource,
        key: Key,
        item: Item,
        old: Item | None,
        manager: Manager | None,
        wanted: Mapping[str, Any] | None,
    ) -> Written:
        """Keep what the lab has no use for, change the lab as ``wanted``, then read all objects again."""
        metadata = item["metadata"]
        beside = self.lab.kept.of(key)
        if beside.body is None:
            own = self.lab.annotations.get(key, {}) if old else document_annotations(metadata)
            changed = difference(own, metadata.get("annotations") or {})
            beside.annotations = {name: value for name, value in changed.items() if not name.startswith(GIVEN)}
        beside.finalizers = list(metadata.get("finalizers") or ())
        made = {reference["uid"] for reference in ((old or {}).get("metadata", {}).get("ownerReferences") or ())}
        made -= {reference.get("uid") for reference in beside.owners}  # those that the lab's own controllers have
        beside.owners = [each for each in metadata.get("ownerReferences") or () if each.get("uid") not in made]
        if manager is not None:
            name = manager.entry["manager"]
            beside.managers = [*(each for each in beside.managers if each["manager"] != name), manager.entry]
            if manager.applied is not None:
                beside.applied[name] = manager.applied
        if beside.deletion and not beside.finalizers and (old or {}).get("metadata", {}).get("finalizers"):
            return self.delete(key, item)
        self.lab.kept.prepare()
        outcome = change(self.lab.name, **wanted) if wanted else None
        self.lab.kept.commit()
        warnings = (*_warnings(outcome, resource, key), *_unrun(item)) if outcome else ()
        return Written(key, self.lab.read(), warnings)

    # -- status, deletion ---------------------------------------------------------------------------------------------

    @_whole
    def update_status(self, key: Key, new: Item) -> Written:
        """Set the status of an object, for clients that are controllers."""
        beside = self.lab.kept.of(key)
        beside.status = copy.deepcopy(new.get("status") or {})
        self.lab.kept.save()
        return Written(key, self.lab.read())

    @_whole
    def delete(self, key: Key, old: Item, grace: int | None = None) -> Written:
        """Delete an object.  One with finalizers is only marked, and so is one of whose Pods processes run: these have
        their grace period (``grace``: so many seconds instead), and ``finish`` removes it.
        """
        if key.plural == "daemonsets" and is_system(self.lab.cluster, "DaemonSet", key.namespace, key.name):
            raise self._follows(RESOURCES["apps", "v1", "daemonsets"], key)
        beside = self.lab.kept.objects.get(key)
        if beside is not None and beside.finalizers:
            beside.deletion = beside.deletion or stamp(time.time())
            self.lab.kept.save()
            return Written(key, self.lab.read())
        if not self._terminate(key, grace):
            return self._remove(key)
        return Written(key, self.lab.read())

    def _terminate(self, key: Key, grace: int | None) -> bool:
        """Have the Pods that go with an object end; whether something of them is to be waited for."""
        if key.plural not in _WITH_PODS or not any(runs(pod) and not pod.ended for pod in self.lab.cluster.pods):
            return False
        items = self.lab.read()
        pods = self.lab.pods_of(items, key) if key in items else set()
        if not pods:
            return False
        beside = self.lab.kept.of(key)
        known = beside.deletion
        beside.deletion = known or stamp(time.time())
        self.lab.kept.prepare()
        until = termination.begin(self.lab.name, pods, grace)
        if not until or grace == 0:
            self.lab.kept.abandon()
            return False
        self.lab.kept.commit()
        if key.plural == "pods":
            now = int(time.time())
            last = next(iter(until.values()))
            beside.deletion, beside.grace = stamp(last), max(0, last - now)
            self.lab.kept.save()
        elif key.plural == "namespaces":
            beside.status = {"phase": "Terminating"}
            self.lab.kept.save()
        return True

    @_whole
    def finish(self) -> dict[Key, Item] | None:
        """Remove what was deleted and has no running process any more; all objects then, None where there is nothing."""
        items = None
        for key in self.lab.kept.terminating():
            items = items or self.lab.read()
            if key in items and not self.lab.still_run(self.lab.pods_of(items, key)):
                self._remove_all([key])
                items = self.lab.read()
        return items

    def _remove(self, key: Key) -> Written:
        self._remove_all([key])
        return Written(key, self.lab.read())

    def _remove_all(self, keys: list[Key]) -> None:
        """Remove objects, all that is in their namespaces, and all that they own: of the lab in one change."""
        items = self.lab.read()
        gone: dict[Key, None] = {}
        while keys:
            key = keys.pop()
            if key in gone:
                continue
            gone[key] = None
            if key.plural == "namespaces":
                keys += [each for each in items if each.namespace == key.name]
            if key in items:
                keys += self.lab.dependents(items, [items[key]["metadata"]["uid"]])
        kept = [key for key in gone if (beside := self.lab.kept.objects.get(key)) and beside.body is not None]
        documents = {identity(document) for document in self.lab.documents}
        there = [_identity_of(key, items) for key in gone if key in items and key not in kept]
        # With a namespace go the objects of its documents; what controllers make in it goes by itself.
        spaces = {key.name for key in gone if key.plural == "namespaces"}
        wanted = [each for each in there if each in documents or each.split("/")[2] not in spaces]
        wanted = [each for each in wanted if each.split("/")[1] not in REMADE and each not in SYSTEM]
        for key in gone:
            if (
                key in items
                and key not in kept
                and (items[key]["kind"] in REMADE or _identity_of(key, items) in SYSTEM)
            ):
                self.lab.kept.again(key)
            else:
                self.lab.kept.forget(key)
        self.lab.kept.prepare()
        if wanted:
            change(self.lab.name, delete=with_dependents(self.lab.cluster, documents, wanted))
        self.lab.kept.commit()


def _restarts(patch: Item) -> bool:
    """Whether a patch changes annotations of the Pod template alone, as ``kubectl rollout restart`` does."""
    for field in ("spec", "template", "metadata"):
        if set(patch) != {field}:
            return False
        patch = patch[field]
    return set(patch) == {"annotations"}


def _identity_of(key: Key, items: Mapping[Key, Item]) -> str:
    return f"{key.group}/{items[key]['kind']}/{key.namespace}/{key.name}"


def _identity(key: Key) -> Item:
    return {"name": key.name, **({"namespace": key.namespace} if key.namespace else {})}


def _spec(item: Item) -> Item:
    return {name: value for name, value in item.items() if name not in ("metadata", "status")}


def _changed_labels(resource: Resource, key: Key, before: Item, after: Item) -> dict[str, dict[str, str | None]]:
    """The labels of a Pod, node or namespace that change; those of other kinds are part of their documents."""
    if resource.name not in _LABELLED:
        return {}
    was, now = (each["metadata"].get("labels") or {} for each in (before, after))
    changed = {name: now.get(name) for name in {**was, **now} if was.get(name) != now.get(name) and name != OWN_LABEL}
    name = f"{key.namespace}/{key.name}" if key.namespace else key.name
    return {label_key(resource.name, name): changed} if changed else {}


def _secret(body: Item) -> None:
    """``stringData`` is for writing alone."""
    texts = body.pop("stringData", None) or {}
    encoded = {name: base64.b64encode(str(text).encode()).decode() for name, text in texts.items()}
    if encoded:
        body["data"] = {**(body.get("data") or {}), **encoded}
    body.setdefault("type", "Opaque")


def _warnings(outcome: Outcome, resource: Resource, key: Key) -> tuple[str, ...]:
    """netlab's messages about the object of a change: of the reading, of the lab as a whole, and of lint."""
    lab, name = outcome.lab, f"{key.namespace}/{key.name}" if key.namespace else key.name
    about = [each for each in (*lab.warnings, *outcome.problems) if each.object.endswith(f" {name}")]
    about += lint(lab.built, lab.documents, {(resource.name, key.namespace, key.name)})
    listed = [each for each in kept(about, lab.documents) if each.code != "duplicate" and each.level != "note"]
    return tuple(dict.fromkeys(each.message for each in listed))


def _unrun(item: Item) -> Iterator[str]:
    """Warnings of containers whose image would run their arguments."""
    spec = item.get("spec") or {}
    for container in ((spec.get("template") or {}).get("spec") or spec).get("containers") or ():
        if container.get("args") and not container.get("command") and not container.get("stdin"):
            why = "netlab has no images, so nothing runs them; with kubectl run --command they are the command"
            yield f"container {container['name']} has args and no command: {why}"


def reason(error: NetlabError) -> Refused:
    """An error of netlab as an API server would answer it."""
    if isinstance(error, BadInput):
        causes = [
            {"reason": "FieldValueInvalid", "message": problem.message, "field": problem.path}
            for problem in error.problems
        ]
        text = "; ".join(f"{problem.path}: {problem.message}" if problem.path else problem.message for problem in error.problems)  # fmt: skip
        return Refused(422, "Invalid", text, {"causes": causes})
    return Refused(500, "InternalError", f"{error.message}{f' ({error.hint})' if error.hint else ''}")
