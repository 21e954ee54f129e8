"""kube-proxy's tables: its names, its chains, and what they do for each kind of Service."""

from __future__ import annotations

from typing import Any

import pytest

from netlab.memo import Session
from netlab.objects import NftChain, NftSet, NftTable, Op, Verb
from netlab.objects.nftsteps import MANY, text, transactions
from netlab.plan import services
from tests.pure.services.test_model import built, pod, service


def table(node: str, *documents: Any, family: str = "ip", **lab: Any) -> dict[str, Any]:
    found = services.objects(built(*documents, **lab).cluster, Session())
    chosen = [one for one in found if isinstance(one, (NftChain, NftSet)) and one.netns.endswith(node)]
    shown: dict[str, Any] = {}
    for one in chosen:
        if one.family == family:
            shown[one.name.split(" ", 2)[2]] = one.rules if isinstance(one, NftChain) else one.elements
    return shown


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("ns1/svc1/tcp/p80", "ULMVA6XW-ns1/svc1/tcp/p80"),
        ("kube-system/kube-dns/udp/dns", "FY5PMXPG-kube-system/kube-dns/udp/dns"),
        ("default/kubernetes/tcp/https", "2QRHZV4L-default/kubernetes/tcp/https"),
    ],
)
def test_names_are_kube_proxys(text: str, name: str) -> None:
    assert services.base_name(text) == name


def test_long_names_fit_in_a_chains_name() -> None:
    assert len("endpoint-" + services.base_name("x" * 300)) < 256


PODS = (pod("a", nodeName="node-1"), pod("b", nodeName="node-2"))


def test_a_cluster_ip() -> None:
    found = table("node-1", *PODS, service("web", clusterIP="10.96.0.80"))
    base = services.base_name("default/web/tcp/")
    assert f"10.96.0.80 . tcp . 80 : goto service-{base}" in found["service-ips"]
    first, choice = found[f"service-{base}"]
    assert first == "ip daddr 10.96.0.80 ip saddr != 10.244.0.0/16 jump mark-for-masquerade"
    assert choice.startswith("numgen random mod 2 vmap { 0 : goto endpoint-")
    end = services.base_name("default/web/tcp/__10.244.2.2/80")
    assert found[f"endpoint-{end}"] == (
        "ip saddr 10.244.2.2 jump mark-for-masquerade",
        "meta l4proto tcp dnat to 10.244.2.2:80",
    )


def test_nobody_behind_is_rejected_and_nobody_here_is_dropped() -> None:
    near = service("near", clusterIP="10.96.0.81", internalTrafficPolicy="Local", selector={"app": "one"})
    empty = service("empty", clusterIP="10.96.0.82", selector={"app": "nix"})
    one = pod("one", {"app": "one"}, nodeName="node-1")
    here, there = table("node-1", one, near, empty), table("node-2", one, near, empty)
    rejected = '10.96.0.82 . tcp . 80 comment "default/empty" : goto reject-chain'
    assert rejected in here["no-endpoint-services"] and rejected in there["no-endpoint-services"]
    dropped = '10.96.0.81 . tcp . 80 comment "default/near" : drop'
    assert dropped in there["no-endpoint-services"] and dropped not in here["no-endpoint-services"]
    assert any(name.startswith("local-") for name in here) and not any(name.startswith("local-") for name in there)


def test_a_service_more_changes_no_other_chain() -> None:
    before = table("node-1", *PODS, service("web"))
    after = table("node-1", *PODS, service("web"), service("more"))
    changed = {name for name, rules in before.items() if after[name] != rules}
    assert changed == {"service-ips", "cluster-ips"}


def test_ipv6_has_a_table_of_its_own() -> None:
    both = service("web", ipFamilyPolicy="PreferDualStack")
    found = table("node-1", *PODS, both, family="ip6", ipFamilies=["IPv4", "IPv6"])
    assert any("dnat to [fd00:10:244:1::2]:80" in rule for rules in found.values() for rule in rules)
    assert not any(":" in name.partition("__")[2] for name in found)


def test_a_table_that_is_made_anew_holds_until_the_new_one_is_whole() -> None:
    """In parts, the old one would go with the last of them, and what had been loaded before with it."""
    many = [service(f"s{number}") for number in range(MANY // 2)]
    objects = [one for one in services.objects(built(*PODS, *many).cluster, Session()) if one.netns == "lab-node-1"]
    old = next(one for one in objects if isinstance(one, NftTable))
    (only,) = transactions([Op(Verb.DELETE, old), *(Op(Verb.CREATE, one) for one in objects)])
    assert text(only).startswith("delete table ip kube-proxy\nadd table ip kube-proxy")


def test_very_many_services_load_in_parts_with_base_chains_last() -> None:
    many = [service(f"s{number}") for number in range(MANY // 2)]
    objects = [one for one in services.objects(built(*PODS, *many).cluster, Session()) if one.netns == "lab-node-1"]
    texts = [text(one) for one in transactions([Op(Verb.CREATE, one) for one in objects])]
    assert len(texts) > 3
    assert all("hook" not in part for part in texts[:-1]) and "hook" in texts[-1]
    known: set[str] = set()
    for part in texts:  # nobody is led to a chain that is not there yet
        known |= {line.split(" ")[4] for line in part.splitlines() if line.startswith("add chain")}
        for line in part.splitlines():
            words = line.replace(",", "").split(" ")
            assert all(words[at + 1] in known for at, word in enumerate(words) if word in ("goto", "jump")), line
    assert texts[0].startswith("add table")
