"""Observe, compare, apply, observe again: done when nothing is left to do."""

from __future__ import annotations

from typing import NamedTuple

from netlab.errors import KernelRefused, StateError
from netlab.kernel import Kernel
from netlab.objects import Obj, State
from netlab.plan.drift import drift

PASSES = 4  # one does it; a second mends what fell with a link that was made anew; the rest is for disturbed labs


class Converged(NamedTuple):
    """``changed``: operations applied; ``foreign``: what strangers left in the lab's namespaces."""

    changed: int
    foreign: tuple[Obj, ...]


def converge(kernel: Kernel, lab: str, want: State, owned: State | None = None) -> Converged:
    """Make the kernel like ``want``; ``owned`` is what was applied before.

    Raises KernelRefused where the kernel refuses the same thing twice, StateError where after several passes something still differs.
    """
    changed = 0
    refusal = ""
    like = want if owned is None else State.of({**want, **owned})  # rules are as they were applied until we change them
    for _ in range(PASSES):
        seen = kernel.observe(lab, like)
        todo = drift(want, seen.state, owned)
        if not todo.operations:
            return Converged(changed, todo.foreign)
        try:
            kernel.apply(todo.operations)
            changed += len(todo.operations)
        except KernelRefused as refused:
            # Somebody else may be at work, and a namespace that goes takes its links away when it likes: look again,
            # and believe the kernel the second time.
            if refused.command == refusal:
                raise
            refusal = refused.command
        like = want
    seen = kernel.observe(lab, like)
    left = drift(want, seen.state, owned)
    if not left.operations:
        return Converged(changed, left.foreign)
    first = left.operations[0]
    raise StateError(
        f"lab {lab} does not settle: after {PASSES} passes {len(left.operations)} objects still differ, the first is "
        f"{first.obj.kind} {first.obj.name} in {first.obj.netns} ({first.obj.why})",
        hint=f"netlab diff {lab}",
    )
