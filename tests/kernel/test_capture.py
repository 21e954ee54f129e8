"""``netlab capture`` with real packets; the files are read back by tshark, and never by what wrote them."""

from __future__ import annotations

import json
import os
import re
import select
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from netlab.output import document as document_of
from netlab.plain import schema
from tests.conftest import ROOT, RUN, command, run_netlab

pytestmark = pytest.mark.kernel


class Running:
    """A capture that has said that it captures.  ``end`` ends it and returns (status, stdout, what else it said)."""

    def __init__(self, lab: str, *words: str | Path, stdout: Any = subprocess.PIPE, env: Any = None) -> None:
        self.process = subprocess.Popen(
            [*command(), "capture", "--lab", lab, *map(str, words)],
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=subprocess.PIPE,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT), "NO_COLOR": "1", **(env or {})},
        )
        self.said = ""
        self.wait("capturing at")

    def wait(self, words: str) -> None:
        """Until it has said this."""
        assert self.process.stderr
        while words not in self.said:
            assert select.select([self.process.stderr], [], [], 20)[0], f"it did not say {words}: {self.said}"
            piece = os.read(self.process.stderr.fileno(), 4096)
            assert piece, f"it ended: {self.said}"
            self.said += piece.decode()

    def end(self, how: int = signal.SIGINT) -> tuple[int, str, str]:
        if how:
            self.process.send_signal(how)
        out, err = self.process.communicate(timeout=120)
        return self.process.returncode, (out or b"").decode(), err.decode()


def tshark(file: Path, *fields: str, only: str = "", options: tuple[str, ...] = ()) -> list[list[str]]:
    """The fields of each packet of a file."""
    if not shutil.which("tshark"):
        pytest.skip("tshark is not here: `./bootstrap.sh invoke test` installs it")
    argv = ["tshark", "-r", str(file), "-T", "fields", *options, *(["-Y", only] if only else [])]
    argv += [word for field in fields for word in ("-e", field)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and "cut short" not in done.stderr, done.stderr
    return [line.split("\t") for line in done.stdout.splitlines()]


@pytest.fixture(scope="module")
def shared(kit: Any) -> Iterator[str]:
    """A dual-stack overlay with a Service; nobody changes it."""
    name = f"t{RUN}w{os.environ.get('PYTEST_XDIST_WORKER', 'gw0').removeprefix('gw')}cap"
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "web"},
        "spec": {"selector": {"app": "server"}, "ports": [{"port": 80}], "ipFamilyPolicy": "PreferDualStack"},
    }
    hosted = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "hosted"},
        "spec": {"nodeName": "node-2", "hostNetwork": True, "containers": [{"name": "c", "image": "x"}]},
    }
    outside = [{"name": "internet", "address": "203.0.113.10"}]
    text = kit.spec(name, dns="off", ipFamilies=["IPv4", "IPv6"], external=outside)
    kit.up("\n---\n".join([text, json.dumps(service), json.dumps(hosted)]))
    try:
        yield name
    finally:
        kit.down(name)


def ping(lab: str, *words: str, where: str = "client") -> None:
    """Echoes with an identification of their own, all answered."""
    line = ["ip", "netns", "exec", f"{lab}-{where}", "ping", "-n", "-q", *words]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


HOPS = [
    "client/eth0",
    "node-1/veth-client",
    "node-1/cni0",
    "node-1/vxlan0",
    "node-1/eth0",
    "underlay/node-1",
    "underlay/node-2",
    "node-2/eth0",
    "node-2/vxlan0",
    "node-2/cni0",
    "node-2/veth-server",
    "server/eth0",
]


