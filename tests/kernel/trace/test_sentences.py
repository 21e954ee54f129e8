"""Each sentence of a trace is true: it names who listens elsewhere, whose time to live was lowered, what has no route."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import pytest

from tests.conftest import RUN, run_netlab
from tests.kernel.trace.conftest import Lab, only_from, pod, service

pytestmark = pytest.mark.kernel

# A process that holds a socket and never reads; "@" is replaced by the lab's prefix.
HOLD = "import socket, time\ns = socket.socket(socket.{family}, socket.{kind})\n{options}\ns.bind({bind})\n{more}\nprint('up', flush=True)\ntime.sleep(600)"
FULL = "s.listen(0)\ncallers = [socket.socket() for _ in range(3)]\nfor each in callers:\n    each.setblocking(False)\n    each.connect_ex(('127.0.0.1', 9000))\n    time.sleep(0.05)"


def holding(where: str, bind: str, *, family: str = "AF_INET", kind: str = "SOCK_STREAM", options: str = "",
            more: str = "") -> tuple[str, str]:  # fmt: skip
    listen = "s.listen(5)" if kind == "SOCK_STREAM" else ""
    return where, HOLD.format(family=family, kind=kind, options=options, bind=bind, more=more or listen)


@dataclass(frozen=True)
class Fault:
    """``kind`` at ``place`` must be found; ``said`` are parts of its sentence, ``never`` of no sentence."""

    name: str
    words: tuple[str, ...]
    kind: str
    place: str
    said: tuple[str, ...]
    never: tuple[str, ...] = ()
    make: str = ""
    undo: str = ""
    hold: tuple[tuple[str, str], ...] = ()
    plain: str = ""  # the kind without the source drops, if it is another
    code: int = 1

    def __str__(self) -> str:
        return self.name


N1, N2 = "ip netns exec @node-1", "ip netns exec @node-2"
UDP = {"kind": "SOCK_DGRAM"}
FAULTS = (
    Fault("ttl-lowered-behind-the-tunnel", ("client", "server"), "ttl", "node-2", ("lowered it from 63 to 1",), ("it left @client",),
          make=f"{N2} nft 'table ip low {{ chain c {{ type filter hook prerouting priority -150; iifname vxlan0 ip protocol tcp ip ttl set 1; }}; }}'",
          undo=f"{N2} nft delete table ip low"),
    Fault("ttl-of-the-reply-lowered", ("client", "server", "--icmp"), "ttl", "node-1", ("lowered it from 63 to 1",), ("it left @server",),
          make=f"{N1} nft 'table ip low {{ chain c {{ type filter hook prerouting priority -150; iifname vxlan0 ip ttl set 1; }}; }}'",
          undo=f"{N1} nft delete table ip low"),
    Fault("hop-limit-of-the-device", ("client", "server", "-6"), "ttl", "node-1", ("it left @client with 1",), ("conf.all.hop_limit",),
          make="ip netns exec @client sysctl -qw net.ipv6.conf.eth0.hop_limit=1"),
    Fault("outer-route-missing-there", ("client", "server"), "no-route", "node-2", ("VXLAN packet of vxlan0", "172.18.0.2"), ("no route to 10.244.1.2",),
          make="ip -n @node-2 route del 172.18.0.0/24; ip -n @node-2 route del default", plain="link-dropped"),
    Fault("listens-at-one-address", ("client", "server:9000"), "no-listener", "server", ("listens on that port at 127.0.0.1 alone",), ("no process listens",),
          hold=(holding("server", "('127.0.0.1', 9000)"),), plain="reset"),
    Fault("listens-on-another-device", ("near", "client:9000"), "no-listener", "client", ("on the device lo alone", "came by eth0"), ("no process listens",),
          hold=(holding("client", "('', 9000)", options="s.setsockopt(1, 25, b'lo')"),), plain="reset"),
    Fault("listens-in-ipv6-alone", ("client", "server:9000", "-4"), "no-listener", "server", ("at IPv6 alone (IPV6_V6ONLY)",), ("no process listens",),
          hold=(holding("server", "('::', 9000)", family="AF_INET6", options="s.setsockopt(41, 26, 1)"),), plain="reset"),
    Fault("listens-in-ipv4-alone", ("client", "server:9000", "-6"), "no-listener", "server", ("at IPv4 alone",), ("no process listens",),
          hold=(holding("server", "('', 9000)"),), plain="reset"),
    Fault("datagrams-at-another-address", ("client", "server:9000/UDP"), "no-listener", "server", ("at 127.0.0.1 alone",), ("no process listens",),
          hold=(holding("server", "('127.0.0.1', 9000)", **UDP),), plain="icmp"),
    Fault("nothing-on-the-port", ("client", "server:9000"), "no-listener", "server", ("no process listens on", "on TCP 80"), ("a rule rejects",), plain="reset"),
    Fault("a-stopped-process-accepts-nothing", ("client", "server:9000"), "process-stopped", "server", ("accepted the connection", "is stopped"),
          ("took the expected path",), make="kill -STOP $(ip netns pids @server | head -n 1)", hold=(holding("server", "('', 9000)"),)),
    Fault("a-stopped-process-answers-no-datagram", ("client", "server:9000/UDP"), "process-stopped", "server", ("is stopped",), ("another path",),
          make="kill -STOP $(ip netns pids @server | head -n 1)", hold=(holding("server", "('', 9000)", **UDP),)),
    Fault("a-process-reads-no-datagram", ("client", "server:9000/UDP"), "no-answer", "server", ("does not read",), ("another path",),
          hold=(holding("server", "('', 9000)", **UDP),)),
    Fault("the-accept-queue-is-full", ("client", "server:9000"), "queue-full", "server", ("limit 0", "does not accept"), ("counted",),
          hold=(holding("server", "('', 9000)", more=FULL),)),
    Fault("no-free-source-port", ("client", "server"), "no-source-port", "client", ("40000 to 40001",), ("no route",),
          make="ip netns exec @client sysctl -qw net.ipv4.ip_local_port_range='40000 40001'", undo="ip netns exec @client sysctl -qw net.ipv4.ip_local_port_range='32768 60999'",
          hold=tuple(holding("client", f"('', {port})") for port in (40000, 40001))),
    Fault("no-free-source-port-of-datagrams", ("client", "server:5353/UDP"), "no-source-port", "client", ("40000 to 40001",), ("no route",),
          make="ip netns exec @client sysctl -qw net.ipv4.ip_local_port_range='40000 40001'", undo="ip netns exec @client sysctl -qw net.ipv4.ip_local_port_range='32768 60999'",
          hold=tuple(holding("client", f"('', {port})", **UDP) for port in (40000, 40001))),
    Fault("the-nearest-rule-by-label", ("client", "guarded"), "policy", "node-2", ("default/only-near ingress[0]", "has app=client, not app=near"), plain="policy"),
    Fault("data-too-big-for-a-link-is-sent-again", ("client", "server", "--size", "4000"), "mtu", "node-2", ("MTU 1300",), ("took the expected path",),
          make="ip -n @node-2 link set cni0 mtu 1300", code=0),
    Fault("a-service-without-pods", ("client", "svc/empty:8080"), "service", "node-1", ("no Pod of namespace default has app=servr", "nearest is Pod default/server")),
)  # fmt: skip


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Iterator[Lab]:
    lab = Lab(f"t{RUN}{worker_id.replace('master', 'w')}says", tmp_path_factory.mktemp("says"))
    lab.up(
        pod("client", "node-1"), pod("near", "node-1"), pod("server", "node-2"), pod("guarded", "node-2"),
        service("empty", {"app": "servr"}), only_from("near", "guarded"), ipFamilies=["IPv4", "IPv6"],
    )  # fmt: skip
    yield lab
    run_netlab("down", lab.name, check=None)


def sh(lab: Lab, lines: str) -> None:
    subprocess.run(["sh", "-ec", lines.replace("@", f"{lab.name}-")], check=True, capture_output=True)


def hold(lab: Lab, stack: ExitStack, where: str, program: str) -> None:
    line = ["ip", "netns", "exec", f"{lab.name}-{where}", sys.executable, "-c", program]
    process = stack.enter_context(subprocess.Popen(line, stdout=subprocess.PIPE, text=True))
    stack.callback(process.kill)
    assert process.stdout is not None
    assert process.stdout.readline() == "up\n"


@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_the_sentence_names_the_cause(running: Lab, fault: Fault) -> None:
    lab = running
    with ExitStack() as stack:
        for where, program in fault.hold:
            hold(lab, stack, where, program)
        if fault.undo:
            stack.callback(sh, lab, fault.undo)
        if fault.make:
            sh(lab, fault.make)
        whole = traced(lab, *fault.words, code=fault.code)
        forget(lab)
        plain = traced(lab, *fault.words, "--without", "drops", code=fault.code)
        drops = any(source["name"] == "drops" and source["on"] for source in whole["sources"])
        for document, kind in (
            (whole, fault.kind if drops else fault.plain or fault.kind),
            (plain, fault.plain or fault.kind),
        ):
            found = [each for each in document["findings"] if each["kind"] == kind]
            assert [each["netns"] for each in found[:1]] == [f"{lab.name}-{fault.place}"], document["findings"]
            everything = " ".join(each["says"] for each in document["findings"])
            if kind == fault.kind or kind == "reset":
                for part in fault.said:
                    assert part.replace("@", f"{lab.name}-") in everything, (part, everything)
            for part in fault.never:
                assert part.replace("@", f"{lab.name}-") not in everything, (part, everything)
    run_netlab("up", str(lab.path))
    forget(lab)


def forget(lab: Lab) -> None:
    """What a packet left behind: the path MTU that an ICMP error told, neighbours that are being asked."""
    for where in ("client", "near", "server", "node-1", "node-2"):
        sh(lab, f"ip -n @{where} route flush cache; ip -n @{where} -6 route flush cache")
        sh(lab, f"ip -n @{where} neigh flush nud failed nud incomplete")


def traced(lab: Lab, *words: str, code: int) -> Any:
    return json.loads(lab.netlab("trace", *words, "-o", "json", check=code).stdout)
