"""``trace --packet`` and ``-v``: packets that no socket would send, followed like any other, and frames layer by layer."""

from __future__ import annotations

import json
import subprocess
import sys
import time

import pytest

from tests.kernel.trace.conftest import Lab, pod

pytestmark = pytest.mark.kernel


@pytest.fixture
def two(lab: Lab) -> Lab:
    lab.up(pod("client", "node-1"), pod("server", "node-2"), dataplane="vxlan")
    return lab


def test_packets_that_no_socket_would_send(two: Lab) -> None:
    target = 'dst="10.244.2.2"'
    cases = {
        f'IP({target})/TCP(dport=80,flags="S")': (0, "answered", "DROPPED: NO_SOCKET"),
        f"IP({target})/TCP(dport=81)": (1, "refused", "no process listens on port 81/TCP"),
        f'IP(src="10.244.1.99",{target})/TCP(dport=80)': (1, "the reply did not come back", "10.244.1.99"),
        f"IP({target})/TCP(dport=80,chksum=0x1234)": (1, "found a wrong checksum", "TCP_CSUM"),
        f"IP({target},ttl=1)/ICMP()": (1, "time exceeded", "node-1"),
        f"IP({target})/ICMP()": (0, "answered", "echo reply"),
        f'Ether(dst="02:00:00:00:00:99")/IP({target})/TCP(dport=80)': (1, "02:00:00:00:00:99", "no reply"),
    }
    for expression, (status, *wanted) in cases.items():
        trace = two.netlab("trace", "client", "--packet", expression, check=None)
        assert trace.status == status, (expression, trace.stdout, trace.stderr)
        for words in wanted:
            assert words in " ".join(trace.stdout.split()), (expression, trace.stdout)


def test_a_fragment_alone_is_followed_to_the_pod_that_waits_for_the_rest(two: Lab) -> None:
    words = 'IP(dst="10.244.2.2",flags="MF")/UDP(dport=80)/"the first piece of a datagram"'
    trace = json.loads(two.netlab("trace", "client", "--packet", words, "-o", "json", check=None).stdout)
    assert trace["outcome"] == "timeout"
    assert any(event["netns"] == f"{two.name}-server" for event in trace["events"])


def test_a_bad_expression_sends_nothing(two: Lab) -> None:
    for words in ('IP(dst="10.244.2.2")/TPC()', 'IP(dst="10.244.2.2")/SCTP()', 'IP(dst="nowhere.example")/TCP()'):
        trace = two.netlab("trace", "client", "--packet", words, check=None)
        assert trace.status == 2 and "--packet" in trace.stderr and not trace.stdout, words
    assert two.netlab("trace", "client", check=None).status == 2
    both = two.netlab("trace", "client", "server", "--packet", 'IP(dst="10.244.2.2")/TCP()', check=None)
    assert both.status == 2 and "exclude each other" in both.stderr


def test_layers_stand_below_a_packet_where_it_changed(two: Lab) -> None:
    lines = two.netlab("trace", "-v", "client", "server:80").stdout.splitlines()
    names = [line.split()[0] for line in lines if line[:12].isspace() and line[12] != " " and "=" in line]
    tunnel = names.index("VXLAN")
    assert names[tunnel - 3 : tunnel + 4] == ["Ethernet", "IP", "UDP", "VXLAN", "Ethernet", "IP", "TCP"]
    assert any("vni=0x1" in line for line in lines) and any("dport=80" in line for line in lines)


def test_capture_shows_layers(two: Lab) -> None:
    words = ["capture", "--lab", two.name, "-v", "--at", "client", "-c", "2", "--filter", "icmp", "--duration", "20"]
    capture = subprocess.Popen([sys.executable, "-m", "netlab", *words], stdout=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 20
    while capture.poll() is None and time.monotonic() < deadline:
        two.netlab("exec", "client", "--", "ping", "-c", "1", "-W", "1", "10.244.2.2")
    text = capture.communicate()[0]
    assert "type=echo-request" in text and "dst=10.244.2.2" in text
