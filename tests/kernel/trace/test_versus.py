"""``trace --versus``: the same flow in two labs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.conftest import run_netlab

pytestmark = pytest.mark.kernel


@pytest.fixture
def two(kit: Any, lab_name: str) -> Iterator[tuple[str, str]]:
    """A lab without encapsulation and one with VXLAN."""
    names = lab_name, f"{lab_name}v"
    try:
        for name, plane in zip(names, ("host-gw", "vxlan"), strict=True):
            kit.up(kit.spec(name, dataplane=plane))
        yield names
    finally:
        for name in names:
            kit.down(name)


def test_two_planes_part_where_one_encapsulates(two: tuple[str, str]) -> None:
    words = ("trace", "client", "server:80", "--lab", two[0], "--versus", two[1])
    told = json.loads(run_netlab(*words, "-o", "json", check=0).stdout)
    parted = told["parted"]
    assert told["same_outcome"] and (told["ours"]["outcome"], told["theirs"]["outcome"]) == ("open", "open")
    places = {key: (parted[key]["place"], parted[key]["interface"]) for key in ("after", "ours", "theirs")}
    assert places == {"after": ("node-1", "cni0"), "ours": ("node-1", "eth0"), "theirs": ("node-1", "vxlan0")}
    wrapped = [row["theirs"] for row in told["rows"] if row["theirs"] and row["theirs"]["encapsulation"]]
    assert {step["encapsulation"] for step in wrapped} == {"VXLAN"} and all(
        "[SYN" in step["packet"] for step in wrapped
    )
    text = run_netlab(*words, check=0).stdout
    assert "the two requests part after node-1 cni0 in" in text and "\n> node-1    vxlan0" in text


def test_the_same_plane_takes_the_same_steps_until_a_rule_ends_one(two: tuple[str, str], kit: Any) -> None:
    lab, other = two
    run_netlab("trace", "client", "server:80", "--lab", lab, "--versus", lab, check=0)
    text = (
        "add table inet mine; add chain inet mine f { type filter hook forward priority 0; }; add rule inet mine f drop"
    )
    kit.sh(f"ip netns exec {other}-node-1 nft '{text}'")
    told = run_netlab("trace", "client", "server:80", "--lab", lab, "--versus", other, check=4).stdout
    assert f"in {other} node-1 (drop by nft table inet mine, chain f)" in told
    assert f"{lab}: open\n{other}: timeout: nftables dropped the request" in told
    assert (
        "draws no picture"
        in run_netlab("trace", "client", "server", "--lab", lab, "--versus", lab, "-o", "svg", check=2).stderr
    )
