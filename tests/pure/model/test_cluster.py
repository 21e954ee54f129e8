"""What a cluster is made of: addresses, names, numbers, Pods of workloads; and what a running one keeps."""

from __future__ import annotations

import json
import re
import time
from ipaddress import ip_network
from typing import Any

import pytest

from netlab import names
from netlab.errors import BadInput
from netlab.model import Cluster, Memory, build
from netlab.model.topology.nodes import node_cidr, numbers
from netlab.plan import check, desired
from netlab.spec import Text, load_texts


def lab(**spec: Any) -> dict[str, Any]:
    return {"apiVersion": "netlab/v1", "kind": "Lab", "metadata": {"name": "x"}, "spec": spec}


def pod(name: str, node: str = "", ip: str = "", namespace: str = "default", **spec: Any) -> dict[str, Any]:
    one: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"containers": [{"name": "main", "image": "x"}], **({"nodeName": node} if node else {}), **spec},
    }
    return one | ({"status": {"podIP": ip}} if ip else {})


def workload(kind: str, name: str, annotations: dict[str, str] | None = None, **spec: Any) -> dict[str, Any]:
    template = {"metadata": {"labels": {"app": name}}, "spec": {"containers": [{"name": "main", "image": "x"}]}}
    template["spec"] |= spec.pop("pod", {})
    if kind in ("Job", "CronJob"):
        template["spec"]["restartPolicy"] = "Never"
    else:
        spec["selector"] = {"matchLabels": {"app": name}}
    if kind == "StatefulSet":
        spec["serviceName"] = name
    body = {**spec, "template": template}
    if kind == "CronJob":
        body = {"schedule": "* * * * *", "jobTemplate": {"spec": body}}
    group = "batch/v1" if kind in ("Job", "CronJob") else "apps/v1"
    return {
        "apiVersion": group,
        "kind": kind,
        "metadata": {"name": name, "annotations": annotations or {}},
        "spec": body,
    }


def cluster(*documents: dict[str, Any], memory: Memory | None = None, name: str = "") -> Cluster:
    text = "\n---\n".join(map(json.dumps, documents))
    return build(load_texts([Text("lab.yaml", text)]), memory=memory, check=check, name=name).cluster


def addresses(found: Cluster) -> dict[str, list[str]]:
    return {one.name: [str(each.ip) for each in one.addresses] for one in found.pods}


# -- addresses --------------------------------------------------------------------------------------------------------


def test_the_first_pod_of_a_node_has_2_and_the_next_the_next() -> None:
    found = cluster(lab(), pod("a", "node-1"), pod("b", "node-1"), pod("c", "node-2"))
    assert addresses(found) == {"a": ["10.244.1.2"], "b": ["10.244.1.3"], "c": ["10.244.2.2"]}
    assert [str(one.addresses[0]) for one in found.nodes] == ["172.18.0.2/24", "172.18.0.3/24"]
    assert str(found.nodes[0].gateways[0]) == "10.244.1.1/24"


def test_the_same_documents_give_the_same_cluster() -> None:
    documents = [lab(ipFamilies=["IPv6", "IPv4"]), *(pod(f"p{number}") for number in range(9))]
    assert desired(cluster(*documents)) == desired(cluster(*documents))


def test_a_running_lab_keeps_what_it_has_and_the_lowest_free_is_taken() -> None:
    before = cluster(lab(), *(pod(name, "node-1") for name in "abc"))
    after = cluster(lab(), *(pod(name, "node-1") for name in ("new", "newer", "c", "a")), memory=Memory.of(before))
    assert addresses(after) == {
        "new": ["10.244.1.3"],
        "newer": ["10.244.1.5"],
        "c": ["10.244.1.4"],
        "a": ["10.244.1.2"],
    }
    kept = {one.name: (one.serial, one.mac, one.netns) for one in before.pods}
    assert all(kept[one.name] == (one.serial, one.mac, one.netns) for one in after.pods if one.name in kept)
    assert len({one.serial for one in after.pods}) == 4


