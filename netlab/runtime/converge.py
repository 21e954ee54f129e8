"""Observe, compare, apply, observe again: done when nothing is left to do."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from dataclasses import replace

from netlab.errors import KernelRefused, StateError
from netlab.kernel.linux import LinuxKernel
from netlab.kernel.nftables.drift import Digests
from netlab.kernel.protocol import AgentPort, Kernel
from netlab.objects import Floor, Key, Netns, Obj, State, Sysctl, Veth, contradicted, diff
from netlab.plan.drift import drift
from netlab.runtime.state.rundir import RunDir
from netlab.runtime.state.session import SESSION
from netlab.tuples import NamedTuple

# Of Pods that are made of the same things a few are looked at again, and one in so many of all.
_LIKE_EACH_OTHER, _ONE_IN = 2, 25
PASSES = 4  # one does it; a second mends what fell with a link that was made anew; the rest is for disturbed labs

# Seconds.  The kernel inserts the local route of an IPv6 address in a worker of its own, on a busy host much later.
_PAUSES = (0.1, 0.2, 0.4, 0.8, 1.6, 3.2)


class Converged(NamedTuple):
    """``changed``: operations applied; ``foreign``: what strangers left in the lab's namespaces."""

    changed: int
    foreign: tuple[Obj, ...]


def reach(rundir: RunDir, agent: AgentPort, want: State, owned: State, *, narrow: bool) -> Converged:
    """Make the kernel like ``want``, and keep what is known of its rules in the run state.

    ``narrow``: only where the two states differ (``touch``).
    """
    with LinuxKernel(agent, SESSION.of(Digests)) as kernel:
        assignments = rundir.assignments()
        kernel.generations = assignments.generations
        done = (touch if narrow else converge)(kernel, rundir.lab, want, owned)
        kernel.remember(want)
        rundir.keep(replace(assignments, generations=kernel.generations))
    return done


def converge(kernel: Kernel, lab: str, want: State, owned: State | None = None) -> Converged:
    """Make the kernel like ``want``; ``owned`` was applied before.

    Of a new lab, everything but Pods is verified afterwards, and a sample of identical Pods. The kernel has
    acknowledged each single request, and reading a thousand namespaces takes half a second.

    Learned entries that contradict the lab are removed, but not in the last pass: a source that keeps teaching them is
    no reason to fail. Where something below the rules changed, the kernel also forgets all path MTUs.

    Raises KernelRefused where the kernel refuses the same operation twice, and StateError where something still differs
    after several passes.
    """
    changed = 0
    refusal = ""
    like = want if owned is None else _as_applied(want, owned)
    mended = False
    for number in range(PASSES):
        seen = kernel.observe(lab, like)
        wrong = contradicted(want, seen.learned) if number < PASSES - 1 else ()
        todo = drift(want, seen.state, owned, wrong)
        if not todo.operations:
            _forget(kernel, want, mended=mended)
            return Converged(changed, todo.foreign)
        try:
            kernel.apply(todo.operations)
            changed += len(todo.operations)
            mended = mended or any(op.obj.floor <= Floor.ROUTE for op in todo.operations)
            like = want
            if not seen.state and not seen.strangers and _stands(kernel, lab, want):
                return Converged(changed, todo.foreign)
        except KernelRefused as refused:
            # Somebody else may be at work, and a namespace that goes takes its links away when it likes: look again,
            # and believe the kernel the second time.
            if refused.command == refusal:
                raise
            refusal = refused.command
    for pause in (*_PAUSES, 0):
        left = drift(want, kernel.observe(lab, like).state, owned)
        if not left.operations:
            _forget(kernel, want, mended=mended)
            return Converged(changed, left.foreign)
        time.sleep(pause)
    first = left.operations[0]
    raise StateError(
        f"lab {lab} does not settle: after {PASSES} passes {len(left.operations)} objects still differ, the first is "
        f"{first.obj.kind} {first.obj.name} in {first.obj.netns} ({first.obj.why})",
        hint=f"netlab diff {lab}",
    )


