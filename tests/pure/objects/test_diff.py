"""Properties of ``diff``, over any two states that could be."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fakekernel import FakeKernel
from hypothesis import given, settings
from hypothesis import strategies as st

from netlab.names import Owner
from netlab.objects import (
    Addr,
    Bridge,
    Fdb,
    File,
    Floor,
    Neigh,
    Netns,
    NftTable,
    Obj,
    Port,
    Route,
    State,
    Sysctl,
    Verb,
    Veth,
    Vxlan,
    diff,
)
from netlab.objects.links import End

SPACES = ("a", "b", "c")
MACS = ("0a:00:00:00:00:01", "0a:00:00:00:00:02")
PLACES = [(netns, dev) for netns in SPACES for dev in ("l0", "l1", "l2")]


@st.composite
def states(draw: Callable[[Any], Any]) -> State:
    """A legal state: whatever hangs on a namespace or link has it; no link stands in another's place."""
    netns = draw(st.lists(st.sampled_from(SPACES), unique=True))
    found: list[Obj] = [Netns(one, Owner("x", draw(st.sampled_from(("node", "pod"))), one)) for one in netns]
    links: set[tuple[str, str]] = set()
    ports = []
    for place, dev in draw(st.permutations(PLACES)):
        if place not in netns or (place, dev) in links:
            continue
        kind = draw(st.sampled_from(("none", "bridge", "veth", "vxlan")))
        mac, mtu = draw(st.sampled_from(MACS)), draw(st.sampled_from((1400, 1500)))
        lower = [name for where, name in sorted(links) if where == place]
        if kind == "bridge":
            found.append(Bridge(place, dev, mac, mtu))
        elif kind == "vxlan" and lower and not any(isinstance(one, Vxlan) for one in found):
            found.append(Vxlan(place, dev, mac, mtu, vni=draw(st.integers(1, 2)), lower=lower[0]))
        elif kind == "veth":
            free = [one for one in PLACES if one not in links and one != (place, dev) and one[0] in netns]
            if not free:
                continue
            far, name = draw(st.sampled_from(free))
            links.add((far, name))
            found.append(Veth(place, End(place, dev, mac, mtu), End(far, name, MACS[0], mtu)))
        else:
            continue
        links.add((place, dev))
    bridges = [(one.netns, one.dev) for one in found if isinstance(one, Bridge)]
    for place, dev in sorted(links):
        masters = [name for where, name in bridges if where == place and (place, dev) not in bridges]
        if masters and draw(st.booleans()):
            ports.append(Port(place, dev, draw(st.sampled_from(masters)), hairpin=draw(st.booleans())))
        if draw(st.booleans()):
            found.append(Addr(place, dev, draw(st.sampled_from(("10.0.0.1/24", "fd00::1/64")))))
        if draw(st.booleans()):
            found.append(Neigh(place, dev, "10.0.0.9", draw(st.sampled_from(MACS))))
        if draw(st.booleans()):
            found.append(Fdb(place, dev, MACS[0], "172.18.0.9"))
        if draw(st.booleans()):
            found.append(Sysctl(place, f"net.ipv4.conf.{dev}.proxy_arp", draw(st.sampled_from("01")), dev))
        if draw(st.booleans()):
            found.append(Route(place, f"10.{dev[1]}.0.0/16", via=draw(st.sampled_from(("", "10.0.0.7"))), dev=dev))
    for place in netns:
        if draw(st.booleans()):
            found.append(File(place, "hosts", draw(st.sampled_from("xy"))))
        if draw(st.booleans()):
            found.append(NftTable(place, "inet", "t"))
    return State([*found, *ports])


@settings(max_examples=150, deadline=None)
@given(states(), states())
def test_doing_the_difference_gives_what_is_wanted(have: State, want: State) -> None:
    kernel = FakeKernel()
    kernel.apply(diff(have, State()))
    assert State.of(kernel.objects) == have
    kernel.apply(diff(want, have))
    assert State.of(kernel.objects) == want


@settings(max_examples=100, deadline=None)
@given(states())
def test_nothing_to_do_is_nothing(state: State) -> None:
    assert diff(state, state) == ()
    kernel = FakeKernel()
    kernel.apply(diff(state, State()))
    kernel.apply(diff(State(), state))
    assert kernel.objects == {}


@settings(max_examples=100, deadline=None)
@given(states(), states())
def test_removals_come_first_and_downwards_then_what_is_made_upwards(have: State, want: State) -> None:
    ops = diff(want, have)
    removed = [op.obj.key.floor for op in ops if op.verb is Verb.DELETE]
    made = [op.obj.key.floor for op in ops if op.verb is not Verb.DELETE]
    assert [op.verb is Verb.DELETE for op in ops] == [True] * len(removed) + [False] * len(made)
    assert removed == sorted(removed, reverse=True)
    assert made == sorted(made)
    assert len({(op.verb, op.obj.key) for op in ops}) == len(ops)


@settings(max_examples=100, deadline=None)
@given(states(), states())
def test_what_goes_with_its_namespace_is_not_removed_by_itself(have: State, want: State) -> None:
    ops = diff(want, have)
    gone = {op.obj.netns for op in ops if op.verb is Verb.DELETE and isinstance(op.obj, Netns)}
    for op in ops:
        if op.verb is Verb.DELETE and op.obj.netns in gone:
            assert op.obj.floor in (Floor.NETNS, Floor.LINK, Floor.FILE)


def test_a_link_made_anew_brings_back_all_that_hung_on_it() -> None:
    base: list[Obj] = [
        Netns("n", Owner("x", "node", "n")),
        Netns("p", Owner("x", "pod", "d/p")),
        Bridge("n", "cni0", MACS[0]),
        Port("n", "v", "cni0"),
        Addr("p", "eth0", "10.0.0.2/24"),
        Route("p", "0.0.0.0/0", "10.0.0.1", "eth0"),
        Neigh("p", "eth0", "10.0.0.1", MACS[0]),
    ]
    want = State([*base, Veth("n", End("n", "v", MACS[0]), End("p", "eth0", MACS[1]))])
    have = State([*base, Veth("n", End("n", "v", MACS[0]), End("n", "elsewhere", MACS[1]))])
    told = [(op.verb.value, op.obj.kind) for op in diff(want, have)]
    # The port goes with its link; what hung on the Pod's end was not there to begin with.
    assert told == [
        ("delete", "veth"),
        ("create", "veth"),
        ("create", "port"),
    ]
