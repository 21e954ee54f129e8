"""A trace to a DNS name looks it up in the Pod: by its hosts file and resolv.conf, with real queries to its servers."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from netlab.kernel.host.processes import inside
from tests.kernel.trace.conftest import WEB, Lab, pod, service

pytestmark = pytest.mark.kernel
PATIENT = ("--timeout", "20")


@pytest.fixture
def shop(lab: Lab) -> Lab:
    lab.up(pod("client", "node-1"), pod("web-1", "node-2", app="web"), service("web", WEB), dataplane="vxlan")
    return lab


def trace(lab: Lab, target: str, *words: str, check: int = 0) -> dict[str, Any]:
    return json.loads(lab.netlab("trace", "client", target, "-o", "json", *words, check=check).stdout)  # type: ignore[no-any-return]


def etc(lab: Lab, name: str) -> Path:
    return Path(f"/etc/netns/{lab.name}-client/{name}")


def test_the_lookup_is_the_first_leg(shop: Lab) -> None:
    shown = trace(shop, "web.default:8080", *PATIENT)
    lookup = shown["lookup"]
    assert (shown["outcome"], shown["to"], shown["findings"]) == ("open", "default/web", [])
    assert lookup["addresses"] == [shown["address"]] and lookup["server"] == lookup["servers"][0]
    queries = [(each["name"], each["outcome"]) for each in lookup["queries"]]
    assert queries == [
        ("web.default.default.svc.cluster.local", "nxdomain"),
        ("web.default.svc.cluster.local", "found"),
    ]
    said = shop.netlab("trace", "client", "web.default:8080").stdout
    assert f"{lookup['server']}  A web.default.svc.cluster.local: {shown['address']} after" in said
    assert "lookup" not in trace(shop, "web:8080"), "a Service's own name needs no DNS"


def test_a_name_that_does_not_exist_was_asked_for_with_each_search_domain(shop: Lab) -> None:
    shown = trace(shop, "wbe.default", *PATIENT, check=1)
    assert (shown["outcome"], shown["error"]) == ("error", "NXDOMAIN")
    (finding,) = shown["findings"]
    assert finding["kind"] == "no-name" and "web.default" in finding["says"]
    assert [each["outcome"] for each in shown["lookup"]["queries"]] == ["nxdomain"] * 4
    said = shop.netlab("trace", "client", "wbe.default", "--compare", check=1).stdout
    assert "as predicted: no object of this lab has the name" in said
    file = etc(shop, "resolv.conf")
    file.write_text(file.read_text().replace("svc.cluster.local ", ""))
    said = shop.netlab("trace", "client", "web.default", "--compare", check=4).stdout
    assert "not as predicted: web.default was not resolved" in said


def test_a_pod_in_its_nodes_network_has_files_of_its_own(lab: Lab) -> None:
    there = pod("there", "node-1")
    there["spec"] |= {"hostNetwork": True, "dnsPolicy": "ClusterFirstWithHostNet"}
    lab.up(there, pod("web-1", "node-2", app="web"), service("web", WEB), dataplane="vxlan")
    said = lab.netlab("trace", "there", "web.default:8080").stdout
    assert f"in default/there, by /etc/netns/{lab.name}-there/resolv.conf" in " ".join(said.split()), said
    lost = lab.netlab("trace", "there", "web.nowhere", *PATIENT, "-o", "json", check=1).stdout
    assert [each["kind"] for each in json.loads(lost)["findings"]] == ["no-name"]
    long = lab.netlab("trace", "there", f"{'a' * 64}.default", *PATIENT, "-o", "json", check=1).stdout
    assert {each["outcome"] for each in json.loads(long)["lookup"]["queries"]} == {"invalid"}


def test_a_wrong_name_server_is_the_finding_with_the_line_that_mends_it(shop: Lab, kit: Any) -> None:
    file = etc(shop, "resolv.conf")
    file.write_text(file.read_text().replace("nameserver 10.96.0.10", "nameserver 10.96.0.99"))
    shown = trace(shop, "web.default:8080", "--timeout", "2", check=1)
    assert (shown["outcome"], shown["lookup"]["addresses"]) == ("error", [])
    assert shown["address"] == "10.96.0.99" and shown["port"] == 53, "the query that was lost is traced"
    first, second = shown["findings"][:2]
    assert first["kind"] == "resolv-conf" and "nameserver 10.96.0.99" in first["says"] and first["root"]
    assert second["kind"] == "nameserver" and "nobody in this lab has it" in second["says"]
    for line in first["mend"]:
        kit.sh(line)
    assert trace(shop, "web.default:8080", *PATIENT)["outcome"] == "open"


def test_a_stopped_dns_server_is_the_finding(shop: Lab) -> None:
    (knot,) = (each for each in inside([f"{shop.name}-kube-system-coredns"]) if each.comm == "knotd")
    os.kill(knot.pid, signal.SIGSTOP)
    try:
        shown = trace(shop, "web.default:8080", "--timeout", "2", check=1)
    finally:
        os.kill(knot.pid, signal.SIGCONT)
    assert (shown["outcome"], shown["error"]) == ("error", "no reply")
    assert shown["findings"][0]["kind"] == "nameserver"
    assert any(f"kill -CONT {knot.pid}" in each["mend"] for each in shown["findings"]), shown["findings"]


def test_a_dead_first_name_server_is_told_though_the_second_answers(shop: Lab) -> None:
    file = etc(shop, "resolv.conf")
    file.write_text(file.read_text().replace("nameserver ", "nameserver 10.244.1.99\nnameserver "))
    shown = trace(shop, "web.default:8080", "--timeout", "2")
    assert shown["outcome"] == "open" and shown["lookup"]["server"] == "10.96.0.10"
    assert [each["kind"] for each in shown["findings"]] == ["nameserver"]
    assert "10.244.1.99" in shown["findings"][0]["says"]


def test_the_hosts_file_comes_first_and_may_be_wrong(shop: Lab) -> None:
    file = etc(shop, "hosts")
    with file.open("a") as stream:
        stream.write("10.244.2.2 web.default\n")
    shown = trace(shop, "web.default:80", *PATIENT, check=1)
    assert (shown["lookup"]["by"], shown["address"], shown["outcome"]) == ("hosts", "10.244.2.2", "open")
    assert shown["findings"][0]["kind"] == "wrong-answer"


def test_a_file_without_servers_asks_the_pod_itself(shop: Lab) -> None:
    etc(shop, "resolv.conf").write_text("")
    shown = trace(shop, "web.default:8080", *PATIENT, check=1)
    assert (shown["outcome"], shown["address"], shown["lookup"]["servers"]) == ("error", "127.0.0.1", [])
    assert any("names no name server" in each["says"] for each in shown["findings"])
