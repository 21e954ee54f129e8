"""An open connection proves only that some host replied: the trace names the wrong host, source and permission."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.conftest import run_netlab
from tests.kernel.trace.conftest import Lab, only_from, pod, service

pytestmark = pytest.mark.kernel

HTTP = "import http.server as h; s = h.HTTPServer(('', 80), h.SimpleHTTPRequestHandler); print('up', flush=True); s.serve_forever()"
HTTP6 = HTTP.replace("import http", "import socket, http").replace(
    "s = ", "h.HTTPServer.address_family = socket.AF_INET6; s = "
)


@pytest.fixture
def running(lab: Lab) -> Lab:
    """Two nodes, both families; guarded takes packets only from near."""
    client = pod("client", "node-1")
    client["spec"]["containers"][0]["ports"] = []
    hosted = pod("hosted", "node-2")
    hosted["spec"]["containers"][0]["ports"][0]["hostPort"] = 8088
    lab.up(
        client, pod("near", "node-1"), pod("server", "node-2"), pod("guarded", "node-2"), hosted,
        service("web", {"app": "server"}, type="NodePort"), service("pods", {"app": "server"}, clusterIP="None"),
        only_from("near", "guarded"),
        ipFamilies=["IPv4", "IPv6"], external=[{"name": "internet", "addresses": ["203.0.113.10"], "ports": [80]}],
    )  # fmt: skip
    return lab


def sh(lab: Lab, lines: str) -> None:
    subprocess.run(["sh", "-ec", lines.replace("@", f"{lab.name}-")], check=True, capture_output=True)


@contextmanager
def serving(lab: Lab, where: str, program: str = HTTP) -> Iterator[None]:
    """A process that serves port 80 in a namespace."""
    line = ["ip", "netns", "exec", f"{lab.name}-{where}", sys.executable, "-c", program]
    with subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        try:
            yield
        finally:
            process.kill()


def traced(lab: Lab, *words: str, code: int = 1) -> Any:
    return json.loads(lab.netlab("trace", *words, "-o", "json", "--timeout", "20", check=code).stdout)


def kinds(document: Any) -> list[tuple[str, str]]:
    return [(finding["kind"], finding["netns"]) for finding in document["findings"]]


def steal(lab: Lab, where: str, rule: str, hook: str = "prerouting", family: str = "ip") -> None:
    sh(
        lab,
        f"ip netns exec @{where} nft 'table {family} old {{ chain c {{ type nat hook {hook} priority -150; {rule}; }}; }}'",
    )


STOLEN = [
    ("client", "server", "node-1", "ip daddr 10.244.2.2 tcp dport 80 dnat to 10.244.1.3:80", "wrong-host"),
    ("client", "svc/pods", "node-2", "ip daddr 10.244.2.2 tcp dport 80 dnat to 10.244.2.4:80", "wrong-host"),
    ("client", "svc/web:8080", "node-1", "tcp dport 8080 dnat to 10.244.1.3:80", "wrong-backend"),
    ("client", "external/internet:80", "node-1", "ip daddr 203.0.113.10 tcp dport 80 dnat to 10.244.1.3:80", "wrong-host"),
    ("client", "node-2:8088", "node-1", "ip daddr 172.18.0.3 tcp dport 8088 dnat to 10.244.1.3:80", "wrong-backend"),
    ("client", "server:5353/UDP", "node-1", "ip daddr 10.244.2.2 udp dport 5353 dnat to 10.244.1.3:5353", "wrong-host"),
]  # fmt: skip


@pytest.mark.parametrize("without", [(), ("--without", "drops")], ids=("all", "no-drops"))
def test_a_stolen_connection_is_not_an_answer(running: Lab, without: tuple[str, ...]) -> None:
    lab = running
    sh(lab, "ip netns exec @node-2 nft delete table inet netlab-policy")  # guarded steals one
    for client, target, where, rule, kind in STOLEN:
        steal(lab, where, rule)
        document = traced(lab, client, target, "-4", *without)
        assert document["outcome"] == "open", (target, document["outcome"])
        assert (kind, f"{lab.name}-{where}") in kinds(document), (target, document["findings"])
        assert document["left"]["question"] is not None, target
        compared = traced(lab, client, target, "-4", "--compare", *without, code=4)["comparison"]
        assert not compared["agrees"], target
        text = lab.netlab("trace", client, target, "-4", *without, check=1).stdout
        assert "took the expected path" not in text
        sh(lab, f"ip netns exec @{where} nft delete table ip old")
        assert kinds(traced(lab, client, target, "-4", *without, code=0)) == []


@pytest.mark.parametrize(("version", "address"), [("-4", "10.244.2.2/32"), ("-6", "fd00:10:244:2::2/128")])
def test_a_node_with_the_address_of_a_pod_is_not_the_pod(running: Lab, version: str, address: str) -> None:
    lab = running
    sh(lab, f"ip -n @node-1 addr add {address} dev lo")
    with serving(lab, "node-1", HTTP if version == "-4" else HTTP6):
        tcp = traced(lab, "client", "server", version)
        assert tcp["outcome"] == "open"
        assert ("wrong-host", f"{lab.name}-node-1") in kinds(tcp)
        checked = run_netlab("check", lab.name, check=1).stdout
        shown = address.partition("/")[0]
        shown = f"[{shown}]" if ":" in shown else shown
        assert f"default/client -> default/server {shown}:80/TCP: got open from the wrong server" in checked
        flows = json.loads(run_netlab("reach", lab.name, "--from", "client", "--to", "server", "-o", "json").stdout)[
            "flows"
        ]
        assert [flow["server"] for flow in flows if flow["address"] in address and flow["protocol"] == "TCP"] == [None]
        assert "!" in run_netlab("reach", lab.name, "--from", "client", "--to", "server").stdout
    ping = traced(lab, "client", "server", "--icmp", version)
    assert ping["outcome"] == "open"
    assert ("wrong-host", f"{lab.name}-node-1") in kinds(ping)
    assert ping["left"]["question"] is not None


def test_the_target_must_see_the_source_that_the_lab_gives(running: Lab) -> None:
    lab = running
    steal(lab, "node-1", "ip daddr 10.244.2.0/24 masquerade", "postrouting")
    for target in ("server", "server:5353/UDP", "svc/web:8080"):
        document = traced(lab, "client", target, "-4")
        assert document["outcome"] == "open"
        assert ("wrong-source", f"{lab.name}-node-1") in kinds(document), document["findings"]
        assert not traced(lab, "client", target, "-4", "--compare", code=4)["comparison"]["agrees"]
    assert "seen as 10.244.1.0 and not as 10.244.1.2" in run_netlab("check", lab.name, check=1).stdout


def test_a_denied_flow_that_passes_is_a_finding(running: Lab) -> None:
    lab = running
    assert traced(lab, "client", "guarded")["outcome"] == "timeout"
    steal(lab, "node-1", "ip daddr 10.244.2.9 accept")  # any table, so that rules are traced
    sh(lab, "ip netns exec @node-2 nft flush ruleset")
    for words in (("guarded",), ("guarded", "-6"), ("guarded:5353/UDP",), ("guarded", "--icmp")):
        document = traced(lab, "client", *words)
        assert document["outcome"] == "open"
        found = [finding for finding in document["findings"] if finding["kind"] == "not-enforced"]
        assert [(each["netns"], each["policy"]) for each in found] == [(f"{lab.name}-node-2", "default/only-near")]
    assert kinds(traced(lab, "near", "guarded", code=0)) == []


def test_without_frames_nothing_is_claimed(running: Lab) -> None:
    text = running.netlab("trace", "client", "server", "--without", "frames").stdout
    assert "took the expected path" not in text
    assert "without the source frames" in text
