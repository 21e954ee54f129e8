"""The same walk over legal states, on the kernel and on the dictionary that stands for it: both always get there."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from typing import Any

import pytest
from fakekernel import FakeKernel

from netlab.errors import BadInput
from netlab.kernel.linux import LinuxKernel
from netlab.objects import State
from netlab.plan import drift
from netlab.planes import ROWS
from netlab.runtime.converge import converge
from tests.kernel_features import needed

pytestmark = pytest.mark.kernel

FAMILIES = (["IPv4"], ["IPv6"], ["IPv4", "IPv6"], ["IPv6", "IPv4"])


@dataclass(frozen=True)
class Small:
    """A small cluster: what the walk changes."""

    nodes: tuple[str, ...] = ("node-1", "node-2")
    pods: tuple[tuple[str, str], ...] = (("a", "node-1"), ("b", "node-2"))
    dataplane: str = "vxlan"
    families: tuple[str, ...] = ("IPv4",)
    mtu: int = 1500
    offload: str = "off"

    def step(self, dice: random.Random) -> Small:
        what = dice.choice(("pod+", "pod+", "pod-", "node+", "node-", "plane", "mtu", "offload", "families", "move"))
        if what == "pod+" and len(self.pods) < 5:
            name = dice.choice([one for one in "abcdefg" if one not in dict(self.pods)])
            return replace(self, pods=(*self.pods, (name, dice.choice(self.nodes))))
        if what == "pod-" and self.pods:
            gone = dice.choice(self.pods)
            return replace(self, pods=tuple(one for one in self.pods if one != gone))
        if what == "move" and self.pods:
            (name, _), *rest = dice.sample(self.pods, len(self.pods))
            return replace(self, pods=((name, dice.choice(self.nodes)), *rest))
        if what == "node+" and len(self.nodes) < 3:
            # A node may take the name of a Pod, and the other way round.
            name = dice.choice([one for one in ("node-1", "node-2", "node-3", "a") if one not in self.nodes])
            return replace(self, nodes=(*self.nodes, name))
        if what == "node-" and len(self.nodes) > 1:
            gone_node = dice.choice(self.nodes)
            left = tuple(one for one in self.nodes if one != gone_node)
            return replace(self, nodes=left, pods=tuple(one for one in self.pods if one[1] != gone_node))
        if what == "plane":
            usable = [name for name in ROWS if set(self.families) <= set(ROWS[name].families)]
            return replace(self, dataplane=dice.choice([name for name in usable if not needed(name)]))
        if what == "mtu":
            return replace(self, mtu=dice.choice((1500, 1400, 9000)))
        if what == "offload":
            return replace(self, offload="on" if self.offload == "off" else "off")
        if what == "families":
            families = tuple(dice.choice(FAMILIES))
            return replace(
                self, families=families if set(families) <= set(ROWS[self.dataplane].families) else self.families
            )
        return self

    def text(self, kit: Any, lab: str) -> str:
        return str(
            kit.spec(
                lab,
                self.pods,
                self.nodes,
                dataplane=self.dataplane,
                ipFamilies=list(self.families),
                mtu=self.mtu,
                offload=self.offload,
            )
        )


@pytest.mark.parametrize("seed", range(6))
def test_both_kernels_arrive_wherever_the_walk_leads(kit: Any, lab: str, seed: int) -> None:
    dice = random.Random(seed)
    fake, before, small = FakeKernel(), State(), Small()
    with LinuxKernel() as real:
        for number in range(9):
            try:
                want = kit.want(small.text(kit, lab))
            except BadInput as error:  # the walk stays among legal clusters
                raise AssertionError(f"step {number}: {small}: {error}") from error
            for kernel in (fake, real):
                converge(kernel, lab, want, before)
                seen = kernel.observe(lab, want).state
                assert not drift(want, seen, want).operations, f"step {number}: {small}"
                assert seen == want, f"step {number}: {small}"
            before = want
            small = small.step(dice)
        for kernel in (fake, real):
            converge(kernel, lab, State(), before)
            assert not kernel.observe(lab).state


def test_one_pass_is_enough_for_a_legal_change(kit: Any, lab: str) -> None:
    """``plan`` shows one pass: what it leaves out would be a lie."""
    dice = random.Random(99)
    small, before = Small(pods=(("a", "node-1"), ("b", "node-2"), ("c", "node-1"))), State()
    with LinuxKernel() as real:
        for _ in range(8):
            want = kit.want(small.text(kit, lab))
            have = real.observe(lab, State.of({**want, **before})).state
            real.apply(drift(want, have, before).operations)
            left = drift(want, real.observe(lab, want).state, before).operations
            assert not left, f"{small}: {[(op.verb, op.obj.key) for op in left]}"
            before = want
            small = small.step(dice)
