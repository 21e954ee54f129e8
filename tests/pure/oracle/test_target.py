"""What is typed after ``netlab trace``: who is meant, at which address and port, and what is said where nobody is."""

from __future__ import annotations

import re
from dataclasses import replace
from ipaddress import ip_address

import pytest

from netlab.errors import BadInput
from netlab.model.cluster import Cluster
from netlab.model.cluster.services import Backend, Service, ServicePort
from netlab.oracle.expect import parse
from netlab.oracle.flows import flows
from netlab.oracle.resolve import expected
from netlab.oracle.target import asked, split
from tests.pure.oracle.conftest import make, pod


def backend(name: str, node: int, last: int, *ports: int, hostname: str = "") -> Backend:
    return Backend(ip_address(f"10.244.{node}.{last}"), ports, name, f"node-{node}", hostname)


@pytest.fixture
def town(shop: Cluster) -> Cluster:
    """The shop with Services: one with an address, one headless, one that is only a name."""
    web = Service("shop", "web", cluster_ips=(ip_address("10.96.0.80"),),
                  ports=(ServicePort(80, "TCP", "http", 8080), ServicePort(53, "UDP", "dns", 5353)),
                  backends=(backend("shop/web-aaaaa", 1, 3, 8080, 5353),))  # fmt: skip
    headless = Service("shop", "db", headless=True, ports=(ServicePort(5432),),
                       backends=(backend("shop/db-0", 2, 4, 5432, hostname="db-0"),))  # fmt: skip
    name = Service("default", "database", kind="ExternalName", external_name="db.shop.svc.cluster.local")
    twin = Service("default", "server", cluster_ips=(ip_address("10.96.0.81"),), ports=(ServicePort(81),))
    abroad = Service("default", "abroad", kind="ExternalName", external_name="example.com")
    lonely = Service("shop", "lonely", headless=True, ports=(ServicePort(80),))
    return replace(shop, services=(web, headless, name, twin, abroad, lonely))


@pytest.mark.parametrize(
    ("typed", "whole"),
    [
        ("server", "default/client -> default/server 10.244.2.2:80/TCP"),
        ("server:81", "default/client -> default/server 10.244.2.2:81/TCP"),
        ("server:http", "default/client -> default/server 10.244.2.2:80/TCP"),
        ("svc/server", "default/client -> default/server 10.96.0.81:81/TCP"),
        ("pod/server", "default/client -> default/server 10.244.2.2:80/TCP"),
        ("pod/db-0.shop", "default/client -> shop/db-0 10.244.2.4:5432/TCP"),
        ("shop/web", "default/client -> shop/web 10.96.0.80:80/TCP"),
        ("shop/web:dns", "default/client -> shop/web 10.96.0.80:53/UDP"),
        ("web.shop:53", "default/client -> shop/web 10.96.0.80:53/UDP"),
        ("web.shop.svc.cluster.local", "default/client -> shop/web 10.96.0.80:80/TCP"),
        ("web.shop.svc.cluster.local.:53/udp", "default/client -> shop/web 10.96.0.80:53/UDP"),
        ("db.shop", "default/client -> shop/db-0 10.244.2.4:5432/TCP"),
        ("db-0.db.shop.svc", "default/client -> shop/db-0 10.244.2.4:5432/TCP"),
        ("database", "default/client -> shop/db-0 10.244.2.4:5432/TCP"),
        ("node-2", "default/client -> node-2 172.18.0.3:0/ICMP"),
        ("node-1", "default/client -> node-1 172.18.0.2:9100/TCP"),
        ("10.244.2.2", "default/client -> default/server 10.244.2.2:80/TCP"),
        ("10.9.9.9:443", "default/client -> 10.9.9.9:443/TCP"),
        ("client", "default/client -> default/client 10.244.1.2:0/ICMP"),
        ("localhost:80", "default/client -> default/client 127.0.0.1:80/TCP"),
        ("deploy/web.shop", "default/client -> shop/web-aaaaa 10.244.1.3:80/TCP"),
    ],
)
def test_who_is_meant(town: Cluster, typed: str, whole: str) -> None:
    assert str(asked(town, "client", typed).flow) == whole


