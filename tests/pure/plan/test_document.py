"""Operations as documents: each kind of object has a line that shows it, and a device or a target where it has any."""

from __future__ import annotations

import pytest

from netlab.objects import Addr, Fdb, Neigh, NftChain, Op, Route, Verb
from netlab.objects.base import Obj
from netlab.objects.links import End, Veth
from netlab.plain import dump
from netlab.plan.document import LOOK, drifts, foreign, look


def kinds(base: type[Obj]) -> set[str]:
    own = {base.kind} if "kind" in vars(base) else set()
    return own.union(*(kinds(sub) for sub in base.__subclasses__()))


def test_each_kind_of_object_has_its_line() -> None:
    assert kinds(Obj) == set(LOOK), "a line of netlab/plan/document.py's table LOOK for each kind"


VETH = Veth("l-node", End("l-node", "veth-a", "02:00:00:00:00:01"), End("l-a", "eth0", "02:00:00:00:00:02"))


@pytest.mark.parametrize(
    ("obj", "line", "target"),
    [
        (Addr("l-a", "eth0", "10.0.0.2/24"), "ip -n l-a addr show dev eth0", {"dev": "eth0", "address": "10.0.0.2/24"}),
        (
            Route("l-a", "fd00::/64", via="fd00::1", dev="eth0"),
            "ip -6 -n l-a route show table 254 fd00::/64",
            {"dev": "eth0", "dst": "fd00::/64", "via": "fd00::1"},
        ),
        (
            Neigh("l-a", "eth0", "10.0.0.1", "02:00:00:00:00:01"),
            "ip -n l-a neigh show 10.0.0.1 dev eth0",
            {"dev": "eth0", "address": "10.0.0.1", "mac": "02:00:00:00:00:01"},
        ),
        (
            Fdb("l-n", "vxlan0", "02:00:00:00:00:01", "172.18.0.3"),
            "bridge -n l-n fdb show dev vxlan0",
            {"dev": "vxlan0", "dst": "172.18.0.3", "mac": "02:00:00:00:00:01"},
        ),
        (VETH, "ip -n l-node -d link show dev veth-a", {"dev": "veth-a", "peer": {"netns": "l-a", "dev": "eth0"}}),
        (NftChain("l-n", "ip", "t", "c"), "ip netns exec l-n nft -a list chain ip t c", {"table": "ip t"}),
    ],
)
def test_a_document_has_the_device_and_the_target(obj: Obj, line: str, target: dict[str, object]) -> None:
    assert look(obj)[0] == line
    shown = dump(drifts([Op(Verb.CREATE, obj)])[0])
    found = {
        key: shown[key] for key in ("dev", "dst", "via", "address", "mac", "master", "peer", "table") if key in shown
    }
    assert found == target
    assert shown["mend"] and shown["look"] == list(look(obj))


def test_what_is_made_anew_is_mended_by_both_lines() -> None:
    old, new = Route("l-a", "10.1.0.0/16", via="10.0.0.1", dev="eth0"), Route("l-a", "10.1.0.0/16", type="blackhole")
    first, second = drifts([Op(Verb.DELETE, old), Op(Verb.CREATE, new)])
    assert first.mend == ("ip -n l-a route del 10.1.0.0/16 via 10.0.0.1 dev eth0", *second.mend)


def test_a_foreign_object_has_its_text_and_the_line_that_removes_it() -> None:
    chain = NftChain("l-n", "ip", "t", "c")
    (shown,) = foreign([chain], {chain.key: ("table ip t {", "}")})
    assert shown.text == ("table ip t {", "}")
    assert shown.commands and "delete chain" in shown.commands[-1]
