"""Names by dig and by glibc's resolver, in Pods, against the server that runs in kube-system/coredns."""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import subprocess
import sys
import time

import pytest

from tests.conftest import run_netlab
from tests.kernel.services.conftest import Lab, pod, service

pytestmark = [
    pytest.mark.kernel,
    pytest.mark.skipif(not shutil.which("dig"), reason="dig is missing (Debian: bind9-dnsutils)"),
]

WEB = {"app": "web"}
PODS = {"client": ("node-1", {}), "a": ("node-1", WEB), "b": ("node-2", WEB)}
NAMED = {"name": "http", "port": 80}
ZONE = "svc.cluster.local"


def dig(lab: Lab, *question: str) -> tuple[str, list[str]]:
    """(status, the answer's records without name, TTL and class)."""
    out = lab.sh("client", "dig", "+noall", "+comments", "+answer", "+tries=2", "+time=2", "@10.96.0.10", *question)
    status = next(line.partition("status: ")[2].partition(",")[0] for line in out.splitlines() if "status: " in line)
    rows = [line.split(None, 4) for line in out.splitlines() if line and not line.startswith(";")]
    return status, sorted(f"{row[3]} {row[4]}" for row in rows)


def full(lab: Lab) -> None:
    lab.up(
        PODS | {"set-0": ("node-2", {"app": "set"})},
        service("web", "web", NAMED),
        service("heads", "web", NAMED, clusterIP="None"),
        service("nobody", "nobody", NAMED, clusterIP="None"),
        service("both", "web", NAMED, ipFamilyPolicy="PreferDualStack"),
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "alias"},
            "spec": {"type": "ExternalName", "externalName": f"web.default.{ZONE}"},
        },
        external=[{"name": "internet", "address": "203.0.113.10"}],
        ipFamilies=["IPv4", "IPv6"],
    )


def test_names_are_as_the_kubernetes_dns_specification_says(lab: Lab) -> None:
    full(lab)
    web, both = lab.address("web"), lab.service("both")["spec"]["clusterIPs"]
    cases: list[tuple[tuple[str, ...], str, list[str]]] = [
        ((f"web.default.{ZONE}",), "NOERROR", [f"A {web}"]),
        ((f"web.default.{ZONE}", "+tcp"), "NOERROR", [f"A {web}"]),
        ((f"web.default.{ZONE}", "AAAA"), "NOERROR", []),  # NODATA: it has no IPv6 address
        ((f"both.default.{ZONE}", "AAAA"), "NOERROR", [f"AAAA {both[1]}"]),
        ((f"nix.default.{ZONE}",), "NXDOMAIN", []),
        ((f"nobody.default.{ZONE}",), "NXDOMAIN", []),  # headless, and nobody is ready
        ((f"heads.default.{ZONE}",), "NOERROR", ["A 10.244.1.3", "A 10.244.2.2"]),
        ((f"10-244-1-3.heads.default.{ZONE}",), "NOERROR", ["A 10.244.1.3"]),
        ((f"_http._tcp.web.default.{ZONE}", "SRV"), "NOERROR", [f"SRV 0 100 80 web.default.{ZONE}."]),
        (
            (f"_http._tcp.heads.default.{ZONE}", "SRV"),
            "NOERROR",
            [f"SRV 0 50 80 10-244-1-3.heads.default.{ZONE}.", f"SRV 0 50 80 10-244-2-2.heads.default.{ZONE}."],
        ),
        ((f"alias.default.{ZONE}",), "NOERROR", [f"A {web}", f"CNAME web.default.{ZONE}."]),
        (("-x", web), "NOERROR", [f"PTR web.default.{ZONE}."]),
        (("-x", both[1]), "NOERROR", [f"PTR both.default.{ZONE}."]),
        (("10-244-1-3.default.pod.cluster.local",), "NOERROR", ["A 10.244.1.3"]),
        # As with `pods insecure`: any address, in a namespace that there is.
        (("192-0-2-77.kube-system.pod.cluster.local",), "NOERROR", ["A 192.0.2.77"]),
        (("fd00-10-244-1--9.default.pod.cluster.local", "AAAA"), "NOERROR", ["AAAA fd00:10:244:1::9"]),
        (("10-244-1-3.default.pod.cluster.local", "AAAA"), "NOERROR", []),
        (("10-244-1-3.nix.pod.cluster.local",), "NXDOMAIN", []),
        (("a-b-c-d.default.pod.cluster.local",), "NXDOMAIN", []),
        (("dns-version.cluster.local", "TXT"), "NOERROR", ['TXT "1.1.0"']),
        (("internet",), "NOERROR", ["A 203.0.113.10"]),
        (("www.example.com",), "NXDOMAIN", []),
    ]
    assert [(question, *dig(lab, *question)) for question, _, _ in cases] == cases


