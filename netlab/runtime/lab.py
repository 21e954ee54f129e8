"""The operations on a lab: up, down, plan, diff, and changes of a running lab."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from netlab.errors import BadInput, HostCannot, KernelRefused, NetlabError
from netlab.faults.apply import Plain
from netlab.faults.injected import Injected
from netlab.kernel.linux import LinuxKernel
from netlab.kernel.nftables.drift import Digests
from netlab.kernel.nftables.libnft import NftFailed
from netlab.kernel.protocol import Observed
from netlab.model import Cluster, Memory
from netlab.model.anew import leaving, rolled
from netlab.model.status import Statuses
from netlab.model.topology.links import kept
from netlab.model.updates import refused
from netlab.model.workloads.changes import Labels, put, still_there
from netlab.objects import Obj, State, Veth, contradicted
from netlab.objects.links import namespaces
from netlab.plan import Drift, drift
from netlab.runtime import commandserver, readiness
from netlab.runtime.client import agentclient, apiserver
from netlab.runtime.client.listeners import AgentListeners
from netlab.runtime.converge import reach
from netlab.runtime.host import capacity, named, trust
from netlab.runtime.host import requirements as host
from netlab.runtime.host.claims import claim
from netlab.runtime.planefile import with_plane
from netlab.runtime.state import lock
from netlab.runtime.state.resolved import Lab, applied_now, identity, memory_of, resolve, with_state
from netlab.runtime.state.rundir import Applied, ChangedMeanwhile, RunDir, Version
from netlab.runtime.state.running import Run, in_force, load_running, name_of, open_run, open_running, with_changes
from netlab.runtime.state.session import SESSION
from netlab.runtime.teardown import down as down  # noqa: PLC0414 - up and down are looked for together
from netlab.runtime.teardown import remove
from netlab.spec import Documents, Text, Warning, load_texts
from netlab.values import dataclass

if TYPE_CHECKING:
    from netlab.plan.share import Share

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of a change: ``changed`` operations in ``seconds``; ``kept`` changes beside the lab's files stay."""

    lab: Lab
    changed: int
    foreign: tuple[Obj, ...]
    kept: int
    problems: tuple[Warning, ...]
    seconds: float = 0.0


# -- up ---------------------------------------------------------------------------------------------------------------


def up(
    draft: Applied,
    *,
    reset: bool = False,
    wait: bool = True,
    programs: bool = False,
    share: Share | None = None,
    say: Say = lambda _: None,
) -> Outcome:
    """Build the lab, or converge a running one of that name to it.

    ``draft`` has the texts of its files; what ``apply`` added to the running lab is kept unless ``reset``.
    ``wait``: until the commands that it starts run and listen, for a bounded time.  ``programs``: those that the Lab
    names (CNI plugins) may run.  ``share``: of a lab on several machines, this one's.
    """
    began = time.monotonic()
    name = name_of(draft)
    with lock.locked(name, say):
        run = open_run(name, "give yours another name: --name NAME")
        applied = run.drafted(draft, reset=reset)
        applied = with_plane(applied, run.memory, run.statuses) if programs else applied
        if share is not None:
            _spread(run, resolve(applied, run.memory, run.statuses).cluster, share)
        try:
            lab = prepare(applied, run.memory, run.statuses)
            trust.require(applied, named.programs(lab.documents.lab, lab.cluster), applied.owner)
            claim(run.rundir, lab.want, new=run.documents is None)
        except NetlabError:
            if share is not None and run.documents is None:
                run.rundir.remove()
            raise
        try:
            before = [each for each in (run.applied, run.pending) if each]
            outcome = _apply(run, lab, applied, before, wait=wait, programs=programs, say=say)
        except Exception:
            if run.documents is None:  # a lab that was not made whole is no lab; `down` removes what cannot be now
                with contextlib.suppress(OSError, NetlabError):
                    remove(name, run.rundir)
            raise
        return _done(run, "up", outcome, began)


