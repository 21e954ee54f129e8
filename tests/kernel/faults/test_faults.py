"""A fixed part of the faults by packets: several at once on one lab, and some on other data planes.

``invoke faults-test`` has all of them on all data planes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from netlab.errors import HostCannot
from netlab.faults import apply
from netlab.faults.catalogue import fault
from netlab.faults.edit import at_node, with_rules
from netlab.faults.fault import NAME
from netlab.faults.injected import Injected
from netlab.faults.places import flow_of
from netlab.model import Cluster, Node
from netlab.objects import State
from netlab.observe.control import observed
from netlab.observe.probe import Prober
from netlab.runtime import lab as labs
from tests.kit import faultrun

pytestmark = pytest.mark.kernel

# Faults that leave each other's probes alone.
TOGETHER = {
    "vxlan": (
        ("server-on-loopback", "default/client"),
        ("server-other-port", "default/near"),
        ("node-port-changed", "default/edge"),
        ("target-port-wrong", "default/web"),
        ("policy-selects-nothing", "shop/db"),
        ("pod-drops-input", "default/peer"),
        ("route6-to-peer-missing", "node-1"),
        ("server-dead", "shop/front"),
        ("masquerade-missing", "node-1"),
        ("search-list-missing", "default/near"),
        ("source-ranges-wrong", "default/balanced"),
    ),
    "kindnet": (
        ("pod-route-missing", "default/web"),
        ("kube-proxy-stale", "node-2"),
        ("forward6-policy-drop", "node-1"),
        ("pods-not-ready", "default/near"),
    ),
    "weave": (("vni-mismatch", "node-2"), ("bridge-netfilter-off", "node-1")),
}


@pytest.fixture
def name(lab_name: str) -> Iterator[str]:
    yield lab_name
    labs.down(lab_name)


@pytest.mark.parametrize("plane", TOGETHER)
def test_faults_show_together_and_heal(name: str, plane: str) -> None:
    """All at once: each probe shows its fault, nothing is drift; healed all is as before."""
    lab = faultrun.up(plane, name)
    there = [apply.placed(id_, at, lab, ()) for id_, at in TOGETHER[plane]]
    controls = {each: fault(each.fault).control(lab.cluster, each.at) for each in there}
    flows = {
        each: flow_of(lab.cluster, control) for each, control in controls.items() if control and control.kind != NAME
    }

    def probe() -> dict[Injected, str]:
        verdicts = Prober(lab.cluster).answer(flows.values())
        seen = {each: str(verdicts[flow].outcome) for each, flow in flows.items()}
        names = {
            each: observed(lab.cluster, control) for each, control in controls.items() if control and each not in flows
        }
        return seen | names

    before = probe()
    labs.refault(name, lambda *_: tuple(there), verb="break")
    after = probe()
    for each, control in controls.items():
        assert control is not None
        assert after[each] != before[each] and (not control.broken or after[each] in control.broken), each
    assert not labs.diff(name)[1].operations
    labs.refault(name, lambda *_: (), verb="heal")
    assert not labs.diff(name)[1].operations
    assert probe() == before


def test_a_fault_that_the_kernel_refuses_leaves_the_lab_as_it_was(
    kit: Any, lab: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def hook(_: Cluster, state: State, node: Node) -> State:
        return with_rules(state, node.netns, "ip", "broken", "filter forward 0", "no such expression")

    refused = replace(fault("forwarding-off"), on_state=at_node(hook))
    kit.up(kit.spec(lab))
    monkeypatch.setattr(apply, "fault", lambda _: refused)
    with pytest.raises(HostCannot, match="cannot show the fault"):
        labs.refault(lab, lambda *_: (Injected("forwarding-off", "node-1"),), verb="break")
    assert labs.faults_of(lab) == ()
    assert not labs.diff(lab)[1].operations
    monkeypatch.undo()
    labs.refault(lab, lambda *_: (Injected("forwarding-off", "node-2"),), verb="break")
    assert len(labs.faults_of(lab)) == 1