@pytest.fixture(scope="module")
def pinged(shared: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with 50 pings, and what was said at its end; every packet from the first on."""
    ping(shared, "-c", "1", "10.244.2.2")  # neighbours are known
    file = tmp_path_factory.mktemp("capture") / "f.pcapng"
    running = Running(shared, "-w", file, "--filter", "icmp")
    ping(shared, "-c", "50", "-i", "0.01", "10.244.2.2")
    status, _, said = running.end()
    assert status == 0
    assert f"{50 * 24} packets in {file}" in said and "lost" not in said and "out of order" not in said
    return file


def test_every_packet_is_seen_at_every_hop_in_true_order(pinged: Path) -> None:
    rows = tshark(pinged, "icmp.seq", "icmp.type", "frame.interface_name", "ip.ttl", "frame.time_epoch")
    assert [float(row[4]) for row in rows] == sorted(float(row[4]) for row in rows)
    for number in range(1, 51):
        mine = [row for row in rows if row[0].split(",")[-1] == str(number)]
        assert [row[2] for row in mine if row[1] == "8"] == HOPS
        assert [row[2] for row in mine if row[1] == "0"] == HOPS[::-1]
        assert [row[3].split(",")[-1] for row in mine if row[1] == "8"] == ["64"] * 3 + ["63"] * 6 + ["62"] * 3


def test_a_packet_has_one_id_on_all_hops_and_no_other_has_it(pinged: Path) -> None:
    seen: dict[str, set[tuple[str, str]]] = {}
    for kind, number, identity in tshark(pinged, "icmp.type", "icmp.seq", "frame.packet_id"):
        seen.setdefault(identity, set()).add((kind, number.split(",")[-1]))
    assert len(seen) == 100 and all(len(packets) == 1 for packets in seen.values())


def test_directions_and_names_are_in_the_file(pinged: Path, shared: str) -> None:
    rows = tshark(
        pinged, "frame.interface_name", "frame.packet_flags_direction", "ip.src_host", "ip.dst_host",
        "frame.interface_description", only="icmp.type == 8 && icmp.seq == 1", options=("-N", "n"),
    )  # fmt: skip
    inward, outward = "1", "2"
    said = {row[0]: (int(row[1], 16) if "x" in row[1] else int(row[1])) for row in rows}
    ways = [outward, inward, inward, outward, outward, inward, outward, inward, inward, outward, outward, inward]
    assert [str(said[hop]) for hop in HOPS] == ways
    assert {(row[2].split(",")[-1], row[3].split(",")[-1]) for row in rows} == {("client", "server")}
    outer = next(row for row in rows if row[0] == "underlay/node-1")
    assert (outer[2].split(",")[0], outer[3].split(",")[0]) == ("node-1", "node-2")
    assert {row[4] for row in rows if row[0] == "node-1/veth-client"} == {
        f"veth in {shared}-node-1, MTU 1450, pod-default-client"
    }


def test_interfaces_where_nothing_passed_are_in_the_file_too_with_what_they_saw(pinged: Path) -> None:
    done = subprocess.run(["capinfos", "-M", str(pinged)], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip("capinfos (of wireshark-common) is not here")
    found = dict(re.findall(r"Name = (\S+)(?:.|\n)*?Number of packets = (\d+)", done.stdout))
    assert found["node-1/cni0"] == found["server/eth0"] == "100"
    assert found["client/lo"] == found["internet/eth0"] == "0"
    assert set(HOPS) < set(found)


def test_the_service_and_ipv6_are_followed_through_nat_and_tunnel(shared: str, tmp_path: Path, kit: Any) -> None:
    got = run_netlab("get", "service", "web", "-o", "json", "--lab", shared).json
    for family, address in zip(("ip", "ipv6"), got["spec"]["clusterIPs"], strict=True):
        file = tmp_path / f"{family}.pcapng"
        running = Running(shared, "-w", file, "--filter", "tcp[tcpflags] & tcp-syn != 0" if family == "ip" else "tcp")
        host = f"[{address}]" if family == "ipv6" else address
        kit.sh(
            f"ip netns exec {shared}-client python3 -c 'import urllib.request as u; u.urlopen(\"http://{host}\", None, 5)'"
        )
        running.end()
        rows = tshark(
            file, "frame.packet_id", "frame.interface_name", f"{family}.dst_host",
            only="tcp.flags.syn == 1 && tcp.flags.ack == 0", options=("-N", "n"),
        )  # fmt: skip
        assert len({row[0] for row in rows}) == 1, rows
        assert [row[1] for row in rows] == HOPS
        named = [row[2].split(",")[-1] for row in rows]
        assert named[0] == "web.default.svc" and named[-1] == "server", named


def test_places_and_patterns(shared: str, tmp_path: Path) -> None:
    file = tmp_path / "f.pcapng"
    places = ("--at", "client", "--at", "node-1:c*", "--at", "node-1:eth0", "--at", "hosted:vx*", "--at", "internet")
    running = Running(shared, *places, "-w", file, "--filter", "icmp and host client and server")
    assert "capturing at 7 interfaces of 4 namespaces" in running.said
    ping(shared, "-c", "1", "10.244.2.2")
    running.end(signal.SIGTERM)
    assert [row[0] for row in tshark(file, "frame.interface_name")] == [
        *("client/eth0", "node-1/cni0", "node-1/eth0", "node-2/vxlan0"),
        *("node-2/vxlan0", "node-1/eth0", "node-1/cni0", "client/eth0"),
    ]


@pytest.mark.parametrize("word", ["server", "default/server", "pod/server", "app=server"])
def test_a_filter_takes_the_words_of_trace(shared: str, word: str) -> None:
    running = Running(shared, "--at", "node-2:eth0", "--filter", f"dst {word} or client", "-c", "2", "-o", "json")
    ping(shared, "-c", "1", "10.244.2.2")
    status, document, _ = running.end(0)
    assert (status, len(json.loads(document)["packets"])) == (0, 2)


def test_lines_and_json_say_the_same(shared: str) -> None:
    lines, document = Running(shared, "--filter", "icmp", "-c", "24"), Running(shared, "--filter", "icmp", "-o", "json")
    ping(shared, "-c", "1", "10.244.2.2")
    status, text, _ = lines.end(0)
    assert status == 0
    status, told, _ = document.end()
    assert status == 0
    said = json.loads(told)
    pytest.importorskip("jsonschema").validate(said, schema(document_of("capture"), ""))
    assert (said["count"], said["lost"], said["lab"]) == (24, {}, shared)
    assert [f"{one['place']}/{one['interface']}" for one in said["packets"]] == HOPS + HOPS[::-1]
    assert len({one["packet"] for one in said["packets"]}) == 2
    first = said["packets"][0]
    assert first["what"] == "echo request 10.244.1.2 > 10.244.2.2 56 bytes ttl 64"
    assert (first["direction"], first["length"], len(first["data"])) == ("out", 98, 196)
    assert (first["time_us"], first["packet"], first["headers"][0]["ttl"]) == (0, 1, 64)
    assert [one["vni"] for one in said["packets"][4]["headers"]] == [1, None]
    assert first["netns"] == f"{shared}-client"
    rows = [line.split(None, 4) for line in text.splitlines()[1:]]
    assert [row[1] for row in rows] == HOPS + HOPS[::-1], text
    assert [row[2] for row in rows] == ["#1"] * 12 + ["#2"] * 12
    assert [row[4] for row in rows] == [one["what"] for one in said["packets"]]
    assert rows[4][4] == "VXLAN 1 172.18.0.2 > 172.18.0.3 port 4789 ttl 64 [" + rows[3][4] + "]"
    assert [row[3] for row in rows[:12]] == [
        "out",
        "in",
        "in",
        "out",
        "out",
        "in",
        "out",
        "in",
        "in",
        "out",
        "out",
        "in",
    ]


def test_a_file_and_the_same_packets_with_their_layers(shared: str, tmp_path: Path) -> None:
    file = tmp_path / "f.pcapng"
    words = ("--at", "node-1:eth0", "--filter", "icmp", "-c", "2", "-w", file, "--print", "-v", "-o", "json")
    running = Running(shared, *words)
    ping(shared, "-c", "1", "10.244.2.2")
    status, told, _ = running.end(0)
    assert status == 0
    said = json.loads(told)
    pytest.importorskip("jsonschema").validate(said, schema(document_of("capture"), ""))
    names = [layer["name"] for layer in said["packets"][0]["layers"]]
    assert names == ["Ethernet", "IP", "UDP", "VXLAN", "Ethernet", "IP", "ICMP", "Raw"]
    assert said["packets"][0]["layers"][5]["fields"]["dst"] == "10.244.2.2"
    assert tshark(file, "frame.len") == [[str(packet["length"])] for packet in said["packets"]]


def test_a_live_pipe_shows_packets_at_once_and_its_reader_may_go(shared: str) -> None:
    running = Running(shared, "-w", "-", "--filter", "icmp", "--at", "client")
    assert running.process.stdout
    ping(shared, "-c", "1", "10.244.2.2")
    got, until = b"", time.monotonic() + 60
    while got.count(b"\x06\0\0\0") < 2 and time.monotonic() < until:
        if select.select([running.process.stdout], [], [], 0.1)[0]:
            got += os.read(running.process.stdout.fileno(), 65536)
    assert got.count(b"\x06\0\0\0") >= 2  # two packet blocks, with the capture still running
    assert running.process.poll() is None
    running.process.stdout.close()
    running.process.stdout = None
    assert running.end(0)[0] == 128 + signal.SIGPIPE  # although no packet came


def test_a_reader_that_sleeps_does_not_hold_it(shared: str) -> None:
    running = Running(shared, "-w", "-")
    ping(shared, "-c", "300", "-i", "0.002", "10.244.2.2")  # more than a pipe holds
    assert running.process.stdout
    running.process.send_signal(signal.SIGTERM)
    assert running.process.wait(120) == 128 + signal.SIGPIPE
    running.process.communicate()


def test_what_finds_no_room_is_counted_and_said(shared: str, tmp_path: Path, kit: Any) -> None:
    file = tmp_path / "f.pcapng"
    running = Running(shared, "-w", file, "--buffer", "1", "--at", "client:eth0", "--filter", "udp port 9")
    running.process.send_signal(signal.SIGSTOP)
    load = ROOT / "tests" / "bench" / "load.py"
    sent = int(kit.sh(f"python3 {load} 0 0.7 1400 {shared}-client:eth0").split()[0])
    running.process.send_signal(signal.SIGCONT)
    status, _, said = running.end()
    assert status == 0
    lost = int(re.search(r"lost: ([\d,]+) packets at client", said)[1].replace(",", ""))  # type: ignore[index]
    kept = len(tshark(file, "frame.number"))
    assert (kept > 0, lost > 0, kept + lost) == (True, True, sent), said
    assert re.search(rf"^{kept:,}".replace(",", "") + " packets in ", said, re.M)
    done = subprocess.run(
        ["tshark", "-r", str(file), "-q", "-z", "io,stat,0"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0
    assert f"{lost} frames of client, at any of its interfaces".encode() in file.read_bytes()


def test_files_are_the_sudo_users_and_never_somebody_elses_text(shared: str, lab_name: str, tmp_path: Path) -> None:
    file = tmp_path / "f.pcapng"
    sudo = {"SUDO_UID": "1234", "SUDO_GID": "2345"}
    run_netlab("up", "localhost", "--name", lab_name, env=sudo)
    try:
        status, _, said = Running(lab_name, "-w", file, "--duration", "0.1", env=sudo).end(0)
        assert (status, file.stat().st_uid, file.stat().st_gid) == (0, 1234, 2345), said
        status, _, said = Running(lab_name, "-w", file, "--duration", "0.1", env=sudo).end(0)
        assert status == 0
    finally:
        run_netlab("down", lab_name, env=sudo)
    notes = tmp_path / "notes.txt"
    notes.write_text("all my notes")
    refused = run_netlab("capture", "--lab", shared, "-w", notes, check=2)
    assert "is there and is no capture" in refused.stderr
    assert notes.read_text() == "all my notes"
    again = run_netlab("capture", "--lab", shared, "-w", file, "--duration", "0.1")
    assert re.search(rf"{file} of \d\d:\d\d \([\d,]+ bytes\) is overwritten", again.stderr)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--at", "clint"), 'no Pod, Service, node or external host is called .clint..*did you mean "client"'),
        (("--at", "client:eth1"), 'client has no interface "eth1" .*; it has eth0, lo'),
        (("--at", "client:"), "is no PLACE"),
        (("--filter", "tcp prot 80"), "can't parse filter expression: syntax error|syntax error"),
        (("--filter", "host srvr"), "--filter: no Pod, .* is called 'srvr' .did you mean .server"),
        (("-w", "/nowhere/f"), "/nowhere/f: No such file"),
        (("-w", "-", "-o", "json"), "both want standard output"),
        (("-w", "-", "--print"), "both want standard output"),
        (("--print",), "--print goes with -w FILE"),
    ],
)
def test_bad_input_is_one_sentence_and_status_2(shared: str, words: tuple[str, ...], says: str) -> None:
    done = run_netlab("capture", "--lab", shared, *words, check=2)
    assert re.search(says, done.stderr, re.S), done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize("file", ["-", "/dev/stdout"])
def test_no_pcapng_for_a_terminal(shared: str, file: str) -> None:
    if not shutil.which("script"):
        pytest.skip("script (of util-linux) is not here to give it a terminal")
    line = f"{' '.join(command())} capture --lab {shared} -w {file}"
    done = subprocess.run(["script", "-qec", line, "/dev/null"], capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 2 and "is a terminal" in done.stdout


def test_a_full_disk_ends_it_with_a_whole_file(shared: str, tmp_path: Path, kit: Any) -> None:
    small = tmp_path / "small"
    small.mkdir()
    kit.sh(f"mount -t tmpfs -o size=64k tmpfs {small}")
    try:
        running = Running(shared, "-w", small / "f.pcapng")
        ping(shared, "-c", "30", "-i", "0.002", "10.244.2.2")
        status, _, said = running.end(0)
        assert status == 4 and "No space left on device" in said
        assert len(tshark(small / "f.pcapng", "frame.number")) > 100
    finally:
        kit.sh(f"umount {small}")


def test_killed_it_leaves_a_file_that_can_be_read_and_nothing_else(kit: Any, lab: str, tmp_path: Path) -> None:
    kit.up(kit.spec(lab))
    file = tmp_path / "f.pcapng"
    running = Running(lab, "-w", file, "--filter", "icmp")
    ping(lab, "-c", "3", "-i", "0.05", "10.244.2.2")
    until = time.monotonic() + 60
    while len(tshark(file, "frame.number")) < 72 and time.monotonic() < until:
        time.sleep(0.05)
    assert running.end(signal.SIGKILL)[0] == -signal.SIGKILL
    assert len(tshark(file, "frame.number")) == 72
    kit.down(lab)
    assert not kit.remains(lab)


def test_the_lab_goes_down_under_it(kit: Any, lab: str, lab_name: str, tmp_path: Path) -> None:
    """And another lab with the same addresses stays: nothing of it is in the file."""
    other = f"{lab}b"
    kit.up(kit.spec(lab))
    kit.up(kit.spec(other), source="/somewhere/else.yaml")
    try:
        file = tmp_path / "f.pcapng"
        running = Running(lab, "-w", file, "--filter", "icmp")
        lines = Running(lab, "--filter", "icmp")
        theirs = Running(other, "--filter", "icmp")
        ping(other, "-c", "2", "-i", "0.01", "10.244.2.2")
        ping(lab, "-c", "1", "10.244.2.2")
        kit.down(lab)
        status, _, said = running.end(0)
        assert status == 0 and f"; lab {lab} went down" in said
        assert len(tshark(file, "frame.number")) == 24
        assert lines.end(0)[0] == 0
        assert not kit.remains(lab)
        status, text, _ = theirs.end()
        assert status == 0 and len(text.splitlines()) == 1 + 48
        # The kernel has freed the namespaces: the ends of their links that were elsewhere would still be there.
    finally:
        kit.down(other)


def test_pods_that_come_later_are_captured_and_named_as_they_are(kit: Any, lab: str, tmp_path: Path) -> None:
    kit.up(kit.spec(lab))
    file = tmp_path / "f.pcapng"
    running = Running(lab, "-w", file, "--filter", "icmp")
    some = Running(lab, "--at", "node-2:veth-l*", "--filter", "icmp")
    assert "at 0 interfaces of 1 namespace" in some.said
    for name in ("late", "later"):  # the second has the first one's address and interface index
        pod = tmp_path / f"{name}.yaml"
        container = {"name": "c", "image": "x"}
        spec = {"nodeName": "node-2", "containers": [container]}
        pod.write_text(json.dumps({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}))
        run_netlab("apply", "--lab", lab, "-f", pod)
        running.wait(f"capturing at {name} too")
        ping(lab, "-c", "1", "10.244.2.3")
        run_netlab("delete", "--lab", lab, "-f", pod)
    _, text, _ = some.end()
    assert running.end()[0] == 0
    assert [line.split()[1] for line in text.splitlines()[1:]] == [
        f"node-2/veth-{n}" for n in ("late", "late", "later", "later")
    ]
    seen = [row[0] for row in tshark(file, "frame.interface_name", only="icmp.type == 8")]
    for name in ("late", "later"):
        assert seen.count(f"{name}/eth0") == 1 == seen.count(f"node-2/veth-{name}"), " ".join(seen)


def test_the_first_packet_after_the_line_is_there(shared: str, tmp_path: Path) -> None:
    for turn, idle in enumerate((0, 0, 1.2)):  # also after a while in which nothing came
        file = tmp_path / f"{turn}.pcapng"
        running = Running(shared, "-w", file, "--filter", "icmp")
        time.sleep(idle)
        ping(shared, "-c", "1", "10.244.2.2")
        running.end()
        assert [row[0] for row in tshark(file, "frame.interface_name")] == HOPS + HOPS[::-1]
