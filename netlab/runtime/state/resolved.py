"""Labs resolved: documents and memory in, cluster and desired state out, each made once.

A result is kept and found by all its inputs: the texts, the changes beside them, the memory of a running lab, and the
programs of this host. One command needs a lab as it is and as it was. A process that stays (``runtime.commandserver``)
also needs the results of the command before.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import field, replace
from functools import lru_cache
from typing import Any

from netlab.faults.apply import cluster_with, objects_with, state_with
from netlab.faults.injected import Injected
from netlab.memo import Latest
from netlab.model import Built, Cluster, Memory, build
from netlab.model.status import Statuses, observed, unready
from netlab.model.workloads.changes import Changes
from netlab.objects import File, Netns, State
from netlab.plan import Host, check, desired
from netlab.runtime.host.programs import has_program
from netlab.runtime.state.rundir import Applied, Assignments, RunDir
from netlab.runtime.state.session import SESSION
from netlab.spec import Documents, Text, Warning, load_texts
from netlab.values import dataclass

_MOST = 3  # as it is, as it was, and as its files alone would have it


@dataclass(frozen=True, slots=True)
class Lab:
    """A resolved lab: its cluster, its desired state, and warnings for its author.

    ``built`` is the cluster as its documents say, before the ``statuses`` of its Pods; ``can`` what the host can do.
    ``faults`` are those that it is resolved with.
    """

    cluster: Cluster
    want: State
    warnings: tuple[Warning, ...]
    documents: Documents
    built: Cluster
    statuses: Statuses
    can: Host
    faults: tuple[Injected, ...] = ()


@dataclass(slots=True)
class _Entry:
    """A lab and its inputs; ``programs`` are the programs that the host was asked for, and whether it has them."""

    made_from: tuple[object, ...]
    lab: Lab
    programs: Mapping[tuple[str, str], bool]
    states: dict[Host, State] = field(default_factory=dict)


class _Kept:
    """The labs that were resolved last, and the documents of the texts that were read last."""

    def __init__(self) -> None:
        self.entries: list[_Entry] = []
        self.parsed = lru_cache(4)(_parsed)
        self.memory = Latest(Memory.of)
        self.plain = Latest(Memory.to_json)
        self.read: tuple[Mapping[str, Any], Memory] = {}, Memory()

    def add(self, entry: _Entry) -> None:
        self.entries = [entry, *self.entries[: _MOST - 1]]


def documents_of(applied: Applied) -> Documents:
    """The documents of a lab: those of its files and those that were applied (the last writer wins), less the deleted
    ones.
    """
    parsed = SESSION.of(_Kept).parsed
    documents = parsed(applied.spec, applied.hooks)
    if not applied.extra and not applied.deleted:
        return documents
    added = parsed(applied.extra, applied.hooks) if applied.extra else Documents()
    objects = {identity(document): document for document in documents.objects}
    objects |= {identity(document): document for document in added.objects}
    kept = tuple(document for key, document in objects.items() if key not in applied.deleted)
    return replace(
        documents,
        lab=documents.lab or added.lab,
        objects=kept,
        left_out=(*documents.left_out, *added.left_out),
        references=(*documents.references, *added.references),
        settings=(*documents.settings, *added.settings),
        warnings=(*documents.warnings, *added.warnings),
        sources=(*documents.sources, *added.sources),
    )


def _parsed(texts: tuple[tuple[str, ...], ...], hooks: bool) -> Documents:
    return load_texts([Text(*text) for text in texts], hooks=hooks)


def identity(document: object) -> str:
    """The identity of an object: group/kind/namespace/name."""
    return "/".join(str(getattr(document, part)) for part in ("group", "kind", "namespace", "name"))


def memory_of(rundir: RunDir) -> Memory:
    """The memory of a running lab; empty if its file cannot be read."""
    data, kept = rundir.assignments().memory, SESSION.of(_Kept)
    if data != kept.read[0]:
        try:
            kept.read = data, Memory.from_json(data)
        except ValueError:
            return Memory()
    return kept.read[1]


def memory_now(cluster: Cluster) -> Memory:
    """The memory of a cluster."""
    return SESSION.of(_Kept).memory(cluster)


def assignments_of(lab: Lab) -> Assignments:
    """The assignments of a lab, without its rules' generations."""
    cluster = lab.cluster
    return Assignments(
        SESSION.of(_Kept).plain(memory_now(cluster)),
        tuple(dict.fromkeys(obj.netns for obj in lab.want.values() if isinstance(obj, (Netns, File)))),
        len(cluster.nodes),
        len(cluster.own_pods),
        faults=len(lab.faults),
        impaired=len({impairment.link.key for impairment in cluster.impairments}),
    )