def test_an_external_name_that_leads_outside_brings_its_address_with_it(lab: Lab) -> None:
    lab.up(PODS, service("web", "web", NAMED), external=[{"name": "bank", "address": "203.0.113.10"}])
    spec = {"type": "ExternalName", "externalName": "bank"}
    lab.apply({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "out"}, "spec": spec})
    web = lab.address("web")
    assert dig(lab, f"out.default.{ZONE}") == ("NOERROR", ["A 203.0.113.10", "CNAME bank."])
    assert dig(lab, f"web.default.{ZONE}") == ("NOERROR", [f"A {web}"])
    assert dig(lab, "10-244-1-3.default.pod.cluster.local") == ("NOERROR", ["A 10.244.1.3"])
    assert lab.netlab("exec", "client", "--", "getent", "hosts", "out").stdout.split()[0] == "203.0.113.10"
    lab.netlab("delete", "service", "out")
    assert dig(lab, f"out.default.{ZONE}") == ("NXDOMAIN", [])
    assert dig(lab, f"web.default.{ZONE}") == ("NOERROR", [f"A {web}"])
    assert run_netlab("diff", lab.name, check=None).status == 0


def test_any_program_of_a_pod_finds_names_by_its_search_list(lab: Lab) -> None:
    full(lab)
    web = lab.address("web")
    resolv = lab.netlab("exec", "client", "--", "cat", "/etc/resolv.conf").stdout
    assert resolv == (f"search default.{ZONE} {ZONE} cluster.local\nnameserver 10.96.0.10\noptions ndots:5\n")
    for name in ("web", "web.default", "web.default.svc", f"web.default.{ZONE}", "alias"):
        for argv in (
            ("getent", "ahostsv4", name),
            ("ip", "netns", "exec", f"{lab.name}-client", "getent", "ahostsv4", name),
        ):
            out = lab.netlab("exec", "client", "--", *argv).stdout if argv[0] == "getent" else _plain(*argv)
            assert out.split()[0] == web, (name, argv)
    assert '"pod": "' in lab.netlab("exec", "client", "--", "wget", "-qO-", "http://web").stdout
    assert lab.netlab("exec", "client", "--", "getent", "hosts", "nix", check=None).status == 2


def _plain(*argv: str) -> str:
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout


def test_what_apply_changes_is_there_when_it_returns_and_the_server_goes_on(lab: Lab) -> None:
    lab.up(PODS, service("web", "web", NAMED))
    before = _server(lab)
    lab.apply(service("new", "web", NAMED))
    assert dig(lab, f"new.default.{ZONE}") == ("NOERROR", [f"A {lab.address('new')}"])
    assert sum(lab.connect("client", lab.address("new"), 80, 3).values()) == 3
    lab.netlab("delete", "service", "new")
    assert dig(lab, f"new.default.{ZONE}") == ("NXDOMAIN", [])
    assert _server(lab) == before


@pytest.mark.parametrize("what", ["server", "sandbox"])
def test_a_server_that_is_killed_comes_back_with_its_names(lab: Lab, what: str) -> None:
    """By itself, also where all of its Pod was killed, and its files with it."""
    lab.up(PODS, service("web", "web", NAMED))
    os.kill(_server(lab) if what == "server" else _first(lab), signal.SIGKILL)
    _until_answered(lab)
    question = ("10-9-8-7.default.pod.cluster.local",)
    assert dig(lab, *question) == ("NOERROR", ["A 10.9.8.7"])
    assert run_netlab("diff", lab.name, check=None).status == 0


