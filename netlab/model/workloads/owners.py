"""Owner references among documents: which Pods, ReplicaSets and Jobs of a cluster's dump a controller has already made.

A dump has a Deployment, its ReplicaSets and its Pods: they are one Deployment, and its Pods are those of the dump.  The
uid of a reference is not compared: a namespace has one object of a kind and name.  A dump without the ReplicaSets (or
the Jobs of a CronJob) still tells by their names whose the Pods are.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from netlab.spec import Document
from netlab.tuples import NamedTuple

ENDED = ("Succeeded", "Failed")
HASH = "pod-template-hash"
REVISION = "deployment.kubernetes.io/revision"
_MADE_BY = {"ReplicaSet": "Deployment", "Job": "CronJob"}


class Reference(NamedTuple):
    """The controller of an object: ``kind`` and ``name``."""

    kind: str
    name: str


Key = tuple[str, str, str]  # kind, namespace, name


def controller(document: Document) -> Reference | None:
    """The controller that an object's ownerReferences name."""
    for each in document.body.get("metadata", {}).get("ownerReferences", ()):
        if each.get("controller"):
            return Reference(str(each["kind"]), str(each["name"]))
    return None


def phase(document: Document) -> str:
    """The ``status.phase`` of a Pod document, "" where it states none."""
    return str(document.body.get("status", {}).get("phase", ""))


def revision(body: Mapping[str, Any]) -> tuple[int, int]:
    """Of two ReplicaSets of a Deployment the newer has the higher revision; without revisions, the more Pods."""
    text = str(body["metadata"].get("annotations", {}).get(REVISION, "0"))
    return (int(text) if text.isdecimal() else 0), body.get("spec", {}).get("replicas", 1)


class Owners:
    """The controllers among some documents, with their objects, in document order."""

    def __init__(self, documents: Sequence[Document]) -> None:
        self._there: Mapping[Key, Document] = {(item.kind, item.namespace, item.name): item for item in documents}
        self._of: dict[Key, list[Document]] = {}
        self.absent: dict[Key, Reference] = {}  # of a controller: the ReplicaSet of its Pods that is no document
        for document in documents:
            reference = controller(document)
            if reference is None:
                continue
            key = (reference.kind, document.namespace, reference.name)
            if key not in self._there:
                maker = self._maker(document, reference)
                if maker is None:
                    continue
                key = maker
                self.absent.setdefault(key, reference)
            self._of.setdefault(key, []).append(document)

    def _maker(self, document: Document, absent: Reference) -> Key | None:
        """The controller whose ReplicaSet or Job has that name, where only the name is left of it."""
        kind = _MADE_BY.get(absent.kind, "")
        digits = document.body["metadata"].get("labels", {}).get(HASH, r"\d+")
        match = re.fullmatch(rf"(.+)-(?:{re.escape(digits) if kind == 'Deployment' else digits})", absent.name)
        key = (kind, document.namespace, match[1]) if match else None
        return key if key in self._there else None

    def of(self, document: Document, kind: str) -> list[Document]:
        """The objects of a kind that belong to a controller."""
        return [
            item for item in self._of.get((document.kind, document.namespace, document.name), ()) if item.kind == kind
        ]

    def running(self, document: Document) -> list[Document]:
        """The Pods of a controller that have not ended."""
        return [pod for pod in self.of(document, "Pod") if phase(pod) not in ENDED]

    def get(self, kind: str, namespace: str, name: str) -> Document:
        """The document of that identity; KeyError where there is none."""
        return self._there[kind, namespace, name]

    def has(self, kind: str, namespace: str, name: str) -> bool:
        """Whether there is such a document."""
        return (kind, namespace, name) in self._there

    def top(self, document: Document) -> str:
        """The workload that an object comes from in the end (``Deployment/web``), "" where none of it is here."""
        owner, seen = "", 0
        current: Document | None = document
        while current is not None and seen < 4:  # a loop of references is possible in documents
            reference, seen = controller(current), seen + 1
            if reference is None:
                break
            namespace = current.namespace
            current = self._there.get((reference.kind, namespace, reference.name))
            if current is None:
                maker = self._maker(document, reference)
                return f"{maker[0]}/{maker[2]}" if maker else owner
            owner = f"{current.kind}/{current.name}"
        return owner
