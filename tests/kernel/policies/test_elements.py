"""Elements that netlink puts into sets without libnftables: the same as the library's, all of them or none."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from netlab.kernel import libnft, nftelements
from netlab.kernel import netns as ns
from netlab.objects import NftSet, Op, Verb

pytestmark = pytest.mark.kernel
TABLE = """
add table inet netlab-policy
add set inet netlab-policy four { type ipv4_addr; }
add set inet netlab-policy six { type ipv6_addr; }
add element inet netlab-policy four { 10.0.0.1, 10.0.0.2 }
"""


def update(name: str, before: set[str], after: set[str]) -> Op:
    kind = "ipv6_addr" if name == "six" else "ipv4_addr"
    now, then = (
        NftSet("here", "inet", "netlab-policy", name, kind, frozenset(elements)) for elements in (after, before)
    )
    return Op(Verb.UPDATE, now, then)


def commit(ops: list[Op]) -> tuple[Op, str] | None:
    change = nftelements.Change(ops)
    nftelements.commit([change])
    return change.refused


@pytest.fixture
def worker() -> Iterator[ns.Worker]:
    worker = ns.Worker()
    yield worker
    worker.close()


def test_they_are_what_the_library_lists(worker: ns.Worker) -> None:
    many = {f"10.1.{number // 250}.{number % 250}" for number in range(1500)}
    ops = [update("four", {"10.0.0.1", "10.0.0.2"}, {"10.0.0.2", *many}), update("six", set(), {"fd00::1"})]
    assert nftelements.are_plain(ops)

    def run() -> tuple[object, str, str]:
        ns.unshare_net()
        libnft.run(TABLE)
        refused = commit(ops)
        ours = libnft.run("list table inet netlab-policy")
        libnft.run(f"delete table inet netlab-policy\n{TABLE}")
        libnft.run("\n".join(("delete element inet netlab-policy four { 10.0.0.1 }", *ops[0].obj.adding(many))))
        libnft.run("add element inet netlab-policy six { fd00::1 }")
        return refused, ours, libnft.run("list table inet netlab-policy")

    refused, ours, librarys = worker.run(run)
    assert refused is None
    assert sorted(ours.replace(",", "").split()) == sorted(librarys.replace(",", "").split())


@pytest.mark.parametrize("wrong", [update("four", {"10.0.0.9"}, set()), update("nosuch", set(), {"10.0.0.9"})])
def test_of_a_change_that_is_refused_nothing_is_done(worker: ns.Worker, wrong: Op) -> None:
    def run() -> tuple[object, str, str]:
        ns.unshare_net()
        libnft.run(TABLE)
        before = libnft.run("list table inet netlab-policy")
        refused = commit([update("six", set(), {"fd00::2"}), wrong])
        return refused, before, libnft.run("list table inet netlab-policy")

    refused, before, after = worker.run(run)
    assert refused == (wrong, "No such file or directory")
    assert after == before


def test_all_else_is_left_to_the_library() -> None:
    plain = update("four", set(), {"10.0.0.1"})
    ranges = NftSet("here", "inet", "netlab-policy", "r", "ipv4_addr", frozenset({"10.0.0.0/8"}), flags="interval")
    verdicts = NftSet("here", "inet", "netlab-policy", "v", "ipv4_addr", frozenset(), data="verdict")
    for other in (Op(Verb.UPDATE, ranges, ranges), Op(Verb.UPDATE, verdicts, verdicts), Op(Verb.CREATE, plain.obj)):
        assert not nftelements.are_plain([plain, other])