def _until_answered(lab: Lab) -> None:
    deadline = time.monotonic() + 60
    question = ("dig", "+short", "+tries=1", "+time=1", "@10.96.0.10", f"web.default.{ZONE}")
    while lab.sh("client", *question, check=False).strip() != lab.address("web"):
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_a_lab_comes_down_with_its_server_hung(lab: Lab) -> None:
    lab.up(PODS, service("web", "web", NAMED))
    os.kill(_server(lab), signal.SIGSTOP)
    assert run_netlab("down", lab.name, check=None).status == 0


_STRANGER = """
import socket, time
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
while True:
    try:
        sock.bind(("", 53))
        break
    except OSError:
        time.sleep(0.001)
print("bound", flush=True)
time.sleep(600)
"""


def test_a_lab_comes_down_with_another_server_in_its_servers_place(lab: Lab) -> None:
    lab.up(PODS, service("web", "web", NAMED))
    with lab.start("kube-system-coredns", sys.executable, "-c", _STRANGER) as stranger:
        try:
            assert stranger.stdout is not None
            # Started again at once, the server may be quicker than the stranger; the time after it waits 10 seconds.
            while not select.select([stranger.stdout], [], [], 0.3)[0]:
                with contextlib.suppress(AssertionError, ProcessLookupError):
                    os.kill(_server(lab), signal.SIGKILL)
            assert stranger.stdout.readline() == "bound\n"
            down = run_netlab("down", lab.name, check=None)
            assert down.status == 0
            assert str(stranger.pid) in down.stdout + down.stderr, "it is named, and left alone"
        finally:
            stranger.kill()


def _first(lab: Lab) -> int:
    """The process that holds the server's Pod."""
    for pid in _plain("ip", "netns", "pids", f"{lab.name}-kube-system-coredns").split():
        with open(f"/proc/{pid}/comm", encoding="ascii") as stream:
            if stream.read().strip() == "netlab-pod":
                return int(pid)
    raise AssertionError("no sandbox")


def _server(lab: Lab) -> int:
    out = _plain("ip", "netns", "pids", f"{lab.name}-kube-system-coredns")
    for pid in out.split():
        with open(f"/proc/{pid}/comm", encoding="ascii") as stream:
            if stream.read().strip() == "knotd":
                return int(pid)
    raise AssertionError("no knotd runs")


def test_policies_and_configurations_of_pods_decide_their_resolv_conf(lab: Lab) -> None:
    none = pod("none", "node-1", {})
    none["spec"] |= {"dnsPolicy": "None", "dnsConfig": {"nameservers": ["192.0.2.1"], "searches": ["corp"]}}
    more = pod("more", "node-1", {})
    more["spec"] |= {
        "dnsConfig": {"searches": ["corp"], "options": [{"name": "ndots", "value": "1"}, {"name": "debug"}]}
    }
    plain = pod("plain", "node-1", {})
    plain["spec"] |= {"dnsPolicy": "Default"}
    lab.up({"client": ("node-1", {})}, service("web"), none, more, plain)

    def resolv(name: str) -> str:
        return lab.netlab("exec", name, "--", "cat", "/etc/resolv.conf").stdout

    assert resolv("none") == "search corp\nnameserver 192.0.2.1\n"
    assert resolv("more") == (
        f"search default.{ZONE} {ZONE} cluster.local corp\nnameserver 10.96.0.10\noptions ndots:1 debug\n"
    )
    assert "nameserver" not in resolv("plain")


def test_a_lab_that_wants_no_dns_has_none(lab: Lab) -> None:
    lab.up(PODS, service("web"), dns="off")
    assert "nameserver" not in lab.netlab("exec", "client", "--", "cat", "/etc/resolv.conf").stdout
    assert "coredns" not in lab.netlab("get", "pods", "-A").stdout
    assert sum(lab.connect("client", lab.address("web"), 80, 3).values()) == 3
