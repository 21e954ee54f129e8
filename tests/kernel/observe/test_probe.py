"""The prober against real packets: each outcome, each protocol, who answered, and no false answers under load."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from netlab.observe.probe import Prober
from netlab.oracle import Endpoint, Flow, Outcome, Predictor, Verdict, flows
from netlab.oracle.endpoints import Endpoints

pytestmark = pytest.mark.kernel
Make = Callable[..., Any]


def one(bed: Any, source: str, target: str, *ports: str) -> dict[tuple[str, int, str], Verdict]:
    """(family, port, protocol) -> verdict of one source and target; only the ports named, if any are."""
    asked = [
        flow
        for flow in flows(bed.cluster, sources=[source], targets=[target], ports=ports)
        if not ports or f"{flow.port}/{flow.protocol}" in ports
    ]
    answers = Prober().answer(asked)
    return {("v6" if ":" in f.address else "v4", f.port, f.protocol): verdict for f, verdict in answers.items()}


def test_packets_agree_with_the_oracle_in_every_protocol_and_family(shared: Any) -> None:
    asked = list(flows(shared.cluster, ports=["79/TCP", "79/UDP", "79/SCTP"]))
    assert len(asked) == 4 * 4 * 2 * 6
    observed, predicted = Prober().answer(asked), Predictor(shared.cluster).answer(asked)
    assert list(observed) == asked
    for flow in asked:
        got, want = observed[flow], predicted[flow]
        assert got[1:4] == want[1:4], f"{got} is not {want}"


def test_nodes_ask_too_and_are_refused_on_their_own_ports(shared: Any) -> None:
    assert {v.outcome for v in one(shared, "node/node-1", "p2-2").values()} == {Outcome.OPEN}
    assert {v.outcome for v in one(shared, "p2-2", "node/node-1", "80/TCP", "80/UDP", "80/SCTP").values()} == {
        Outcome.REFUSED
    }


def test_no_route_is_unreachable_at_once(make_bed: Make) -> None:
    bed = make_bed(2, 1).serve()
    subprocess.run(["ip", "-n", bed.pod("p1-2").netns, "route", "del", "default"], check=True)
    verdict = one(bed, "p1-2", "p2-2")["v4", 80, "TCP"]
    assert verdict.outcome is Outcome.UNREACHABLE
    assert "unreachable" in verdict.because[0].message


@pytest.mark.parametrize("where", ["unreachable", "prohibit"])
def test_a_route_that_says_no_on_the_way_is_unreachable(where: str, make_bed: Make) -> None:
    """A Pod asks by one protocol: some kernels send a host one such message a second, over IPv4."""
    bed = make_bed(2, 3).serve()
    for family, cidr in (("-4", "10.244.2.0/24"), ("-6", "fd00:244:0:2::/64")):
        for action in (["del", cidr], ["add", where, cidr]):
            subprocess.run(["ip", family, "-n", f"{bed.name}-node-1", "route", *action], check=True)
    for pod, port in (("p1-2", "80/TCP"), ("p1-3", "53/UDP"), ("p1-4", "5000/SCTP")):
        answers = one(bed, pod, "p2-2", port)
        assert {key: str(v.outcome) for key, v in answers.items()} == dict.fromkeys(answers, "unreachable")
        assert len(answers) == 2


@pytest.mark.parametrize(
    ("statement", "outcome"),
    [
        ("drop", "timeout"),
        ("reject with icmpx type admin-prohibited", "unreachable"),
        ("reject with icmpx type host-unreachable", "unreachable"),
        ("reject with icmpx type no-route", "unreachable"),
        ("reject with icmpx type port-unreachable", "refused"),
    ],
)
@pytest.mark.parametrize("where", ["forward", "input", "output"])
def test_what_a_rule_does_shows(where: str, statement: str, outcome: str, make_bed: Make) -> None:
    bed = make_bed(2, 1).serve()
    netns = {"forward": f"{bed.name}-node-1", "input": bed.pod("p2-2").netns, "output": bed.pod("p1-2").netns}[where]
    # what a Pod says back, and neighbour discovery, pass: the rule judges new flows only
    bed.nft(netns, f"table inet t {{ chain c {{ type filter hook {where} priority 0;"
                   f" ip saddr 10.244.1.2 ip daddr 10.244.2.2 {statement};"
                   f" ip6 saddr fd00:244:0:1::2 ip6 daddr fd00:244:0:2::2 meta l4proto != icmpv6 {statement}; }} }}")  # fmt: skip
    answers = one(bed, "p1-2", "p2-2")
    assert {key: str(verdict.outcome) for key, verdict in answers.items()} == dict.fromkeys(answers, outcome)
    assert len(answers) == 6


def test_a_reset_by_a_rule_is_refused(make_bed: Make) -> None:
    bed = make_bed(2, 1).serve()
    bed.nft(bed.pod("p2-2").netns, "table inet t { chain c { type filter hook input priority 0;"
                                   " meta l4proto tcp reject with tcp reset; } }")  # fmt: skip
    assert one(bed, "p1-2", "p2-2")["v4", 80, "TCP"].outcome is Outcome.REFUSED


def test_one_rejected_port_does_not_colour_its_neighbours(make_bed: Make) -> None:
    """A raw socket gets the ICMP errors of all ports of its peer."""
    bed = make_bed(2, 1).serve()
    bed.nft(f"{bed.name}-node-1", "table inet t { chain c { type filter hook forward priority 0;"
                                  " sctp dport 4999 reject with icmpx type admin-prohibited; } }")  # fmt: skip
    answers = one(bed, "p1-2", "p2-2", "4999/SCTP", "5000/SCTP")
    assert {port: str(v.outcome) for (_, port, _), v in answers.items()} == {4999: "unreachable", 5000: "open"}


def test_a_black_hole_is_a_timeout_after_both_attempts(make_bed: Make) -> None:
    bed = make_bed(2, 1).serve()
    for family, cidr in (("-4", "10.244.2.0/24"), ("-6", "fd00:244:0:2::/64")):
        for action in (["del", cidr], ["add", "blackhole", cidr]):
            subprocess.run(["ip", family, "-n", f"{bed.name}-node-1", "route", *action], check=True)
    start = time.monotonic()
    assert {v.outcome for v in one(bed, "p1-2", "p2-2").values()} == {Outcome.TIMEOUT}
    assert time.monotonic() - start > 1.29


def test_what_is_lost_once_is_found_by_the_second_attempt(make_bed: Make) -> None:
    bed = make_bed(2, 1).serve()
    key = "meta nfproto . meta l4proto"
    bed.nft(
        bed.pod("p2-2").netns,
        f"""table inet t {{
            set seen {{ type nf_proto . inet_proto; size 9; flags dynamic; }}
            chain c {{
                type filter hook input priority 0;
                meta l4proto != {{ tcp, udp, sctp }} accept
                {key} @seen accept
                add @seen {{ {key} }} drop
            }}
        }}""",
    )
    answers = one(bed, "p1-2", "p2-2")
    assert len(answers) == 6
    assert {str(v.outcome) for v in answers.values()} == {"open"}


def test_an_answer_from_the_wrong_pod_is_open_and_says_who(make_bed: Make) -> None:
    bed = make_bed(1, 2).serve(liar={"p1-3": "impostor"})
    for verdict in one(bed, "p1-2", "p1-3").values():
        assert (verdict.outcome, verdict.server, verdict.wrong_server) == (Outcome.OPEN, "default/impostor", True)


@pytest.mark.parametrize(
    "says", [b"SSH-2.0-x\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", b"{}\n", b"[1]\n", b"", None]
)
def test_a_server_that_is_no_responder_is_open_and_nobody(says: bytes | None, make_bed: Make) -> None:
    bed = make_bed(1, 2)
    with stranger(bed.pod("p1-3").netns, says):
        verdict = one(bed, "p1-2", "10.244.1.3", "80/TCP")["v4", 80, "TCP"]
        assert verdict[1:4] == (Outcome.OPEN, None, None)


class stranger:  # noqa: N801 - used like a function
    """A server that reads a little, says something of its own (None: nothing, for ever) and closes."""

    def __init__(self, netns: str, says: bytes | None) -> None:
        program = (
            "import socket,sys,time\ns=socket.create_server(('',80));print('up',flush=True)\n"
            f"while 1:\n c,_=s.accept()\n c.recv(99)\n says={says!r}\n"
            " if says is None: time.sleep(60)\n c.sendall(says);c.close()"
        )
        argv = ["ip", "netns", "exec", netns, sys.executable, "-c", program]
        self._process = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)

    def __enter__(self) -> None:
        assert self._process.stdout
        assert self._process.stdout.readline() == "up\n"

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()


def test_a_responder_that_stops_for_a_while_gives_no_false_answers(make_bed: Make) -> None:
    """The kernel accepts connections for a stopped process: they are open, and who answers comes late."""
    bed = make_bed(1, 4).serve()
    bed.stop(signal.SIGSTOP)
    timer = threading.Timer(0.7, lambda: bed.stop(signal.SIGCONT))
    timer.start()
    asked = [flow for flow in flows(bed.cluster) if flow.protocol == "TCP"]
    answers = Prober().answer(asked)
    timer.join()
    assert all(v.outcome is Outcome.OPEN and v.server == f.dst.name for f, v in answers.items())


def test_a_missing_namespace_is_an_error_that_says_so() -> None:
    flow = Flow(Endpoint("pod", "default/a", "hp-nowhere", ("10.0.0.1",)), Endpoint("pod", "default/b"), "10.0.0.2", 80)
    verdict = Prober().answer([flow])[flow]
    assert verdict.outcome is Outcome.ERROR
    assert verdict.because[0].message == "cannot enter the network namespace 'hp-nowhere': No such file or directory"


def test_the_callers_namespace_and_limits_are_untouched(shared: Any) -> None:
    import resource

    before = (
        os.readlink("/proc/thread-self/ns/net"),
        resource.getrlimit(resource.RLIMIT_NOFILE),
        os.listdir("/proc/self/fd"),
    )
    Prober().answer(list(flows(shared.cluster)))
    after = (
        os.readlink("/proc/thread-self/ns/net"),
        resource.getrlimit(resource.RLIMIT_NOFILE),
        os.listdir("/proc/self/fd"),
    )
    assert before == after


def test_all_pairs_by_static_neighbours_without_one_learned_neighbour_too_many(
    make_bed: Make, ip_neighbours: Any
) -> None:
    bed = make_bed(1, 60, v6=False).serve()
    asked = [flow for flow in flows(bed.cluster) if flow.protocol == "TCP"]
    answers = Prober(bed.cluster, neighbours=ip_neighbours).answer(asked)
    assert Counter(v.outcome for v in answers.values()) == {Outcome.OPEN: 3600}
    assert all(v.server == f.dst.name and v.client in f.src.addresses for f, v in answers.items())
    assert (ip_neighbours.most, len(ip_neighbours.now)) == (60 * 59, 0)


def test_small_labs_keep_their_natural_arp(shared: Any, ip_neighbours: Any) -> None:
    Prober(shared.cluster, neighbours=ip_neighbours).answer(list(flows(shared.cluster, sources=["p1-2"])))
    assert ip_neighbours.most == 0


def test_closing_the_iterator_ends_the_run_and_removes_the_neighbours(make_bed: Make, ip_neighbours: Any) -> None:
    bed = make_bed(1, 20, v6=False).serve()
    verdicts = Prober(bed.cluster, neighbours=ip_neighbours).probe(
        flow for flow in flows(bed.cluster) for _ in range(20)
    )
    next(verdicts)
    verdicts.close()  # type: ignore[attr-defined]
    assert ip_neighbours.most == 20 * 19
    assert not ip_neighbours.now
    assert "netlab-probe" not in {thread.name for thread in threading.enumerate()}


def test_an_error_in_the_flows_reaches_the_caller_and_leaves_nothing(shared: Any) -> None:
    def broken() -> Iterator[Flow]:
        yield from list(flows(shared.cluster))[:5]
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        list(Prober().probe(broken()))


def test_few_open_files_slow_it_down_and_break_nothing(shared: Any) -> None:
    from netlab.observe.run import Run

    got: list[Verdict] = []
    asked = [flow for flow in flows(shared.cluster) if flow.protocol == "TCP"] * 20
    run = Run(asked, got.extend, timeout=(0.3, 1.0), neighbours=None, files=3)
    thread = threading.Thread(target=run.loop)
    thread.start()
    thread.join(30)
    assert Counter(v.outcome for v in got) == {Outcome.OPEN: len(asked)}


def test_no_false_answers_under_load(make_bed: Make, ip_neighbours: Any) -> None:
    bed = make_bed(4, 10, v6=False).serve()
    known = Endpoints(bed.cluster)
    asked = [flow for flow in flows(bed.cluster, ports=["81/TCP"]) if flow.protocol == "TCP"] * 3
    busy = subprocess.Popen([sys.executable, "-c", "while 1: pass"])  # a third process for two processors
    try:
        got = list(Prober(bed.cluster, neighbours=ip_neighbours).probe(asked))
    finally:
        busy.kill()
        busy.wait()
    assert len(got) == len(asked) == 40 * 40 * 2 * 3
    wrong = [
        v
        for v in got
        if (v.outcome, v.server) != (("open", v.flow.dst.name) if v.flow.port == 80 else ("refused", None))
    ]
    assert wrong == []
    assert known
