"""Every fault: what its file says, where it can be, and that it changes a lab and is proved by a probe."""

from __future__ import annotations

from typing import Any

import pytest

from netlab.errors import BadInput, HostCannot
from netlab.faults import apply
from netlab.faults.catalogue import every, fault, modules, planes_of
from netlab.faults.draw import drawn
from netlab.faults.fault import NAME, Fault
from netlab.faults.injected import Injected
from netlab.faults.places import flow_of
from netlab.model import build
from netlab.plan import Host, check, desired
from netlab.planes import ROWS
from netlab.spec import Text, load_texts
from tests.kit import faultrun, faulttable

FAULTS = every()


def plain(plane: str, families: str = "") -> apply.Plain:
    """The lab in which every fault has a place, on a data plane."""
    text = faultrun.spec(plane, "faults")
    text = text.replace("[IPv4, IPv6]", families).replace("203.0.113.10", "2001:db8::10") if families else text
    cluster = build(load_texts([Text("lab.yaml", text)]), check=check).cluster
    return apply.Plain(cluster, desired(cluster), Host())


@pytest.fixture(scope="module")
def labs() -> dict[str, apply.Plain]:
    return {plane: plain(plane) for plane in ROWS}


@pytest.mark.parametrize("each", FAULTS, ids=lambda each: each.id)
def test_a_fault_says_what_it_is(each: Fault) -> None:
    assert modules()[each.id].endswith(f".{each.id.replace('-', '_')}")
    assert each.level in (1, 2, 3)
    assert each.source and each.requires
    for text in (each.symptom, each.cause):
        assert 20 < len(text) < 200 and not text.endswith("."), text
    assert each.id not in each.look_alikes and set(each.look_alikes) <= modules().keys()
    assert any((each.on_objects, each.on_cluster, each.on_state))


@pytest.mark.parametrize("plane", ROWS)
def test_faults_have_places_on_their_planes_and_change_what_is_wanted_there(
    plane: str, labs: dict[str, apply.Plain]
) -> None:
    """Each fault: a place and a probe; it changes the lab, and being there twice it is the same."""
    lab = labs[plane]
    for each in FAULTS:
        places = each.where(lab.cluster, lab.state)
        assert bool(places) == (plane in planes_of(each)), f"{each.id} on {plane}: {places}"
        for at in places[:1]:
            control = each.control(lab.cluster, at)
            assert control is not None
            assert control.kind == NAME or control.port
            there = Injected(each.id, at)
            assert each.on_objects or broken(lab, there) != (lab.cluster, lab.state), each.id
            assert broken(lab, there) == broken(lab, there, there), each.id


def broken(lab: apply.Plain, *faults: Injected) -> tuple[Any, Any]:
    cluster = apply.cluster_with(faults, lab.cluster)
    return cluster, apply.state_with(faults, cluster, lab.state)


@pytest.mark.parametrize("each", FAULTS, ids=lambda each: each.id)
def test_a_fault_leaves_a_lab_alone_where_its_place_is_gone(each: Fault, labs: dict[str, apply.Plain]) -> None:
    lab = labs[planes_of(each)[0]]
    there = Injected(each.id, "gone/gone")
    assert apply.state_with([there], lab.cluster, lab.state) == lab.state
    assert apply.cluster_with([there], lab.cluster) == lab.cluster
    assert apply.objects_with([there], ()) == ()


def test_a_fallback_device_that_is_down_is_one_that_nobody_wants(labs: dict[str, apply.Plain]) -> None:
    """The kernel's tunl0 cannot be deleted, and down it is not seen: the lab with this fault never settled."""
    _, state = broken(labs["calico-ipip"], Injected("tunnel-down", "node-1"))
    left = {obj.netns for obj in state.values() if getattr(obj, "dev", "") == "tunl0"}
    assert left == {"faults-node-2"}


def test_an_unknown_fault_in_the_run_state_changes_nothing(labs: dict[str, apply.Plain]) -> None:
    lab = labs["vxlan"]
    assert apply.state_with([Injected("of-another-netlab", "node-1")], lab.cluster, lab.state) == lab.state


def test_a_wrong_name_is_answered_with_the_near_one() -> None:
    with pytest.raises(BadInput, match='did you mean "forwarding-off"'):
        fault("forwardin-off")


def test_a_place_is_refused_with_those_that_there_are(labs: dict[str, apply.Plain]) -> None:
    with pytest.raises(BadInput, match=r"cannot be at node-9 .*node-1"):
        apply.placed("forwarding-off", "node-9", labs["vxlan"], ())
    with pytest.raises(BadInput, match="data plane bridge cannot have it"):
        apply.placed("forwarding-off", "", labs["bridge"], ())
    with pytest.raises(BadInput, match="open at node-1 already"):
        apply.placed("forwarding-off", "node-1", labs["vxlan"], (Injected("forwarding-off", "node-1"),))


def test_without_a_place_the_next_free_is_taken(labs: dict[str, apply.Plain]) -> None:
    there = (Injected("forwarding-off", "node-1"),)
    assert apply.placed("forwarding-off", "", labs["vxlan"], there).at == "node-2"


def test_that_a_secret_fault_is_open_is_not_told_by_a_refusal(labs: dict[str, apply.Plain]) -> None:
    there = (Injected("forwarding-off", "node-1", secret=True),)
    assert apply.placed("forwarding-off", "node-1", labs["vxlan"], there) == Injected("forwarding-off", "node-1")


def test_a_kernel_that_lacks_something_is_named(labs: dict[str, apply.Plain]) -> None:
    needing = next((each for each in FAULTS if each.needs), None)
    if needing is None:
        pytest.skip("no fault needs anything of the host")
    lab = labs["vxlan"]._replace(host=Host(br_netfilter=False, netem=False))
    with pytest.raises(HostCannot, match=needing.needs[0]):
        apply.placed(needing.id, "", lab, ())


def test_a_draw_is_the_same_for_a_seed_and_never_what_is_open(labs: dict[str, apply.Plain]) -> None:
    lab: Any = labs["vxlan"]
    chosen = drawn(lab, (), level=1, seed=7)
    assert chosen == drawn(lab, (), level=1, seed=7)
    assert fault(chosen.fault).level == 1
    assert drawn(lab, (chosen,), level=1, seed=7) != chosen


def test_the_table_of_the_page_has_every_fault_on_each_of_its_planes() -> None:
    page = faulttable.PAGE.read_text(encoding="utf-8")
    marks = faulttable.known_marks(page)
    assert {key for key in marks if key[1] != faulttable.PLACE} == {
        (each.id, plane) for each in FAULTS for plane in planes_of(each)
    }
    assert page == faulttable.rewritten(page, marks), "invoke faults-test --table writes it"


def test_a_lab_whose_first_family_is_ipv6_is_probed_by_ipv4() -> None:
    lab = plain("vxlan", "[IPv6, IPv4]")
    control = fault("forwarding-off").control(lab.cluster, "node-1")
    assert control is not None and "." in flow_of(lab.cluster, control).address
    for each in FAULTS:
        for at in each.where(lab.cluster, lab.state)[:1]:
            broken(lab, Injected(each.id, at))


def test_a_lab_of_ipv6_alone_has_no_faults() -> None:
    lab = plain("vxlan", "[IPv6]")
    for each in FAULTS:
        assert each.where(lab.cluster, lab.state) == ()
        assert apply.state_with([Injected(each.id, "node-1")], lab.cluster, lab.state) == lab.state