def _forget(kernel: Kernel, want: State, *, mended: bool) -> None:
    if mended:
        kernel.forget([namespace.netns for namespace in want.only(Netns)])


def _stands(kernel: Kernel, lab: str, want: State) -> bool:
    """Whether the verified sample of a new lab is as desired."""
    scope = _some(want)
    keys = {
        key
        for key, obj in want.items()
        if obj.netns in scope and (not isinstance(obj, Veth) or obj.peer.netns in scope)
    }
    seen = kernel.observe(lab, State.of(_only(want, keys)), scope)
    return not diff(_only(want, keys), _only(seen.state, keys))


def _some(want: State) -> set[str]:
    """The namespaces that are not Pods', and some Pods': of each sort a few, and one in so many."""
    kinds: dict[str, list[type[Obj]]] = {}
    for obj in want.values():
        kinds.setdefault(obj.netns, []).append(type(obj))
    scope: set[str] = set()
    alike: dict[tuple[type[Obj], ...], int] = {}
    for number, namespace in enumerate(want.only(Netns)):
        sort = tuple(kinds[namespace.netns])
        alike[sort] = alike.get(sort, 0) + 1
        if namespace.owner.kind != "pod" or alike[sort] <= _LIKE_EACH_OTHER or not number % _ONE_IN:
            scope.add(namespace.netns)
    return scope


def touch(kernel: Kernel, lab: str, want: State, owned: State) -> Converged:
    """As ``converge``, but only observe and change the objects that differ between two known states.

    For a small change of a large lab: observing all of 1,000 namespaces takes most of a second, the change needs two.
    What somebody else did elsewhere stays as it is until the next ``up``; where that is in the way, everything is
    converged.
    """
    ops = diff(want, owned)
    keys = {op.obj.key for op in ops}
    scope = {key.netns for key in keys} | {
        veth.peer.netns for op in ops for veth in (op.obj,) if isinstance(veth, Veth)
    }
    ours, before = _only(want, keys), _only(owned, keys)
    # Rules are compared a namespace at a time, so all of them are named; as they were until they are changed.
    other = {key: obj for key, obj in (ours | before).items() if key.floor is not Floor.NFT}
    like = {**other, **_rules(owned, scope)}
    changed = 0
    for _ in range(PASSES):
        seen = kernel.observe(lab, State.of(like), scope, rules=all(key.floor is Floor.NFT for key in keys))
        todo = diff(ours, _only(seen.state, keys))
        if not todo:
            return Converged(changed, ())
        try:
            kernel.apply(todo)
        except KernelRefused:
            break
        changed += len(todo)
        # A sysctl is always there: one that was deleted has gone back to what it is by itself.
        other = {key: obj for key, obj in other.items() if key in ours or not isinstance(obj, Sysctl)}
        like = {**other, **_rules(want, scope)}
    done = converge(kernel, lab, want, owned)
    return Converged(changed + done.changed, done.foreign)


def _as_applied(want: Mapping[Key, Obj], owned: Mapping[Key, Obj]) -> State:
    """What to look for: both, but of a namespace's rules those that were applied, where anything is known to have been:
    then what nobody touched need not be listed.
    """
    ruled = {key.netns for key in owned if key.floor is Floor.NFT}
    wanted = {key: obj for key, obj in want.items() if key.floor is not Floor.NFT or key.netns not in ruled}
    return State.of({**wanted, **owned})


def _only(state: Mapping[Key, Obj], keys: Collection[Key]) -> dict[Key, Obj]:
    return {key: state[key] for key in keys if key in state}


def _rules(state: Mapping[Key, Obj], scope: Collection[str]) -> dict[Key, Obj]:
    return {key: obj for key, obj in state.items() if key.floor is Floor.NFT and key.netns in scope}
