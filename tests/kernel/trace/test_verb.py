"""The command as a learner meets it: what it says of a packet, its exit status, its files, and that it leaves nothing."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from netlab.evidence.records import DROPS, from_json
from tests.conftest import run_netlab
from tests.kernel.trace.conftest import WEB, Lab, Tables, only_from, pod, service

pytestmark = pytest.mark.kernel
ROOT = Path(__file__).resolve().parents[3]
NETLAB = [sys.executable, "-m", "netlab"]


@pytest.fixture
def shop(lab: Lab) -> Lab:
    """A Service behind a policy, somebody whom the policy keeps out, and a host outside."""
    lab.up(
        pod("client", "node-1"),
        pod("intruder", "node-2"),
        pod("web-1", "node-2", app="web"),
        service("web", WEB),
        only_from("client", "web"),
        dataplane="vxlan",
        external=[{"name": "internet", "address": "203.0.113.10"}],
    )
    return lab


def line_of(lab: Lab, text: str) -> int:
    return next(n for n, one in enumerate(lab.path.read_text().splitlines(), 1) if text in one)


def nft(lab: Lab, where: str, text: str) -> None:
    subprocess.run(["ip", "netns", "exec", f"{lab.name}-{where}", "nft", "-f", "-"], input=text, text=True, check=True)


def test_what_became_of_a_packet(shop: Lab, tmp_path: Path, trace_tables: Tables) -> None:
    said = shop.netlab("trace", "client", "svc/web").stdout
    for words in (
        "DNAT",
        "VXLAN 1 172.18.0.2 > 172.18.0.3",
        "+50 bytes",
        "TTL 64 -> 63",
        "default/only-client ingress[0]",
    ):
        assert words in said, said
    assert f"{shop.path}:" in said
    assert "answered after" in said

    denied = shop.netlab("trace", "intruder", "web-1", "-o", "json", "--timeout", "50", check=1)
    document = json.loads(denied.stdout)
    first = document["findings"][0]
    assert (document["outcome"], first["kind"], first["policy"]) == ("timeout", "policy", "default/only-client")
    assert (first["file"], first["netns"]) == (str(shop.path), f"{shop.name}-node-2")
    assert first["line"] == line_of(shop, "name: only-client"), first
    assert first["reason"] == "NETFILTER_DROP"
    assert document["elapsed_us"] < 25_000_000, "it should end at the drop, not at the time-out"

    outside = json.loads(shop.netlab("trace", "client", "internet", "--icmp", "-o", "json").stdout)
    there = [one for one in outside["events"] if one["netns"] == f"{shop.name}-internet" and one["way"] == "question"]
    assert there and there[0]["headers"][-1]["source"] == "172.18.0.2", "masqueraded as its node"

    # the same, held against the oracle
    assert "as predicted: open" in shop.netlab("trace", "client", "web:http", "--compare").stdout
    assert "as predicted: denied" in shop.netlab("trace", "intruder", "web-1", "--compare", check=1).stdout
    nft(
        shop,
        "node-2",
        'table inet stranger { chain f { type filter hook forward priority 5; ip daddr 10.244.2.0/24 drop comment "mine"; }; }\n',
    )
    broken = shop.netlab("trace", "client", "web-1", "--compare", check=4).stdout
    assert "not as predicted: the prediction is open" in broken
    assert "stranger" in broken or "mine" in broken, broken
    nft(shop, "node-2", "delete table inet stranger\n")

    # files
    record, pcap = tmp_path / "trace.json", tmp_path / "trace.pcapng"
    shop.netlab("trace", "client", "svc/web:dns", "--timeout", "20", "--record", str(record), "--pcap", str(pcap))
    kept = from_json(json.loads(record.read_text()))
    assert (kept.lab, kept.probe.protocol, kept.probe.outcome) == (shop.name, "UDP", "open")
    assert all(one.on for one in kept.sources)
    if shutil.which("tshark"):
        fields = ["-e", "frame.interface_name", "-e", "frame.packet_id", "-e", "ip.src"]
        read = subprocess.run(
            ["tshark", "-r", str(pcap), "-T", "fields", *fields], capture_output=True, text=True, check=True
        )
        rows = [line.split("\t") for line in read.stdout.splitlines()]
        names = {row[0] for row in rows}
        assert {"client/eth0", "node-1/vxlan0", "underlay/br0", "web-1/eth0"} - {"underlay/br0"} <= names, names
        first_id = rows[[row[0] for row in rows if row[2]].index("client/eth0")][1] if rows[0][2] else None
        if first_id:
            assert len({row[0] for row in rows if row[1] == first_id}) > 5, "one number over all its hops"

    # a trace changes nothing that a later verb would take for drift
    assert trace_tables(shop) == {}
    run_netlab("diff", shop.name)

    for words, says in (
        (("nobody", "web-1"), "nobody"),
        (("client", "web-1:nosuch"), "nosuch"),
        (("client", "web-1:80/SCTP"), "SCTP"),
        (("client", "web-1", "-6"), "IPv6"),
        (("client", "web-1", "--pcap", "/nowhere/x"), "/nowhere/x"),
    ):
        wrong = shop.netlab("trace", *words, check=2)
        assert says in wrong.stderr and not wrong.stdout, wrong


def test_every_source_may_be_missing(shop: Lab) -> None:
    """Without drops the rule says it, without rules the kernel; without both, silence is told as what it is."""
    for without, kinds in (
        ((), {"policy"}),
        (("drops",), {"policy"}),
        (("rules",), {"policy", "dropped", "rule"}),
        (("frames",), None),
        (("counters",), {"policy"}),
        (("drops", "rules"), None),
        (("drops", "rules", "frames", "counters"), None),
    ):
        words = [word for one in without for word in ("--without", one)]
        done = shop.netlab("trace", "intruder", "web-1", "-o", "json", "--timeout", "0.3", *words, check=1)
        document = json.loads(done.stdout)
        assert {one["name"] for one in document["sources"] if not one["on"]} == set(without)
        assert document["outcome"] == "timeout"
        if kinds is not None:
            assert document["findings"][0]["kind"] in kinds, (without, document["findings"])
    subprocess.run(["ip", "netns", "del", f"{shop.name}-intruder"], check=True)
    found = run_netlab("trace", "client", "web", "--lab", shop.name, check=0)
    assert f"(not in {shop.name}-intruder)" in found.stdout
    gone = run_netlab("exec", "intruder", "--lab", shop.name, "--", "true", check=4)
    assert gone.stderr.splitlines()[0] == f"netlab: the namespace {shop.name}-intruder is not there"


def test_in_a_large_lab_only_the_packets_way_is_looked_at(
    shop: Lab, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from netlab.cli import traced as traces
    from netlab.cli.verbs import trace as verb

    monkeypatch.setattr(traces, "_MANY", 0)

    def traced() -> tuple[int, dict[str, Any]]:
        words = ["--lab", shop.name, "client", "web-1", "-o", "json"]
        status = verb.command.main(args=words, prog_name="netlab", standalone_mode=False)
        return status, json.loads(capsys.readouterr().out)

    status, document = traced()
    assert (status, document["findings"]) == (0, [])
    assert f"{shop.name}-intruder" not in document["counters"]
    assert {f"{shop.name}-client", f"{shop.name}-node-1", f"{shop.name}-web-1"} <= set(document["counters"])

    subprocess.run(["ip", "-n", f"{shop.name}-node-1", "route", "del", "10.244.2.0/24"], check=True)
    subprocess.run(["ip", "-n", f"{shop.name}-intruder", "route", "del", "default"], check=True)
    status, document = traced()
    told = [one for one in document["findings"] if one["kind"] == "drift"]
    assert status == 1
    assert [one["netns"] for one in told] == [f"{shop.name}-node-1"], told
    assert "route 10.244.2.0/24" in told[0]["says"]


@pytest.fixture
def silent(lab: Lab) -> Lab:
    """A Pod that gets the question and has no way to answer."""
    lab.up(pod("client", "node-1"), pod("web-1", "node-2", app="web"), service("web", WEB), dataplane="vxlan")
    subprocess.run(["ip", "-n", f"{lab.name}-web-1", "route", "del", "default"], check=True)
    return lab


def start(lab: Lab, *words: str) -> subprocess.Popen[str]:
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    argv = [*NETLAB, "trace", "--lab", lab.name, "client", "web-1", "--timeout", "30", *words]
    return subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env, cwd=ROOT)


def until(what: Any, seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "it never came to that"
        time.sleep(0.02)


@pytest.fixture
def traces() -> Iterator[list[subprocess.Popen[str]]]:
    started: list[subprocess.Popen[str]] = []
    yield started
    for one in started:
        if one.poll() is None:
            one.kill()
        one.communicate()


def test_nothing_is_left_however_it_ends(
    silent: Lab, trace_tables: Tables, traces: list[subprocess.Popen[str]]
) -> None:
    # Without these nothing explains the silence, so a trace waits for all of its time.
    blind = ("--without", "drops", "--without", "counters")

    def running(*words: str) -> subprocess.Popen[str]:
        one = start(silent, *blind, *words)
        traces.append(one)
        until(lambda: len(trace_tables(silent)) == 2)
        return one

    interrupted = running()
    interrupted.send_signal(signal.SIGINT)
    out, err = interrupted.communicate(timeout=120)
    assert (interrupted.returncode, out) == (130, ""), err
    assert "interrupted" in err and "Traceback" not in err
    assert trace_tables(silent) == {}

    killed = running()
    killed.kill()
    killed.communicate()
    until(lambda: trace_tables(silent) == {})  # the kernel takes them: their owner's socket is gone

    # two at a time do not disturb each other, nor do diff and up take them for drift
    one, other = running(), start(silent, *blind)
    traces.append(other)
    until(lambda: sum(map(len, trace_tables(silent).values())) == 8)
    differs = run_netlab("diff", silent.name, check=1).stdout
    assert "nltrace" not in differs
    assert "default" in differs or "0.0.0.0/0" in differs, "the route that the test took away"
    one.send_signal(signal.SIGINT)
    one.communicate(timeout=120)

    # a lab that goes takes its traces along; drops are left out, since the agent that ends first is one
    run_netlab("down", silent.name)
    out, err = other.communicate(timeout=120)
    assert other.returncode == 4, (out, err)
    assert f"lab {silent.name} went down" in err


def test_in_a_user_namespace_all_but_the_drops(tmp_path: Path) -> None:
    if subprocess.run(["unshare", "-Urnm", "true"], check=False, capture_output=True).returncode:
        pytest.skip("this host makes no user namespaces")
    lab = Lab(f"u{os.getpid() % 100000}", tmp_path)
    head = {"apiVersion": "netlab/v1", "kind": "Lab", "metadata": {"name": lab.name}}
    head |= {"spec": {"nodes": [{"name": "node-1"}, {"name": "node-2"}], "dataplane": "vxlan"}}
    objects = (pod("client", "node-1"), pod("intruder", "node-2"), pod("web-1", "node-2", app="web"))
    import yaml

    lab.path.write_text(yaml.safe_dump_all([head, *objects, only_from("client", "web")]))
    netlab = f"env PYTHONPATH={ROOT} PYTHONDONTWRITEBYTECODE=1 {sys.executable} -m netlab"
    line = f"""set -e
mount -t tmpfs none /run
mkdir -p /run/netns
# An /etc of its own: whoever removes /etc/netns takes along what is mounted there in any other namespace.
cp -r /etc /run/.etc 2>/dev/null || true
rm -rf /run/.etc/netns
mount --bind /run/.etc /etc
{netlab} up {lab.path} >&2
{netlab} trace client web-1 >&2
{netlab} trace intruder web-1 --record {tmp_path}/record.json -o json || test $? = 1
{netlab} down {lab.name} >&2
"""
    done = subprocess.run(
        ["unshare", "-Urnm", "sh", "-c", line], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    document = json.loads(done.stdout)
    assert document["findings"][0]["policy"] == "default/only-client"
    off = {one["name"]: one["why"] for one in document["sources"] if not one["on"]}
    assert set(off) == {DROPS} and "root" in off[DROPS]
    assert from_json(json.loads((tmp_path / "record.json").read_text())).rules_seen