def _spread(run: Run, cluster: Cluster, share: Share) -> None:
    """Record the share of a lab on several machines, where this machine can have it."""
    from netlab.plan import share as shares
    from netlab.runtime.machines.shares import require

    shares.require(share, cluster)
    require(share, cluster)
    run.rundir.spread(share)


def prepare(applied: Applied, memory: Memory, statuses: Statuses) -> Lab:
    """The lab that is to be, with its objects.  Raises BadInput, or HostCannot where this host cannot build it."""
    lab = resolve(applied, memory, statuses)
    return with_state(lab, host.require(lab.cluster))


def _apply(
    run: Run,
    lab: Lab,
    applied: Applied,
    previous: Sequence[Applied | Lab],
    *,
    wait: bool = True,
    narrow: bool = False,
    programs: bool = False,
    say: Say = lambda _: None,
) -> Outcome:
    """Converge to the lab; what it was before counts as its own.  ``narrow``: only where the two differ."""
    rundir, cluster = run.rundir, lab.cluster
    running = run.begin(lab, applied, previous)
    ages = run.aged(running, lab)
    agent = AgentListeners(cluster.lab, rundir.path)
    agent.start()
    owned = readiness.leave_all(rundir, running, cluster)
    if cluster.attachments:
        from netlab.runtime.cni.attach import attach, check

        lab, owned = attach(rundir, agent, lab, applied, owned, programs=programs, say=say)
        if programs and not narrow:
            check(rundir, lab, applied, cluster.attachments.pods, say)
        cluster = lab.cluster
    done = reach(rundir, agent, lab.want, owned, narrow=narrow)
    run.commit(lab, ages)
    if cluster.folder:  # daemons of nodes wait for it
        apiserver.held(cluster.lab)
    lab, followed, problems = readiness.settle(rundir, lab, agent, wait=wait)
    applied_now(lab, applied)
    many = (cluster.pods, cluster.network_policies, cluster.tiers, cluster.services)
    commandserver.holds(cluster.lab, sum(map(len, many)))
    foreign = _without_named(done.foreign, cluster)
    return Outcome(lab, done.changed + followed, foreign, applied.changes, tuple(problems))


def _without_named(foreign: tuple[Obj, ...], cluster: Cluster) -> tuple[Obj, ...]:
    """The foreign objects without those of the user's CNI plugins."""
    if not cluster.attachments:
        return foreign
    from netlab.plan.adopted import of_others

    return of_others(cluster, foreign)


def _done(run: Run, verb: str, outcome: Outcome, began: float) -> Outcome:
    run.rundir.event(verb, changed=outcome.changed)
    return replace(outcome, seconds=time.monotonic() - began)