@pytest.mark.parametrize(
    ("spec", "typed", "address"),
    [
        ({}, "web", "10.96.0.80"),
        ({}, "web.shop", "10.96.0.80"),
        ({}, "db-0.db", "10.244.2.4"),
        ({}, "server", "10.244.2.2"),  # a Pod's name of the namespace at hand comes first
        ({"dnsConfig": {"options": [{"name": "ndots", "value": "1"}]}}, "web.shop", "10.96.0.80"),
        ({"dnsPolicy": "Default"}, "web.shop.svc.cluster.local", "10.96.0.80"),
        ({"dnsPolicy": "Default", "dnsConfig": {"searches": ["svc.cluster.local"]}}, "web.shop", "10.96.0.80"),
        ({"dnsPolicy": "Default"}, "web.shop", ""),
        ({"dnsPolicy": "Default"}, "web", ""),
        ({"dnsPolicy": "None", "dnsConfig": {"nameservers": ["10.96.0.10"]}}, "web.shop", ""),
    ],
)
def test_a_dns_name_is_resolved_as_inside_the_client(
    town: Cluster, spec: dict[str, object], typed: str, address: str
) -> None:
    pods = tuple(replace(each, spec={**each.spec, **spec}) if each.name == "db-0" else each for each in town.pods)
    within = replace(town, pods=pods)
    if not address:
        with pytest.raises(BadInput, match="is called"):
            asked(within, "shop/db-0", typed)
        with pytest.raises(BadInput, match="is called"):
            list(flows(within, sources=["shop/db-0"], targets=[typed]))
        return
    assert asked(within, "shop/db-0", typed).flow.address == address
    assert {flow.address for flow in flows(within, sources=["shop/db-0"], targets=[typed])} == {address}
    (line,) = expected(parse(f"flows: [{{from: shop/db-0, to: {typed}, port: 80, expect: allow}}]"), within)
    assert line.address == address


def test_an_echo_where_it_is_asked_for(town: Cluster) -> None:
    for typed, icmp in (("server", True), ("server:80", True), ("server:/icmp", False)):
        flow = asked(town, "client", typed, icmp=icmp).flow
        assert (flow.port, flow.protocol) == (0, "ICMP")


def test_an_answer_over_udp_may_come_from_the_port_behind(town: Cluster) -> None:
    assert asked(town, "client", "shop/web:dns").answers == (53, 5353)


def test_notes_tell_what_was_chosen(town: Cluster) -> None:
    assert asked(town, "client", "server").note == (
        "server is a Pod here; it is also the name of a Service (svc/server)"
    )
    assert "headless" in asked(town, "client", "db.shop").note
    assert asked(town, "client", "database").note == "default/database is a name for db.shop.svc.cluster.local"
    assert not asked(town, "client", "shop/web").note


def test_families() -> None:
    both = make(pod("client", 1, 2, v6=True), pod("server", 2, 2, v6=True), v6=True)
    for version, address in ((0, "10.244.2.2"), (4, "10.244.2.2"), (6, "fd00:10:244:2::2")):
        assert asked(both, "client", "server", version=version).flow.address == address
    assert asked(both, "client", "[fd00:10:244:2::2]:80").flow.dst.name == "default/server"
    assert asked(both, "client", "fd00:10:244:2::2").flow.protocol == "ICMP"