def test_memory_survives_json() -> None:
    memory = Memory.of(cluster(lab(), pod("a"), pod("b", hostNetwork=True)))
    assert Memory.from_json(json.loads(json.dumps(memory.to_json()))) == memory


def test_a_pod_that_moves_gets_an_address_of_its_new_node() -> None:
    before = cluster(lab(), pod("a", "node-1"))
    assert addresses(cluster(lab(), pod("a", "node-2"), memory=Memory.of(before))) == {"a": ["10.244.2.2"]}


def test_an_address_that_is_stated_is_given_and_places_the_pod() -> None:
    found = cluster(lab(), pod("a", "node-2"), pod("b", ip="10.244.2.2"))
    assert addresses(found) == {"a": ["10.244.2.3"], "b": ["10.244.2.2"]}
    assert found.pods[1].node == "node-2"


def test_an_address_that_is_stated_moves_who_had_it_by_chance() -> None:
    before = cluster(lab(), pod("a", "node-1"))
    after = cluster(lab(), pod("a", "node-1"), pod("b", "node-1", "10.244.1.2"), memory=Memory.of(before))
    assert addresses(after) == {"a": ["10.244.1.3"], "b": ["10.244.1.2"]}


def test_dual_stack_in_the_order_of_the_families() -> None:
    found = cluster(lab(ipFamilies=["IPv6", "IPv4"]), pod("a", "node-2"))
    assert addresses(found) == {"a": ["fd00:10:244:2::2", "10.244.2.2"]}
    assert [str(one) for one in found.nodes[1].addresses] == ["fd00:172:18::3/64", "172.18.0.3/24"]


@pytest.mark.parametrize(
    ("network", "number", "count", "part"),
    [
        ("10.244.0.0/16", 1, 2, "10.244.1.0/24"),
        ("10.244.0.0/16", 255, 255, "10.244.255.0/24"),
        ("10.244.0.0/22", 3, 3, "10.244.3.0/24"),
        ("10.244.0.0/24", 1, 3, "10.244.0.64/26"),
        ("10.244.0.0/28", 1, 1, "10.244.0.8/29"),
        ("10.244.0.0/29", 1, 1, None),
        ("fd00:10:244::/56", 2, 2, "fd00:10:244:2::/64"),
        ("fd00:10:244::/64", 1, 1, "fd00:10:244:0:8000::/65"),
    ],
)
def test_a_nodes_part(network: str, number: int, count: int, part: str | None) -> None:
    assert node_cidr(ip_network(network), number, count) == (ip_network(part) if part else None)


def test_nodes_keep_their_numbers_and_new_ones_get_the_lowest_free() -> None:
    assert numbers(["c", "new", "a", "newer"], {"a": 1, "b": 2, "c": 3}) == {"c": 3, "new": 2, "a": 1, "newer": 4}


# -- names ------------------------------------------------------------------------------------------------------------


def test_namespaces_never_share_a_name() -> None:
    found = cluster(
        lab(nodes=[{"name": "node-1"}]),
        pod("node-1"),
        pod("underlay"),
        pod("shop-web"),
        pod("web", namespace="shop"),
        pod("web"),
    )
    by_name = {str(one): one.netns for one in found.pods}
    assert by_name["default/web"] == "x-web"
    assert by_name["default/shop-web"] == "x-shop-web"
    assert by_name["default/node-1"] == "x-node-1-" + names.short_hash("default/node-1", 5)
    assert by_name["shop/web"] == "x-shop-web-" + names.short_hash("shop/web", 5)
    assert len({*by_name.values(), "x-node-1", "x-underlay"}) == 7


def test_a_node_that_comes_later_takes_its_name_from_the_pod() -> None:
    before = cluster(lab(nodes=[{"name": "a"}]), pod("b"))
    after = cluster(lab(nodes=[{"name": "a"}, {"name": "b"}]), pod("b"), memory=Memory.of(before))
    assert (before.pods[0].netns, after.nodes[1].netns) == ("x-b", "x-b")
    assert after.pods[0].netns == "x-b-" + names.short_hash("default/b", 5)
    desired(after)