def resolve(
    applied: Applied,
    memory: Memory | None = None,
    statuses: Statuses | None = None,
    absent: frozenset[str] = frozenset(),
) -> Lab:
    """The lab that the documents describe, its Pods' statuses being these; raises BadInput with every problem.

    ``absent``: Pods that are not there for a moment (``model.Changes``).
    """
    memory, statuses = memory or Memory(), statuses or {}
    made_from = *_made_from(applied, memory, statuses), absent
    kept = SESSION.of(_Kept)
    for entry in kept.entries:
        if entry.made_from == made_from and _still(entry.programs):
            return entry.lab
    documents = documents_of(applied)
    if applied.faults:
        documents = replace(documents, objects=objects_with(applied.faults, documents.objects))
    nodes = frozenset(key.rpartition("/")[2] for key in applied.deleted if key.startswith("/Node//"))
    pods = frozenset(key.removeprefix("/Pod/") for key in applied.deleted if key.startswith("/Pod/"))
    asked: dict[tuple[str, str], bool] = {}

    def has(name: str, path: str) -> bool:
        return asked.setdefault((name, path), has_program(name, path))

    built: Built = build(
        documents,
        name=applied.name,
        memory=memory,
        check=check,
        has_program=has,
        changes=Changes(applied.labels, nodes, pods, absent, applied.links),
        session=SESSION,
        respond=applied.respond,
        conflist=applied.conflist,
        own_plane=applied.plane,
        folder=applied.source if os.path.isdir(applied.source) else os.path.dirname(applied.source),
    )
    plain = cluster_with(applied.faults, built.cluster)
    cluster = observed(plain, statuses)
    warnings = (*built.warnings, *unready(cluster))
    lab = Lab(cluster, State(), warnings, documents, plain, statuses, Host(), applied.faults)
    kept.add(_Entry(made_from, lab, asked))
    return lab


def with_state(lab: Lab, can: Host) -> Lab:
    """The lab with what it should be on a host that can do this; of a lab on several machines, the host's share."""
    can = replace(can, share=RunDir(lab.cluster.lab).share())
    entry = next((entry for entry in SESSION.of(_Kept).entries if entry.lab.cluster is lab.cluster), None)
    states = entry.states if entry else {}
    if can not in states:
        states[can] = wanted(replace(lab, can=can))
    return replace(lab, want=states[can], can=can)


def wanted(lab: Lab) -> State:
    """What a lab should have, its faults included."""
    state = state_with(lab.faults, lab.cluster, desired(lab.cluster, lab.can, SESSION))
    if lab.can.share is None:
        return state
    from netlab.plan.share import part

    return part(state, lab.cluster, lab.can.share)


def applied_now(lab: Lab, applied: Applied) -> None:
    """The lab runs: resolved again with the memory and the statuses that it now has, it is what it is."""
    kept = SESSION.of(_Kept)
    entry = next((entry for entry in kept.entries if entry.lab.built is lab.built), None)
    if entry is not None:
        made_from = *_made_from(applied, memory_now(lab.cluster), lab.statuses), entry.made_from[-1]
        kept.add(_Entry(made_from, lab, entry.programs, {lab.can: lab.want}))


def _made_from(applied: Applied, memory: Memory, statuses: Statuses) -> tuple[object, ...]:
    texts = applied.spec, applied.extra, applied.hooks, applied.respond, applied.conflist, applied.plane
    return (
        applied.name,
        applied.source,
        *texts,
        applied.faults,
        applied.deleted,
        applied.labels,
        applied.links,
        memory,
        dict(statuses),
    )


def _still(programs: Mapping[tuple[str, str], bool]) -> bool:
    return all(has_program(*asked) == there for asked, there in programs.items())