@pytest.mark.parametrize(
    ("client", "target", "says"),
    [
        ("client", "servr", "no Pod, Service, node or external host is called 'servr' (did you mean \"server\"?)"),
        ("client", "server:htp", "has no port named 'htp'"),
        ("client", "server:0", "ports are 1 to 65535"),
        ("client", "server:80/SCTP", "SCTP cannot be traced"),
        ("client", "svc/nosuch", "there is no Service 'nosuch'"),
        ("client", "pod/servr", "there is no Pod 'servr' in the namespace 'default' (did you mean \"pod/server\"?)"),
        ("client", "pod/database", "there is no Pod 'database' in the namespace 'default'"),
        ("10.9.9.9", "server", "no network namespace"),
        ("svc/server", "server", "no network namespace"),
        ("client", "10.244.0.0/16", "name one"),
        ("client", "", "a name is missing; write a Pod's name"),
        ("client", "abroad", "Service default/abroad is a name for example.com, which does not exist in this lab"),
        ("client", "svc/abroad", "Service default/abroad is a name for example.com, which does not exist in this lab"),
        ("client", "svc/lonely.shop", "Service shop/lonely is headless and has no ready endpoint"),
        ("client", "224.0.0.1", "224.0.0.1 is a multicast address"),
        ("client", "255.255.255.255:80", "is a broadcast address"),
        ("client", "0.0.0.0:80", "no host's address"),
    ],
)
def test_bad_words_get_a_sentence(town: Cluster, client: str, target: str, says: str) -> None:
    with pytest.raises(BadInput, match=re.escape(says)):
        asked(town, client, target)


def test_only_one_family() -> None:
    cluster = make(pod("client", 1, 2), pod("server", 2, 2))
    with pytest.raises(BadInput, match="no IPv6 address in common"):
        asked(cluster, "client", "server", version=6)


def test_split() -> None:
    assert split("web:80") == ("web", "80")
    assert split("[fd00::2]:80/UDP") == ("fd00::2", "80/UDP")
    assert split("fd00::2") == ("fd00::2", "")
    assert split("10.0.0.1") == ("10.0.0.1", "")


@pytest.mark.parametrize(
    ("typed", "names"),
    [
        ("server", ["default/server"]),
        ("shop/web", ["shop/web"]),
        ("web.shop", ["shop/web"]),
        ("web.shop.svc.cluster.local.", ["shop/web"]),
        ("svc/db.shop", ["shop/db-0"]),
        ("shop/db", ["shop/db-0"]),
        ("db-0.db.shop", ["shop/db-0"]),
        ("database", ["shop/db-0"]),
        ("svc/database", ["shop/db-0"]),
        ("node-1", ["node-1"]),
        ("10.244.2.2", ["default/server"]),
        ("deploy/web.shop", ["shop/web-aaaaa", "shop/web-bbbbb"]),
    ],
)
def test_reach_check_explain_and_trace_take_the_same_words(town: Cluster, typed: str, names: list[str]) -> None:
    found = flows(town, sources=["client"], targets=[typed], ports=["80"])
    assert list(dict.fromkeys(flow.dst.name for flow in found)) == names
    lines = f"flows: [{{from: client, to: {typed}, port: 80, expect: allow}}]"
    assert list(dict.fromkeys(flow.dst.name for flow in expected(parse(lines), town))) == names
    assert asked(town, "client", f"{typed}:80").flow.dst.name == names[0]


@pytest.mark.parametrize(
    "typed", ["servr", "svc/nosuch", "nosuch/web", "deploy/wbe.shop", "node/node-9", "abroad", "a/b/c"]
)
def test_reach_check_and_trace_say_the_same_of_a_word_that_means_nobody(town: Cluster, typed: str) -> None:
    said = set()
    for ask in (
        lambda: flows(town, sources=["client"], targets=[typed]),
        lambda: expected(parse(f"flows: [{{from: client, to: {typed}, expect: allow}}]"), town),
        lambda: asked(town, "client", typed),
    ):
        with pytest.raises(BadInput) as caught:
            ask()
        said.add(caught.value.problems[0].message if caught.value.problems else str(caught.value))
    assert len(said) == 1, said