@pytest.mark.parametrize(
    ("namespace", "name", "link"),
    [
        ("default", "client", "veth-client"),
        ("default", "exactly-10", "veth-exactly-10"),
        ("default", "one-longer-", "veth" + names.short_hash("default/one-longer-")),
        ("default", "a.b", "veth" + names.short_hash("default/a.b")),
        ("shop", "client", "veth" + names.short_hash("shop/client")),
    ],
)
def test_interface_names_fit(namespace: str, name: str, link: str) -> None:
    assert names.veth_name(namespace, name) == link
    assert len(link) <= 15


# -- workloads --------------------------------------------------------------------------------------------------------


def pods(*documents: dict[str, Any], **spec: Any) -> list[str]:
    return [f"{one.name}@{one.node}" for one in cluster(lab(**spec), *documents).pods]


def test_deployments_and_jobs_have_names_that_are_the_same_everywhere() -> None:
    found = pods(workload("Deployment", "web", replicas=3))
    assert all(re.fullmatch(r"web-[b-z2-9]{6,10}-[b-z2-9]{5}@node-[12]", one) for one in found), found
    assert [one[-1] for one in found] == ["1", "2", "1"]
    assert found == pods(workload("Deployment", "web", replicas=3))
    assert re.fullmatch(r"job-[b-z2-9]{5}@node-1", pods(workload("Job", "job"))[0])


def test_statefulsets_count_from_their_start() -> None:
    assert pods(workload("StatefulSet", "db", replicas=2)) == ["db-0@node-1", "db-1@node-2"]
    assert pods(workload("StatefulSet", "db", replicas=2, ordinals={"start": 5})) == ["db-5@node-1", "db-6@node-2"]


def test_daemonsets_are_on_each_node_that_fits() -> None:
    nodes = [{"name": "a", "labels": {"disk": "ssd"}}, {"name": "b"}, {"name": "c", "labels": {"disk": "ssd"}}]
    assert [one[-1] for one in pods(workload("DaemonSet", "agent"), nodes=nodes)] == ["a", "b", "c"]
    chosen = workload("DaemonSet", "agent", pod={"nodeSelector": {"disk": "ssd"}})
    assert [one[-1] for one in pods(chosen, nodes=nodes)] == ["a", "c"]


def test_node_selectors_place() -> None:
    nodes = [{"name": "a"}, {"name": "b", "labels": {"disk": "ssd"}}]
    assert pods(pod("p", nodeSelector={"disk": "ssd"}), pod("q"), nodes=nodes) == ["p@b", "q@b"]


def test_jobs_run_side_by_side_what_is_left_to_do() -> None:
    for spec, count in (
        ({}, 1),
        ({"parallelism": 3}, 3),
        ({"parallelism": 5, "completions": 2}, 2),
        ({"parallelism": 0}, 0),
        ({"completions": 4}, 1),
        ({"suspend": True}, 0),
    ):
        assert len(pods(workload("Job", "job", **spec))) == count, spec
        assert len(pods(workload("CronJob", "job", **spec))) == count, spec


def test_zero_replicas_are_none() -> None:
    assert pods(workload("Deployment", "web", replicas=0)) == []


def test_what_helm_would_run_at_one_moment_is_not_there() -> None:
    assert pods(workload("Job", "test", {"helm.sh/hook": "test"})) == []


def test_unplaced_pods_go_round_and_placed_ones_take_no_turn() -> None:
    assert pods(pod("a"), pod("b", "node-1"), pod("c")) == ["a@node-1", "b@node-1", "c@node-2"]


def test_host_ports_of_other_addresses_do_not_clash() -> None:
    def serving(name: str, address: str) -> dict[str, Any]:
        port = {"containerPort": 80, "hostPort": 80, "hostIP": address}
        return pod(name, "node-1", containers=[{"name": "main", "image": "x", "ports": [port]}])

    cluster(lab(), serving("a", "127.0.0.1"), serving("b", "172.18.0.2"))


