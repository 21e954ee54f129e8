"""What policies become in nftables: ranges that do not overlap, names that fit, each node its own Pods' alone."""

from __future__ import annotations

import json
from ipaddress import ip_address, ip_network
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netlab.memo import Session
from netlab.model import Cluster, build
from netlab.model.cluster.policies import Block, PortMatch
from netlab.model.selection import Selection
from netlab.objects import NftChain, NftSet, NftTable, Obj
from netlab.plan.policies import tables
from netlab.plan.policytext import Words, merged, ranges
from netlab.spec import Text, load_texts

Spec = dict[str, Any]
LONG = "a" * 253
LABEL = f"{'b' * 63}.{'c' * 63}.{'d' * 63}.{'e' * 60}/{'F' * 63}"


def cluster(*policies: Spec, namespace: Spec | None = None) -> Cluster:
    """Pods web-1 and db-1 on node-1, web-2 on node-2, in namespace default; node-3 is empty."""
    nodes = [{"name": f"node-{number}"} for number in (1, 2, 3)]
    found: list[Spec] = [
        {"apiVersion": "netlab/v1", "kind": "Lab", "metadata": {"name": "r"}, "spec": {"nodes": nodes}},
        *(
            {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": name[:-2]}},
             "spec": {"nodeName": node, "containers": [{"name": "c", "image": "x"}]}}
            for name, node in (("web-1", "node-1"), ("db-1", "node-1"), ("web-2", "node-2"))
        ),
        *([namespace] if namespace else []),
        *(
            {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": f"p{number}"}, "spec": one}
            if "spec" not in one else {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", **one}
            for number, one in enumerate(policies)
        ),
    ]  # fmt: skip
    documents = load_texts([Text("lab.yaml", "\n---\n".join(map(json.dumps, found)))])
    assert not documents.problems, documents.problems
    return build(documents).cluster


def made(*policies: Spec) -> list[Obj]:
    return [obj for table in tables(cluster(*policies), Session()) for obj in table.values()]


def block(cidr: str, *excepts: str) -> Block:
    return Block(ip_network(cidr, strict=False), tuple(ip_network(one, strict=False) for one in excepts))


@pytest.mark.parametrize(
    ("blocks", "shown"),
    [
        ([block("0.0.0.0/0", "10.0.0.0/8")], ["0.0.0.0-9.255.255.255", "11.0.0.0-255.255.255.255"]),
        ([block("0.0.0.0/0")], ["0.0.0.0/0"]),
        ([block("10.1.2.3/8")], ["10.0.0.0/8"]),
        ([block("10.0.0.0/8"), block("10.1.0.0/16"), block("11.0.0.0/8")], ["10.0.0.0/7"]),
        ([block("10.0.0.0/8", "10.0.0.0/8")], []),
        ([block("10.0.0.0/8", "10.0.0.0/9", "10.64.0.0/10", "10.128.0.0/9")], []),
        ([block("10.0.0.0/30", "10.0.0.0/32")], ["10.0.0.1-10.0.0.3"]),
        # The one's except is within the other: what any of them allows is allowed.
        ([block("10.0.0.0/8", "10.1.0.0/16"), block("10.1.0.0/24")], ["10.0.0.0-10.1.0.255", "10.2.0.0-10.255.255.255"]),
        ([block("fd00::/8")], []),
    ],
)  # fmt: skip
def test_blocks_are_ranges_that_nft_takes(blocks: list[Block], shown: list[str]) -> None:
    assert ranges(blocks, 4) == shown


def test_blocks_of_ipv6_are_ranges_too() -> None:
    assert ranges([block("::/0")], 6) == ["::/0"]
    assert ranges([block("::/0", "8000::/1")], 6) == ["::/1"]
    assert ranges([block("10.0.0.0/8")], 6) == []


_cidr = st.builds(lambda number, length: ip_network((number, length), strict=False),
                  st.integers((10 << 24), (10 << 24) + 1023), st.integers(22, 32))  # fmt: skip


@given(st.lists(st.tuples(_cidr, st.lists(_cidr, max_size=3)), max_size=4))
def test_ranges_hold_what_the_blocks_do(raw: list[tuple[Any, list[Any]]]) -> None:
    """Excepts outside of their cidr are refused by the API; here they are only cut to it."""
    blocks = [Block(cidr, tuple(one for one in excepts if one.subnet_of(cidr))) for cidr, excepts in raw]
    spans = []
    for text in ranges(blocks, 4):
        low, _, high = text.partition("-")
        whole = ip_network(low)
        spans.append((int(whole[0]), int(ip_address(high)) if high else int(whole[-1])))
    assert all(low > before + 1 for (_, before), (low, _) in pairwise(spans)), "sorted, and apart"
    networks = [one for each in blocks for one in (each.cidr, *each.excepts)]
    edges = {int(one[place]) + beside for one in networks for place in (0, -1) for beside in (-1, 0, 1)}
    for number in edges:
        address = ip_address(number)
        inside = any(address in one.cidr and not any(address in each for each in one.excepts) for one in blocks)
        assert inside == any(low <= number <= high for low, high in spans), address


def test_ports_that_touch_are_one_range() -> None:
    ports = [
        PortMatch("TCP", 80, 90),
        PortMatch("TCP", 85, 100),
        PortMatch("TCP", 101, 101),
        PortMatch("TCP", 200, 200),
    ]
    assert merged([(one.first or 0, one.last or 0) for one in ports]) == [(80, 101), (200, 200)]
    assert Words().ports("TCP", ports) == "tcp dport { 80-101, 200 }"


def test_a_node_has_the_rules_of_its_own_pods_and_no_others() -> None:
    web = {"podSelector": {"matchLabels": {"app": "web"}}, "ingress": [{}]}
    db = {"podSelector": {"matchLabels": {"app": "db"}}, "policyTypes": ["Egress"], "egress": [{}]}
    found = made(web, db, {"podSelector": {"matchLabels": {"app": "nobody"}}, "ingress": [{}]})
    chains = {
        node: {one.chain for one in found if isinstance(one, NftChain) and one.netns == f"r-{node}" and not one.base}
        for node in ("node-1", "node-2", "node-3")
    }
    assert chains == {
        "node-1": {"pi-default/p0", "po-default/p1", "to-default/web-1", "from-default/db-1"},
        "node-2": {"pi-default/p0", "to-default/web-2"},
        "node-3": set(),
    }
    assert {one.netns for one in found if isinstance(one, NftTable)} == {"r-node-1", "r-node-2"}


def test_a_policy_that_selects_nobody_makes_nothing() -> None:
    assert not made({"podSelector": {"matchLabels": {"app": "nobody"}}, "ingress": [{}]})


def test_names_and_labels_may_be_as_long_as_the_api_lets_them() -> None:
    selector = {"matchLabels": {LABEL: "v" * 63}, "matchExpressions": [
        {"key": LABEL, "operator": "NotIn", "values": [f"{'w' * 60}{number}" for number in range(40)]}]}  # fmt: skip
    rule = {"from": [{"podSelector": selector}, {"namespaceSelector": selector, "podSelector": selector}]}
    twins = [
        {"metadata": {"name": LONG[:-1] + last}, "spec": {"podSelector": {}, "ingress": [rule, rule]}} for last in "xy"
    ]
    found = made(*twins)
    chains = {
        one.chain
        for one in found
        if isinstance(one, NftChain) and one.chain.startswith("pi-") and one.netns == "r-node-1"
    }
    assert len(chains) == 2, "two names that differ in their last letter are two chains"
    comments = {rule.split('"')[1] for one in found if isinstance(one, NftChain) for rule in one.rules if '"' in rule}
    comments |= {one.comment for one in found if isinstance(one, NftSet)}
    assert all(len(one.encode()) <= 127 for one in comments)
    assert len({one for one in comments if one.startswith("netpol:default/a")}) == 4, (
        "each rule is told from each other"
    )
    assert all(len(one.name) <= 255 for one in found)


def test_a_namespace_has_its_name_as_a_label_whatever_its_manifest_says() -> None:
    wrong = {"apiVersion": "v1", "kind": "Namespace",
             "metadata": {"name": "default", "labels": {"kubernetes.io/metadata.name": "other", "team": "x"}}}  # fmt: skip
    labels = Selection(cluster(namespace=wrong)).labels("default")
    assert labels == {"kubernetes.io/metadata.name": "default", "team": "x"}
