"""Endpoints objects become EndpointSlices, as the mirroring controller of a cluster makes them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.pure.services.test_model import built, one, pod, problems, service

MANAGED = "endpointslice.kubernetes.io/managed-by"
MIRRORING = "endpointslicemirroring-controller.k8s.io"
OUT = {"external": [{"name": f"out-{at}", "address": f"203.0.113.{at}"} for at in (10, 11)]}
DUAL = {"ipFamilies": ["IPv4", "IPv6"], "external": [{"name": "o", "addresses": ["203.0.113.10", "2001:db8::10"]}]}


def endpoints(name: str, *subsets: dict[str, Any], **metadata: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Endpoints", "metadata": {"name": name, **metadata}, "subsets": list(subsets)}


def subset(*addresses: str, ports: Any = ({"port": 8080},), waiting: tuple[str, ...] = ()) -> dict[str, Any]:
    found: dict[str, Any] = {"addresses": [{"ip": text} for text in addresses], "ports": list(ports)}
    return found | {"notReadyAddresses": [{"ip": text} for text in waiting]}


def manual(name: str, *ports: dict[str, Any], **spec: Any) -> dict[str, Any]:
    found = service(name, **spec)
    del found["spec"]["selector"]
    return found | {"spec": found["spec"] | ({"ports": list(ports)} if ports else {})}


def slice_of(name: str, *addresses: str, manager: str = "", **more: Any) -> dict[str, Any]:
    labels = {"kubernetes.io/service-name": name} | ({MANAGED: manager} if manager else {})
    return {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
            "metadata": {"name": f"{name}-x", "labels": labels}, "ports": [{"port": 8080}],
            "endpoints": [{"addresses": [text]} for text in addresses]} | more  # fmt: skip


def ends(*documents: Any, name: str = "db", **lab: Any) -> list[tuple[str, tuple[int, ...], bool]]:
    return [(str(each.address), each.ports, each.ready) for each in one(name, *documents, **lab).backends]


def test_a_service_without_selector_has_the_endpoints_of_its_name() -> None:
    given = endpoints("db", subset("203.0.113.10", waiting=("203.0.113.11",)))
    assert ends(manual("db"), given, **OUT) == [("203.0.113.10", (8080,), True), ("203.0.113.11", (8080,), False)]
    assert ends(manual("db"), endpoints("other", subset("203.0.113.10")), **OUT) == []


def test_ports_are_found_by_name_and_protocol_over_the_subsets() -> None:
    ports = [{"name": "a", "port": 80}, {"name": "b", "port": 53, "protocol": "UDP"}, {"name": "c", "port": 9}]
    first = subset("203.0.113.10", ports=[{"name": "a", "port": 1}, {"name": "b", "port": 2, "protocol": "TCP"}])
    second = subset("203.0.113.10", ports=[{"name": "b", "port": 3, "protocol": "UDP"}])
    assert ends(manual("db", *ports), endpoints("db", first, second), **OUT) == [("203.0.113.10", (1, 3, 0), True)]
    ready, waiting = subset("203.0.113.10"), subset(ports=[{"port": 9}], waiting=("203.0.113.10",))
    del waiting["addresses"]
    found = ends(manual("db"), endpoints("db", ready, waiting), **OUT)
    assert found == [("203.0.113.10", (8080,), True), ("203.0.113.10", (9,), False)], "two ports, two endpoints"


def test_each_family_is_mirrored_for_itself() -> None:
    given = endpoints("db", subset("203.0.113.10", "2001:db8::10"))
    assert ends(manual("db"), given, **DUAL) == [("203.0.113.10", (8080,), True)]
    both = ends(manual("db", ipFamilyPolicy="PreferDualStack"), given, **DUAL)
    assert [text for text, _, _ in both] == ["203.0.113.10", "2001:db8::10"]


@pytest.mark.parametrize(
    "metadata",
    [
        {"labels": {"endpointslice.kubernetes.io/skip-mirror": "true"}},
        {"annotations": {"control-plane.alpha.kubernetes.io/leader": "{}"}},
    ],
)
def test_some_endpoints_are_not_mirrored(metadata: Any) -> None:
    assert ends(manual("db"), endpoints("db", subset("192.0.2.1"), **metadata), **OUT) == []
    no = {"endpointslice.kubernetes.io/skip-mirror": "false"}
    assert ends(manual("db"), endpoints("db", subset("203.0.113.10"), labels=no), **OUT)


def test_of_a_service_with_a_selector_the_pods_count_alone() -> None:
    found = built(pod("web"), service("db"), endpoints("db", subset("203.0.113.10")), **OUT)
    assert [each.pod for each in next(one for one in found.cluster.services if one.name == "db").backends] == [
        "default/web"
    ]
    assert [one.code for one in found.warnings if "Endpoints" in one.message] == ["endpoints-left-out"]
    dumped = endpoints("db", subset("10.1.2.3"), annotations={"endpoints.kubernetes.io/last-change-trigger-time": "x"})
    assert not [one for one in built(pod("web"), service("db"), dumped).warnings if "Endpoints" in one.message]


def test_endpoints_without_a_service_are_told() -> None:
    codes = [one.code for one in built(pod("web"), endpoints("db", subset("203.0.113.10")), **OUT).warnings]
    assert "endpoints-without-service" in codes


def test_a_thousand_addresses_of_a_subset_are_mirrored_the_ready_first() -> None:
    many = [f"10.9.{at // 250}.{at % 250 + 1}" for at in range(1001)]
    lab = {"external": [{"name": f"h{at}", "address": text} for at, text in enumerate(many)]}
    documents = [manual("db"), endpoints("db", subset(*many[:999], waiting=tuple(many[999:])), subset(many[1000]))]
    found = ends(*documents, **lab)
    assert len(found) == 1001
    assert found[999] == (many[999], (8080,), False)
    assert found[1000] == (many[1000], (8080,), True), "a subset of its own has a thousand of its own"
    assert "endpoints-truncated" in [one.code for one in built(*documents, **lab).warnings]


def test_slices_of_a_dump_that_the_controllers_make_anew_are_left_out() -> None:
    stale = slice_of("db", "203.0.113.11", manager=MIRRORING)
    given = endpoints("db", subset("203.0.113.10"))
    assert ends(manual("db"), given, stale, **OUT) == [("203.0.113.10", (8080,), True)]
    assert ends(manual("db"), stale, **OUT) == [("203.0.113.11", (8080,), True)], "the dump has no Endpoints"
    own = slice_of("db", "203.0.113.11")
    assert len(ends(manual("db"), given, own, **OUT)) == 2, "proxies read every slice of the Service"


def test_a_slice_that_somebody_wrote_counts_beside_the_selector() -> None:
    found = built(pod("web"), service("db"), slice_of("db", "203.0.113.10"), **OUT)
    behind = next(one for one in found.cluster.services if one.name == "db").backends
    assert [str(each.address) for each in behind] == ["10.244.1.2", "203.0.113.10"]
    controllers = slice_of("db", "203.0.113.10", manager="endpointslice-controller.k8s.io")
    assert len(ends(pod("web"), service("db"), controllers, **OUT)) == 1


def test_publish_not_ready_addresses_says_nothing_of_endpoints_that_somebody_wrote() -> None:
    given = endpoints("db", subset("203.0.113.10", waiting=("203.0.113.11",)))
    found = one("db", manual("db", publishNotReadyAddresses=True), given, **OUT)
    assert [str(each.address) for each in found.ready] == ["203.0.113.10"]


def test_the_local_policy_asks_for_the_node_name_alone() -> None:
    given = endpoints("db", subset("10.244.1.2"))
    named = endpoints("db", {"addresses": [{"ip": "10.244.1.2", "nodeName": "node-1"}], "ports": [{"port": 80}]})
    assert [one("db", pod("web"), manual("db"), each).backends[0].node for each in (given, named)] == ["", "node-1"]


def test_an_address_that_no_host_has_is_a_warning_with_its_line_and_a_backend() -> None:
    given = endpoints("db", subset("203.0.113.10", waiting=("192.0.2.1",)))
    lab = built(pod("web"), manual("db"), given, slice_of("db", "192.0.2.2"), **OUT)
    outside = [warning for warning in lab.warnings if warning.code == "endpoint-outside-lab"]
    assert [warning.object for warning in outside] == ["EndpointSlice default/db-x", "Endpoints default/db"]
    assert ["192.0.2.2" in outside[0].message, "192.0.2.1" in outside[1].message] == [True, True]
    assert all("external:" in warning.message and warning.mark for warning in outside)
    backends = next(service for service in lab.cluster.services if service.name == "db").backends
    assert {str(backend.address) for backend in backends} == {"203.0.113.10", "192.0.2.1", "192.0.2.2"}


@pytest.mark.parametrize("address", ["127.0.0.1", "169.254.1.1", "224.0.0.1", "0.0.0.0", "fe80::1"])
def test_an_address_that_an_api_server_refuses_stays_an_error(address: str) -> None:
    for document in (endpoints("db", subset(address)), slice_of("db", address)):
        assert not problems(manual("db"), document).startswith("0 ")
