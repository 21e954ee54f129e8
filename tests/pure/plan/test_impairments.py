"""Impaired links as qdiscs and rules: with netem, and on a kernel without it."""

from __future__ import annotations

import pytest

from netlab.errors import HostCannot
from netlab.kernel.host.features import Tried
from netlab.kernel.rtnetlink.codec import Handle, Links, NamespaceDump
from netlab.kernel.rtnetlink.qdisc import QdiscCodec
from netlab.model import Cluster, build
from netlab.objects import NftChain, Op, Qdisc, State, Verb, Veth
from netlab.objects.qdisc import Netem, Tbf
from netlab.plan import Host, desired
from netlab.runtime.host import remedies, requirements
from netlab.spec import Text, load_texts

LAB = """
apiVersion: netlab/v1
kind: Lab
metadata: {name: x}
spec:
  dataplane: %s
  external: [{name: internet, address: 203.0.113.10}]
  links:
  - {between: [node-1, underlay], %s}
  - {between: [internet, underlay], loss: 100%%, from: underlay}
  - {between: [client, node], loss: 0.0001%%, from: node}
---
apiVersion: v1
kind: Pod
metadata: {name: client}
spec: {nodeName: node-1, containers: [{name: c, image: x}]}
"""


def cluster(link: str, dataplane: str = "vxlan") -> Cluster:
    return build(load_texts([Text("lab.yaml", LAB % (dataplane, link))])).cluster


def lines(state: State) -> list[str]:
    return [line for qdisc in state.only(Qdisc) for line in qdisc.explain().splitlines()]


def test_netem_is_the_root_qdisc_of_the_end_that_sends() -> None:
    link = "delay: 20ms, jitter: 5ms, loss: 1%, rate: 10mbit, duplicate: 2%, reorder: 25%, corrupt: 0.1%"
    words = "netem limit 1000 delay 20ms 5ms loss 1% duplicate 2% reorder 25% corrupt 0.1% rate 10mbit"
    assert lines(desired(cluster(link))) == [
        f"tc -n x-node-1 qdisc add dev eth0 root {words}",
        f"tc -n x-underlay qdisc add dev node-1 root {words}",
        "tc -n x-underlay qdisc add dev internet root netem limit 100000 loss 100%",
        "tc -n x-node-1 qdisc add dev veth-client root netem limit 100000 loss 0.0001%",
    ]


@pytest.mark.parametrize(("dataplane", "family"), [("vxlan", "bridge"), ("kindnet", "inet")])
def test_without_netem_tbf_limits_the_rate_and_a_rule_loses(dataplane: str, family: str) -> None:
    state = desired(cluster("loss: 1%, rate: 10mbit", dataplane), Host(netem=False))
    assert lines(state) == [
        "tc -n x-node-1 qdisc add dev eth0 root tbf rate 10mbit burst 5120b limit 1514000b",
        "tc -n x-underlay qdisc add dev node-1 root tbf rate 10mbit burst 5120b limit 1514000b",
    ]
    chains = {
        (chain.netns, chain.family, chain.chain): chain.rules[0]
        for chain in state.only(NftChain)
        if chain.table == "impairments"
    }
    one = "numgen random mod 1000000 < 10000"
    assert chains == {
        ("x-node-1", "inet", "eth0"): f'oifname "eth0" {one} counter drop comment "impairments:Node/node-1"',
        ("x-underlay", "bridge", "node-1"): f'oifname "node-1" {one} counter drop comment "impairments:Node/node-1"',
        ("x-underlay", "inet", "internet"): 'oifname "internet" counter drop comment "impairments:External/internet"',
        ("x-node-1", family, "veth-client" if family == "bridge" else _veth(state)): (
            f'oifname "{"veth-client" if family == "bridge" else _veth(state)}" numgen random mod 1000000 < 1 '
            'counter drop comment "impairments:Pod/default/client"'
        ),
    }


def _veth(state: State) -> str:
    """The node's end of the Pod's link."""
    return next(veth.end.name for veth in state.only(Veth) if veth.peer.netns == "x-client")


@pytest.mark.parametrize(
    "setting",
    [
        Netem(1000, 20_000_000, 5_000_000, 42949673, 1, 0xFFFFFFFF, 7, 1_250_000),
        Netem(100_000, rate=12_500_000_000),
        Netem(100_000, delay=60 * 10**9),
        *(
            Tbf(rate // 8, -(-max(3028, rate // 2000) // 1024) * 1024, 1_514_000)
            for rate in (1000, 10**6, 10**9, 10**11)
        ),
    ],
    ids=str,
)
def test_a_qdisc_is_read_as_it_is_written(setting: Netem | Tbf) -> None:
    """The burst of tbf too, which the kernel keeps as a time of 64 ns."""
    qdisc = Qdisc("x-node-1", "eth0", "root", type(setting).__name__.lower(), setting)
    handle = Handle("x-node-1", -1, None, Links(eth0=2))  # type: ignore[arg-type]
    ((_, _, body),) = QdiscCodec().request(Op(Verb.CREATE, qdisc), handle)
    as_dumped = body[:8] + (0x80010000).to_bytes(4, "little") + body[12:]
    assert QdiscCodec().decode(as_dumped, NamespaceDump("x-node-1", {}, {2: "eth0"})) == qdisc


def test_a_qdisc_that_differs_is_made_anew_since_tc_keeps_what_is_not_named() -> None:
    want, have = (Qdisc("x", "eth0", "root", "netem", Netem(1000, rate=rate)) for rate in (0, 125_000))
    op = Op(Verb.UPDATE, want, have)
    assert op.explain() == "tc -n x qdisc del dev eth0 root\ntc -n x qdisc add dev eth0 root netem limit 1000"
    handle = Handle("x", -1, None, Links(eth0=2))  # type: ignore[arg-type]
    assert [kind for kind, _, _ in QdiscCodec().request(op, handle)] == [37, 36]


@pytest.mark.parametrize(
    ("missing", "link", "message"),
    [
        (
            {"netem": 2},
            "delay: 20ms, jitter: 5ms, loss: 1%",
            "netem .module sch_netem., which delay and jitter on the link between node-1 and underlay need .lab.yaml:9:5.",
        ),
        ({"netem": 2}, "corrupt: 1%", "which corrupt on .* needs"),
        ({"netem": 2, "tbf": 2}, "rate: 1mbit", "nor has it tbf"),
    ],
)
def test_a_kernel_without_netem_refuses_the_rest(
    missing: dict[str, int], link: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(requirements, "tries", lambda *_: Tried(None, missing, br_netfilter=True))
    monkeypatch.setattr(remedies, "this_system", lambda: remedies.System(("debian",), "x86_64", "6.1.0"))
    with pytest.raises(HostCannot, match=message) as caught:
        requirements.require(cluster(link))
    assert "modprobe sch_netem" in caught.value.hint


def test_rate_and_loss_need_no_netem(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requirements, "tries", lambda *_: Tried(None, {"netem": 2}, br_netfilter=True))
    assert requirements.require(cluster("rate: 1mbit, loss: 1%")) == Host(netem=False)


def test_the_kernel_is_not_asked_for_qdiscs_where_no_link_is_impaired(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[object, ...]] = []
    monkeypatch.setattr(requirements, "tries", lambda *words: asked.append(words) or Tried(None, {}, br_netfilter=True))
    lab = "apiVersion: netlab/v1\nkind: Lab\nmetadata: {name: x}\n"
    requirements.require(build(load_texts([Text("lab.yaml", lab)])).cluster)
    assert asked and not asked[0][1]