def change(
    name: str,
    *,
    add: Iterable[tuple[str, ...]] = (),
    delete: Collection[str] = (),
    label: Mapping[str, Labels] | None = None,
    link: Mapping[str, Mapping[str, str]] | None = None,
    read_at: Version | None = None,
    programs: bool = False,
    say: Say = lambda _: None,
) -> Outcome:
    """Add texts to a running lab, take objects (by identity) away from it, set labels and impairments of links (as
    ``model.Changes`` has them), and converge.  Pods of controllers that are taken away are made anew (``model.anew``).
    ``read_at``: the version of the documents of which the texts were made.  Raises ChangedMeanwhile where that is over.
    ``programs``: those that the Lab names (CNI plugins) may run.
    """
    began = time.monotonic()
    with lock.locked(name, say):
        _, applied_before = open_running(name)
        run = open_run(name)
        if read_at is not None and run.rundir.version() != read_at:
            raise ChangedMeanwhile(f"lab {name} was changed by another command meanwhile")
        added = tuple(add)
        running = resolve(applied_before, run.memory, run.statuses)
        gone, ended = leaving(running.cluster, {identity(each) for each in running.documents.objects}, tuple(delete))
        new = load_texts([Text(*text) for text in added]) if added else Documents()
        if new.problems:
            raise BadInput(new.problems)
        ended |= rolled(running.cluster, running.documents.objects, new.objects)
        fresh = {identity(each) for each in new.objects}
        deleted = tuple(dict.fromkeys((*(key for key in applied_before.deleted if key not in fresh), *gone)))
        # As with kubectl, an object that a file no longer has stays until it is deleted.
        extra = (*(text for text in applied_before.extra if _identities(text) - fresh - {*gone}), *added)
        labels = put(applied_before.labels, new.objects, label or {})
        labels = {key: value for key, value in labels.items() if key.removeprefix("Pod/") not in ended}
        links = {**applied_before.links, **(link or {})}
        applied = replace(applied_before, extra=extra, deleted=deleted, labels=labels, links=links)
        if added and (wrong := list(refused(new.objects, running.documents.objects, running.cluster))):
            raise BadInput(wrong)
        after = run.memory.without(ended)
        applied = with_plane(applied, after, run.statuses) if programs else applied
        lab = prepare(applied, after, {pod: status for pod, status in run.statuses.items() if pod not in ended})
        applied = replace(
            applied, labels=still_there(labels, lab.cluster), links=kept(links, lab.cluster, lab.documents.lab)
        )
        if added:
            trust.require(applied, named.programs(new.lab, lab.cluster), applied.owner)
            capacity.require(lab.want)
        # A new agent knows nothing of what the lab has.
        narrow = run.pending is None and not run.rundir.unsettled() and agentclient.serving(run.rundir.path)
        before: Applied | Lab = applied_before
        changed = 0
        run.rundir.hold()
        try:
            if again := frozenset(str(pod) for pod in lab.cluster.pods if str(pod) in ended):
                # As a StatefulSet does: the Pod has gone before another of its name comes.
                between = with_state(resolve(applied, after, lab.statuses, again), lab.can)
                removed = _apply(
                    run, between, applied, [applied_before], wait=False, narrow=narrow, programs=programs, say=say
                )
                before, changed = removed.lab, removed.changed
            outcome = _apply(run, lab, applied, [before], narrow=narrow, programs=programs, say=say)
        except (NetlabError, OSError):
            if run.pending is None:
                _undo(run, running, lab)
            raise
        finally:
            run.rundir.release()
        outcome = replace(outcome, changed=outcome.changed + changed)
        return _done(run, "apply" if added else "delete" if delete else "link" if link else "label", outcome, began)


def _undo(run: Run, before: Lab, after: Lab) -> None:
    """Make a running lab as it was before a change that failed.  Where that fails as well, the next ``up`` mends it."""
    rundir, before = run.rundir, with_state(before, after.can)
    agent = AgentListeners(before.cluster.lab, rundir.path)
    with contextlib.suppress(NetlabError, NftFailed, OSError):
        rundir.restore()
        agent.start()
        with contextlib.suppress(OSError):  # a full disk does not take what is known of the rules
            reach(rundir, agent, before.want, State.of({**before.want, **after.want}), narrow=False)
        rundir.abandon()
        readiness.settle(rundir, before, agent, wait=False)


def know(name: str, outcomes: Mapping[str, str]) -> Outcome:
    """Let the controllers of a running lab know these ends of Pods (``model.workloads.jobs``).  Needs the lab's lock."""
    began = time.monotonic()
    _, before = open_running(name)
    run = open_run(name)
    lab = prepare(before, replace(run.memory, outcomes=outcomes), run.statuses)
    narrow = not run.rundir.unsettled()
    return _done(run, "controllers", _apply(run, lab, before, [before], wait=False, narrow=narrow), began)


def _identities(text: tuple[str, ...]) -> set[str]:
    """The objects of a text, with the Lab that netlab wrote for a test of manifests."""
    documents = load_texts([Text(*text)])
    return {identity(each) for each in (*documents.objects, *filter(None, (documents.lab,)))}


def faults_of(name: str) -> tuple[Injected, ...]:
    """The open faults of a running lab."""
    return open_running(name)[1].faults