# -- time -------------------------------------------------------------------------------------------------------------


def test_two_thousand_pods_take_no_quadratic_time() -> None:
    spec = lab(nodes=[{"name": f"n{number}"} for number in range(10)])
    documents = load_texts(
        [Text("lab.yaml", json.dumps(spec) + "\n---\n" + json.dumps(workload("Deployment", "w", replicas=2000)))]
    )
    began = time.process_time()
    found = build(documents, check=check).cluster
    state = desired(found)
    assert time.process_time() - began < 20  # 2 s; each Pod against each other would be minutes
    assert len({one.addresses for one in found.pods}) == 2000
    assert len(state) > 20_000


def test_the_last_address_of_a_large_network_is_found_at_once() -> None:
    began = time.process_time()
    cluster(lab(ipFamilies=["IPv6"], nodes=[{"name": "a", "podCIDR": "fd00:1::/48"}]), pod("p"))
    assert time.process_time() - began < 10  # address by address it would be years


def cidrs(found: Cluster) -> dict[str, list[str]]:
    return {node.name: [str(one) for one in node.pod_cidrs] for node in found.nodes}


def grown(before: Cluster, names: str, **spec: Any) -> Cluster:
    return grown_with(before, [{"name": one} for one in names], **spec)


def grown_with(before: Cluster, nodes: list[dict[str, Any]], **spec: Any) -> Cluster:
    memory = Memory.from_json(json.loads(json.dumps(Memory.of(before).to_json())))
    return cluster(lab(nodes=nodes, **spec), memory=memory)


def test_a_node_that_joins_moves_nobody_whose_part_is_small() -> None:
    """Of a /25, two nodes had parts of a /27; for five, fresh parts would be a /28 each, and every Pod would move."""
    spec = {"podCIDR": "10.244.0.0/25"}
    before = cluster(lab(nodes=[{"name": "a"}, {"name": "b"}], **spec))
    assert cidrs(before) == {"a": ["10.244.0.32/27"], "b": ["10.244.0.64/27"]}
    three = grown(before, "abc", **spec)
    assert cidrs(three) == cidrs(before) | {"c": ["10.244.0.96/27"]}
    four = grown(three, "abcd", **spec)
    assert cidrs(four) == cidrs(three) | {"d": ["10.244.0.0/27"]}
    with pytest.raises(BadInput) as caught:
        grown(four, "abcde", **spec)
    assert "10.244.0.0/25 has no part left for node e" in str(caught.value)
    assert "lab.yaml:" in str(caught.value)


def test_the_lowest_part_that_somebody_left_is_the_next_ones() -> None:
    spec = {"podCIDR": "10.244.0.0/25"}
    before = cluster(lab(nodes=[{"name": "a"}, {"name": "b"}, {"name": "c"}], **spec))
    after = grown(before, "bcd", **spec)
    assert cidrs(after) == {"b": cidrs(before)["b"], "c": cidrs(before)["c"], "d": cidrs(before)["a"]}


def test_a_joining_node_goes_round_a_part_that_somebody_chose() -> None:
    before = cluster(lab(nodes=[{"name": "a"}, {"name": "b", "podCIDR": "10.244.3.0/24"}]))
    after = grown_with(before, [{"name": "a"}, {"name": "b", "podCIDR": "10.244.3.0/24"}, {"name": "c"}])
    assert cidrs(after) == {"a": ["10.244.1.0/24"], "b": ["10.244.3.0/24"], "c": ["10.244.2.0/24"]}


def test_another_pod_cidr_deals_all_parts_anew() -> None:
    before = cluster(lab(nodes=[{"name": "a"}, {"name": "b"}]))
    assert cidrs(grown(before, "ab", podCIDR="10.20.0.0/16")) == {"a": ["10.20.1.0/24"], "b": ["10.20.2.0/24"]}
