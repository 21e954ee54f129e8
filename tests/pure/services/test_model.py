"""Services resolved: addresses, ports, backends; what is wrong and what its author should know."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any

import pytest
import yaml

from netlab.errors import BadInput
from netlab.model import Built, Memory, build
from netlab.model.cluster.services import Backend, Service
from netlab.spec import Text, load_texts

LAB = {"apiVersion": "netlab/v1", "kind": "Lab", "metadata": {"name": "lab"}, "spec": {}}


CHECKED = {"type": "LoadBalancer", "externalTrafficPolicy": "Local"}


def pod(name: str, labels: dict[str, str] | None = None, port: int = 80, **spec: Any) -> dict[str, Any]:
    container = {"name": "main", "image": "x", "ports": [{"containerPort": port, "name": "http"}]}
    metadata = {"name": name, "labels": labels or {"app": "web"}}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"containers": [container], **spec}}


def service(name: str, port: dict[str, Any] | None = None, **spec: Any) -> dict[str, Any]:
    body = {"selector": {"app": "web"}, "ports": [port or {"port": 80}], **spec}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": body}


def built(*documents: Any, memory: Memory | None = None, **lab: Any) -> Built:
    text = yaml.safe_dump_all([{**LAB, "spec": lab}, *documents])
    return build(load_texts([Text("lab.yaml", text)]), memory=memory)


def one(name: str, *documents: Any, **lab: Any) -> Service:
    return next(each for each in built(*documents, **lab).cluster.services if each.name == name)


def problems(*documents: Any, **lab: Any) -> str:
    with pytest.raises(BadInput) as caught:
        built(*documents, **lab)
    return "\n".join(
        f"{each.mark.line if each.mark else 0} {each.path} {each.message}" for each in caught.value.problems
    )


def test_addresses_do_not_depend_on_the_order_and_are_kept() -> None:
    few = [service("a"), service("b"), pod("web")]
    first = {each.name: each.cluster_ips for each in built(*few).cluster.services}
    more = built(service("c"), *reversed(few))
    assert {each.name: each.cluster_ips for each in more.cluster.services if each.name != "c"} == first


def test_nobody_can_state_what_a_running_service_was_given() -> None:
    """A cluster refuses it ("provided IP is already allocated"); the running one had moved without a word."""
    before = service("a", type="LoadBalancer")
    runs = one("a", before, pod("web"))
    memory = Memory.from_json(Memory.of(built(before, pod("web")).cluster).to_json())
    port = {"port": 80, "nodePort": runs.ports[0].node_port}
    balancer = str(runs.load_balancer_ips[0])
    new = service("new", port, type="LoadBalancer", clusterIP=str(runs.cluster_ips[0]), loadBalancerIP=balancer)
    with pytest.raises(BadInput) as caught:
        built(new, before, pod("web"), memory=memory)
    says = [each.message for each in caught.value.problems]
    assert says == [
        f"{runs.cluster_ips[0]} is taken: Service default/a has it",
        f"node port {runs.ports[0].node_port}/TCP is taken: Service default/a has it",
        f"{balancer} is taken: Service default/a has it",
    ]
    # it may say so itself, and what nobody runs with is free
    itself = {**before, "spec": {**before["spec"], "clusterIP": str(runs.cluster_ips[0])}}
    assert built(itself, pod("web"), memory=memory).cluster.services[0].cluster_ips
    assert built(new, pod("web"), memory=memory)


def test_a_new_service_takes_nothing_from_one_that_runs() -> None:
    """Its first choice may be what a running one has been given; it may also stand before that one."""
    new = service("new", type="LoadBalancer")
    first = one("new", new, pod("web"))
    stated = service("old", {"port": 80, "nodePort": first.ports[0].node_port}, type="LoadBalancer",
                     clusterIP=str(first.cluster_ips[0]), loadBalancerIP=str(first.load_balancer_ips[0]))  # fmt: skip
    memory = Memory.from_json(Memory.of(built(stated, pod("web")).cluster).to_json())
    after = built(new, service("old", type="LoadBalancer"), pod("web"), memory=memory).cluster.services
    has = {each.name: (each.cluster_ips, each.ports[0].node_port, each.load_balancer_ips) for each in after}
    assert has["old"] == (first.cluster_ips, first.ports[0].node_port, first.load_balancer_ips)
    assert all(mine != his for mine, his in zip(has["new"], has["old"], strict=True))


def test_the_first_addresses_are_kubernetes_own() -> None:
    services = {str(each): each for each in built(service("web"), pod("web")).cluster.services}
    assert str(services["default/kubernetes"].cluster_ips[0]) == "10.96.0.1"
    assert str(services["kube-system/kube-dns"].cluster_ips[0]) == "10.96.0.10"
    assert [backend.pod for backend in services["kube-system/kube-dns"].backends] == ["kube-system/coredns"]


def test_the_dns_server_moves_no_other_pod_and_comes_with_the_first_service() -> None:
    plain, served = built(pod("web")).cluster, built(pod("web"), service("web")).cluster
    assert [str(each) for each in plain.pods] == ["default/web"] and not plain.services
    assert served.own_pods[0].addresses == plain.pods[0].addresses
    assert str(served.pods[-1].addresses[0]) == "10.244.2.254/24"
    assert len(built(pod("web"), service("web"), dns="off").cluster.pods) == 1


def test_ports_by_name_are_each_pods_own() -> None:
    found = one("web", pod("a", port=80), pod("b", port=8080), service("web", {"port": 80, "targetPort": "http"}))
    assert [backend.ports for backend in found.backends] == [(80,), (8080,)]


@pytest.mark.parametrize(
    ("spec", "families"),
    [
        ({}, ["IPv4"]),
        ({"ipFamilies": ["IPv6"]}, ["IPv6"]),
        ({"ipFamilyPolicy": "PreferDualStack"}, ["IPv4", "IPv6"]),
        ({"ipFamilyPolicy": "RequireDualStack", "ipFamilies": ["IPv6"]}, ["IPv6", "IPv4"]),
        ({"clusterIP": "fd00:10:96::99"}, ["IPv6"]),
    ],
)
def test_families(spec: dict[str, Any], families: list[str]) -> None:
    found = one("web", pod("a"), service("web", **spec), ipFamilies=["IPv4", "IPv6"])
    assert [f"IPv{address.version}" for address in found.cluster_ips] == families == list(found.families)


def test_a_health_check_has_a_node_port_of_its_own_and_keeps_it() -> None:
    checked = service("web", **CHECKED)
    runs = one("web", checked, pod("web"))
    assert runs.health_port in range(30000, 32768)
    assert runs.health_port != runs.ports[0].node_port
    memory = Memory.of(built(checked, pod("web")).cluster)
    thief = service("a", {"port": 80, "nodePort": runs.health_port}, type="NodePort")
    with pytest.raises(BadInput, match="is taken: Service default/web has it"):
        built(thief, checked, pod("web"), memory=memory)
    others = [service(name, **CHECKED) for name in "abc"]
    kept = built(*others, checked, pod("web"), memory=memory).cluster.services
    assert next(each for each in kept if each.name == "web").health_port == runs.health_port
    assert len({each.health_port for each in kept if each.health_port}) == 4
    assert one("web", service("web", type="LoadBalancer"), pod("web")).health_port == 0


@pytest.mark.parametrize(
    ("documents", "says"),
    [
        ([service("a", clusterIP="10.96.0.50"), service("b", clusterIP="10.96.0.50")], "10.96.0.50 is taken: Service default/a has it"),
        ([service("a", clusterIP="10.97.0.50")], "is outside the Service CIDR 10.96.0.0/16"),
        ([service("a", clusterIP="10.96.0.10")], "is taken: Service kube-system/kube-dns has it"),
        ([service("a", clusterIP="fd00::1")], "wants IPv6, and the lab's ipFamilies are IPv4"),
        ([service("a", ipFamilyPolicy="RequireDualStack")], "the lab has IPv4 alone"),
        ([service("a", {"port": 80, "nodePort": 80}, type="NodePort")], "80 is no node port: they are 30000 to 32767"),
        (
            [service(name, {"port": 80, "nodePort": 30080}, type="NodePort") for name in "ab"],
            "node port 30080/TCP is taken: Service default/a has it",
        ),
        ([service("a", **CHECKED, healthCheckNodePort=8080)], "8080 is no node port: they are 30000 to 32767"),
        (
            [service("a", {"port": 80, "nodePort": 30080}, type="NodePort"), service("b", **CHECKED, healthCheckNodePort=30080)],
            "node port 30080/TCP is taken: Service default/a has it",
        ),
        (
            [service(name, type="LoadBalancer", loadBalancerIP="203.0.113.200") for name in "ab"],
            "203.0.113.200 is taken: Service default/a has it",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_is_an_error_with_its_line(documents: list[Any], says: str) -> None:
    text = problems(pod("web"), *documents)
    assert says in text and not text.startswith("0 ")


@pytest.mark.parametrize(
    ("lab", "says"),
    [
        ({"podCIDR": "224.0.0.0/8"}, "spec.podCIDR 224.0.0.0/8 is multicast"),
        ({"serviceCIDR": "127.0.0.0/16"}, "spec.serviceCIDR 127.0.0.0/16 is loopback"),
        ({"underlay": {"cidr": "127.0.0.0/8"}}, "spec.underlay.cidr 127.0.0.0/8 is loopback"),
        ({"external": [{"name": "out", "address": "127.0.0.1"}]}, "spec.external[0].address 127.0.0.1 is loopback"),
    ],
)
def test_ranges_that_no_host_can_have_addresses_of(lab: dict[str, Any], says: str) -> None:
    """The kernel refused some of them half-way through, and took others that could never work."""
    assert says in problems(pod("web"), **lab)


@pytest.mark.parametrize(
    ("nodes", "backends", "hints"),
    [
        ({"a": 1, "b": 1}, "ab", "ab"),
        ({"a": 1, "b": 1}, "aab", ""),  # each would need two
        ({"a": 1, "b": 1}, "aaab", "baab"),
        ({"a": 1, "b": 1, "c": 1}, "ab", ""),  # a zone would have none
        ({"a": 3, "b": 1}, "aaaa", "baaa"),
    ],
)
def test_topology_mode_auto_allots_endpoints_to_zones(nodes: dict[str, int], backends: str, hints: str) -> None:
    from netlab.model.services.choice import everywhere

    made = [Backend(ip_address(f"10.0.0.{at}"), (80,), zone=zone) for at, zone in enumerate(backends, 1)]
    service = Service("default", "web", backends=tuple(made), distribution="Auto", zone_weights=nodes)
    for zone in nodes:
        wanted = [
            str(one.address) for one, hint in zip(made, hints or backends, strict=True) if hint == zone or not hints
        ]
        assert [str(one.address) for one in everywhere(service, made, "n", zone)] == wanted