def refault(
    name: str,
    faults: Callable[[Plain, tuple[Injected, ...]], tuple[Injected, ...]],
    *,
    verb: str,
    say: Say = lambda _: None,
) -> Outcome:
    """Give a running lab other faults, and converge: ``faults`` makes them of the lab without any and the open ones.

    Where the kernel refuses them, the lab is made as it was.  Raises HostCannot then.
    """
    began = time.monotonic()
    with lock.locked(name, say):
        _, before = open_running(name)
        run = open_run(name)
        plain = prepare(replace(before, faults=()), run.memory, run.statuses)
        applied = replace(before, faults=faults(Plain(plain.cluster, plain.want, plain.can), before.faults))
        lab = plain if not applied.faults else prepare(applied, run.memory, run.statuses)
        try:
            outcome = _apply(run, lab, applied, [each for each in (before, run.pending) if each])
        except NetlabError as refused:
            with contextlib.suppress(NetlabError):
                _apply(run, prepare(before, run.memory, run.statuses), before, [before, applied])
            if isinstance(refused, KernelRefused) and len(applied.faults) > len(before.faults):
                raise HostCannot(f"this kernel cannot show the fault: {refused.message}") from refused
            raise
        return _done(run, verb, outcome, began)


# -- what differs -----------------------------------------------------------------------------------------------------


def plan(draft: Applied) -> tuple[Lab, Drift]:
    """The changes that ``up`` would make."""
    lab = resolve(draft)
    name = lab.cluster.lab
    rundir = RunDir(name)
    running = rundir.applied()
    if running is not None:
        lab = resolve(with_changes(draft, running), memory_of(rundir), in_force(rundir))
    lab = with_state(lab, host.of_running(lab.cluster))
    if running is None:
        return lab, drift(lab.want, State())
    owned = with_state(resolve(running, memory_of(rundir), rundir.statuses()), lab.can).want
    return lab, drift(
        lab.want, observe(lab, rundir, State.of({**dict(lab.want.items()), **dict(owned.items())})).state, owned
    )


def diff(name: str, netns: Collection[str] | None = None) -> tuple[Lab, Drift]:
    """The differences between the kernel and the applied lab; ``netns``: only in these namespaces, which takes less time.

    A veth belongs to the namespaces of both its ends.
    """
    lab = load_running(name)
    if netns is None:
        seen = observe(lab, RunDir(name))
        return lab, _drift(lab, lab.want, seen)
    wanted = frozenset(netns)
    # A veth is observed whole only if both its namespaces are.
    pairs = [{veth.end.netns, veth.peer.netns} for veth in lab.want.only(Veth)]
    scope = wanted.union(*(pair for pair in pairs if pair & wanted))
    want = within(lab.want, scope)
    seen = observe(lab, RunDir(name), want, scope)
    differing = _drift(lab, want, seen)
    return lab, Drift(
        tuple(op for op in differing.operations if namespaces([op.obj]) & wanted),
        tuple(obj for obj in differing.foreign if namespaces([obj]) & wanted),
    )


def _drift(lab: Lab, want: State, seen: Observed) -> Drift:
    found = drift(want, seen.state, lab.want, contradicted(lab.want, seen.learned))
    return Drift(found.operations, _without_named(found.foreign, lab.cluster))


def within(state: State, scope: Collection[str]) -> State:
    """The objects that are in these namespaces with all their ends."""

    def inside(obj: Obj) -> bool:
        return obj.netns in scope and (not isinstance(obj, Veth) or obj.peer.netns in scope)

    return State.of({key: obj for key, obj in state.items() if inside(obj)})


def observe(lab: Lab, rundir: RunDir, like: State | None = None, scope: Collection[str] | None = None) -> Observed:
    """The observed state of a lab; ``like`` (by default the desired state) selects the sysctls and files to read.

    ``scope``: in these namespaces only (``Kernel.observe``).
    """
    with LinuxKernel(AgentListeners(lab.cluster.lab, rundir.path), SESSION.of(Digests)) as kernel:
        kernel.generations = rundir.assignments().generations
        return kernel.observe(lab.cluster.lab, like or lab.want, scope)
