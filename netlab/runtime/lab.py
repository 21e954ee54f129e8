"""What can be done with a lab: up, down, what differs, and changes to a running one."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from netlab.errors import BadInput, Mark, NetlabError, StateError
from netlab.kernel.host import files as etc
from netlab.kernel.host import netns as ns
from netlab.kernel.host.owners import owners
from netlab.kernel.linux import LinuxKernel
from netlab.kernel.protocol import Observed
from netlab.model import Memory
from netlab.model.anew import leaving
from netlab.model.changes import Labels, put, still_there
from netlab.model.status import Statuses
from netlab.model.updates import refused
from netlab.names import LAB_NAME_MAX, is_dns_label
from netlab.objects import File, Key, Netns, Obj, State
from netlab.plan import Drift, Host, desired, drift
from netlab.runtime import dns, readiness, warm
from netlab.runtime.client.listeners import AgentListeners
from netlab.runtime.client.settle import settle
from netlab.runtime.converge import converge, touch
from netlab.runtime.host import capacity
from netlab.runtime.host import requirements as host
from netlab.runtime.session import SESSION
from netlab.runtime.state import lock
from netlab.runtime.state.resolved import Lab, applied_now, documents_of, identity, memory_of, resolve, with_state
from netlab.runtime.state.rundir import Applied, Assignments, RunDir, caller
from netlab.runtime.state.running import load_running, open_running
from netlab.runtime.teardown import down as down  # noqa: PLC0414 - up and down are looked for together
from netlab.runtime.teardown import remove
from netlab.spec import Documents, Text, Warning, load_texts

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Up:
    """What ``up`` did: ``changed`` operations in ``seconds``; ``kept`` objects that ``apply`` added stay."""

    lab: Lab
    changed: int
    seconds: float
    foreign: tuple[Obj, ...]
    kept: int
    problems: tuple[Warning, ...]


# -- up ---------------------------------------------------------------------------------------------------------------


def up(draft: Applied, *, reset: bool = False, wait: bool = True, say: Say = lambda _: None) -> Up:
    """Build the lab, or converge a running one of that name to it.

    ``draft`` has the texts of its files; what ``apply`` added to the running lab is kept unless ``reset``.
    ``wait``: until the commands that it starts run and listen, for a bounded time.
    """
    began = time.monotonic()
    parsed = documents_of(draft)
    name = draft.name or (parsed.lab.name if parsed.lab else "")
    if parsed.problems or not is_dns_label(name, LAB_NAME_MAX) or RunDir(name).applied() is None:
        name = resolve(draft).cluster.lab  # what is wrong with a new lab is said before anything needs privilege
    with lock.locked(name, say) as path:
        rundir = RunDir(name)
        before = rundir.applied()
        pending = rundir.pending()
        known = before or pending
        fresh = known is None
        rundir.require_owner("give yours another name: --name NAME")
        if known is not None and known.source != draft.source:
            raise BadInput(
                f"lab {name} is running from {known.source}, and this is {draft.source}",
                hint=f"netlab down {name}, or give this one another name: --name NAME",
            )
        memory = memory_of(rundir)
        applied = replace(draft, since=known.since if known else time.time(), owner=known.owner if known else caller())
        if known is not None and not reset:
            applied = replace(applied, extra=known.extra, deleted=known.deleted, labels=known.labels)
        lab = resolve(applied, memory, readiness.in_force(rundir))
        can = host.require(lab.cluster.plane.needs)
        host.require_for(lab.cluster, can)
        dns.require(lab.cluster)
        lab = with_state(lab, can)
        if fresh:
            _refuse_strangers(name, lab.want)
        else:
            _sweep(rundir)
        capacity.require(lab.want)
        try:
            owned = [one for one in (before, pending) if one]
            lab, done, problems = _apply(rundir, lab, applied, owned, memory, wait=wait)
        except Exception:
            if fresh:  # a lab that was not made whole is no lab; what cannot be removed now, `down` removes
                with contextlib.suppress(OSError, NetlabError):
                    remove(name, rundir)
                    lock.remove(path)
            raise
        rundir.event("up", changed=done[0])
        return Up(
            lab,
            done[0],
            time.monotonic() - began,
            done[1],
            applied.changes,
            tuple(problems),
        )


def _refuse_strangers(name: str, want: State) -> None:
    """A new lab must not take over names or files that somebody else made; what bears its own mark is its own."""
    there = owners(f"{name}-")
    for one in want.only(Netns):
        owner = there.get(one.netns)
        if owner is not None and owner.lab == name:
            continue
        if one.netns in there:
            whose = f"lab {owner.lab}'s {owner.kind} {owner.name}" if owner else "not netlab's"
            raise StateError(
                f"the name {one.netns} in /run/netns is taken: it is {whose}",
                hint="run this lab under another name: --name NAME",
            )
        path = etc.ETC_NETNS / one.netns
        if path.exists():
            raise StateError(
                f"{path} is in the way: this lab did not make it",
                hint=f"look at it, remove it (rm -r {path}), or take another lab name: --name NAME",
            )


def _sweep(rundir: RunDir) -> None:
    """Remove the empty names that an ``up`` left which ended between making a name and mounting the namespace on it."""
    for netns in rundir.assignments().netns:
        if ns.is_blank(netns):
            ns.remove_name(netns)


def _apply(
    rundir: RunDir,
    lab: Lab,
    applied: Applied,
    previous: Sequence[Applied | Lab],
    memory: Memory,
    *,
    wait: bool = True,
    narrow: bool = False,
) -> tuple[Lab, tuple[int, tuple[Obj, ...]], list[Warning]]:
    """Converge to the lab; what it was before counts as its own.  ``narrow``: only where the two differ."""
    owned: dict[Key, Obj] = {}
    was: list[Lab] = [one for one in previous if isinstance(one, Lab)]
    cluster = lab.cluster
    remembered = Memory.of(cluster)
    for one in previous:
        if isinstance(one, Lab):
            continue
        if _same(one, applied) and lab.statuses == rundir.statuses() and memory == remembered:
            owned |= lab.want.items()
            continue
        try:
            was.append(with_state(resolve(one, memory, rundir.statuses()), lab.can))
        except NetlabError:  # documents of an older netlab, or half-written ones: then only what is marked is ours
            continue
    assignments = Assignments(
        remembered.to_json(),
        tuple(dict.fromkeys(one.netns for one in lab.want.values() if isinstance(one, (Netns, File)))),
        len(cluster.nodes),
        len(cluster.own_pods),
    )
    rundir.make()
    rundir.begin(applied, assignments)
    ns.share_run_netns()
    etc.prepare()
    agent = AgentListeners(cluster.lab, rundir.path)
    agent.start()
    for before in was:
        owned |= readiness.leave(rundir, before, cluster).want.items()
    with LinuxKernel(agent) as kernel:
        kernel.generations = rundir.assignments().generations
        reach = touch if narrow else converge
        done = reach(kernel, cluster.lab, lab.want, State.of(owned))
        kernel.remember(lab.want)
        assignments = replace(assignments, generations=kernel.generations)
    rundir.commit(assignments, lab.statuses)
    changed, notes, waited = done.changed, list(agent.problems), list[Warning]()
    try:
        if wait:
            waited = settle(cluster.lab, rundir.path, cluster, agent.ran)
            lab, more, said = readiness.take_over(rundir, lab)
            changed, notes = changed + more, [*notes, *said]
    finally:
        readiness.leave_it(rundir, agent.ran)  # also where the wait was interrupted
    notes += dns.sync(lab.cluster)
    applied_now(lab, applied)
    warm.holds(cluster.lab, len(cluster.pods) + len(cluster.network_policies) + len(cluster.services))
    return lab, (changed, done.foreign), [*(Warning("agent", one, Mark("", 0)) for one in notes), *waited]


def _same(one: Applied, other: Applied) -> bool:
    return replace(one, since=other.since, owner=other.owner, source=other.source) == other


def change(
    name: str,
    *,
    add: Iterable[tuple[str, ...]] = (),
    delete: Collection[str] = (),
    label: Mapping[str, Labels] | None = None,
    say: Say = lambda _: None,
) -> Up:
    """Add texts to a running lab, take objects (by identity) away from it, set labels (as ``model.Changes`` has
    them), and converge.  Pods of controllers that are taken away are made anew (``model.anew``).
    """
    began = time.monotonic()
    with lock.locked(name, say):
        rundir, known = open_running(name)
        rundir.require_owner()
        added = tuple(add)
        memory, statuses = memory_of(rundir), readiness.in_force(rundir)
        running = resolve(known, memory, statuses)
        gone, ended = leaving(running.cluster, {identity(one) for one in running.documents.objects}, tuple(delete))
        new = load_texts([Text(*one) for one in added]) if added else Documents()
        if new.problems:
            raise BadInput(new.problems)
        fresh = {identity(one) for one in new.objects}
        deleted = tuple(dict.fromkeys((*(one for one in known.deleted if one not in fresh), *gone)))
        # As with kubectl, an object that a file no longer has stays until it is deleted.
        extra = (*(one for one in known.extra if _identities(one) - fresh - {*gone}), *added)
        labels = put(known.labels, new.objects, label or {})
        labels = {key: value for key, value in labels.items() if key.removeprefix("Pod/") not in ended}
        applied = replace(known, extra=extra, deleted=deleted, labels=labels)
        if added and (wrong := list(refused(new.objects, running.documents.objects, running.cluster))):
            raise BadInput(wrong)
        after = memory.without(ended)
        lab = resolve(applied, after, _but(statuses, ended))
        applied = replace(applied, labels=still_there(labels, lab.cluster))
        can = host.require(lab.cluster.plane.needs)
        host.require_for(lab.cluster, can)
        dns.require(lab.cluster)
        lab = with_state(lab, can)
        if added:
            capacity.require(lab.want)
        narrow = rundir.pending() is None and not rundir.unsettled()
        before: Applied | Lab = known
        changed = 0
        if again := frozenset(str(pod) for pod in lab.cluster.pods if str(pod) in ended):
            # As a StatefulSet does: the Pod has gone before another of its name comes.
            between = with_state(resolve(applied, after, lab.statuses, again), can)
            before, (changed, _), _ = _apply(rundir, between, applied, [known], memory, wait=False, narrow=narrow)
        lab, done, sentences = _apply(rundir, lab, applied, [before], memory, narrow=narrow)
        changed += done[0]
        rundir.event("apply" if added else "delete" if delete else "label", changed=changed)
        return Up(lab, changed, time.monotonic() - began, done[1], applied.changes, tuple(sentences))


def _but(statuses: Statuses, pods: Collection[str]) -> Statuses:
    return {name: said for name, said in statuses.items() if name not in pods}


def _identities(text: tuple[str, ...]) -> set[str]:
    return {identity(one) for one in load_texts([Text(*text)]).objects}


# -- what differs -----------------------------------------------------------------------------------------------------


def plan(draft: Applied) -> tuple[Lab, Drift]:
    """What ``up`` would do."""
    lab = resolve(draft)
    name = lab.cluster.lab
    rundir = RunDir(name)
    known = rundir.applied()
    if known is not None:
        applied = replace(draft, extra=known.extra, deleted=known.deleted, labels=known.labels)
        lab = resolve(applied, memory_of(rundir), readiness.in_force(rundir))
    lab = with_state(lab, Host(br_netfilter=host.has_br_netfilter()))
    if known is None:
        return lab, drift(lab.want, State())
    owned = desired(resolve(known, memory_of(rundir), rundir.statuses()).cluster, session=SESSION)
    return lab, drift(
        lab.want, observe(lab, rundir, State.of({**dict(lab.want.items()), **dict(owned.items())})).state, owned
    )


def diff(name: str) -> tuple[Lab, Drift]:
    """How the kernel differs from what was last applied."""
    lab = load_running(name)
    return lab, drift(lab.want, observe(lab, RunDir(name)).state, lab.want)


def observe(lab: Lab, rundir: RunDir, like: State | None = None, scope: Collection[str] | None = None) -> Observed:
    """What the kernel has of a lab; ``like`` (else what it should be) says which sysctls and files to look at.

    ``scope``: in these namespaces only (``Kernel.observe``).
    """
    with LinuxKernel(AgentListeners(lab.cluster.lab, rundir.path)) as kernel:
        kernel.generations = rundir.assignments().generations
        return kernel.observe(lab.cluster.lab, like or lab.want, scope)
