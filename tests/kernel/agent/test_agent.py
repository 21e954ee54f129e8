from __future__ import annotations

import json
import os
import signal
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from netlab.errors import StateError
from netlab.runtime.agent import linux
from netlab.runtime.agent.responders import sctp
from netlab.runtime.client import agentclient
from netlab.runtime.client.spawn import spawn

if TYPE_CHECKING:
    from conftest import Lab

ROOT = Path(__file__).resolve().parents[3]
V4, V6 = "10.244.9.2", "fd00:9::2"


class inside:  # noqa: N801 - reads as a with statement should
    """Sockets made in the block belong to the client's namespace."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __enter__(self) -> None:
        self.home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        there = os.open(self.path, os.O_RDONLY)
        linux.setns(there, linux.CLONE_NEWNET)
        os.close(there)

    def __exit__(self, *_error: object) -> None:
        linux.setns(self.home, linux.CLONE_NEWNET)
        os.close(self.home)


def tcp(lab: Lab, address: str, send: bytes | None, port: int = 80) -> bytes:
    with inside(lab.path(lab.client)):
        sock = socket.create_connection((address, port), timeout=60)
    with sock:
        if send is not None:
            sock.sendall(send)
        data = b""
        while more := sock.recv(65536):
            data += more
    return data


def body(answer: bytes) -> dict[str, Any]:
    head, _, rest = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\nContent-Type: application/json")
    assert f"Content-Length: {len(rest)}".encode() in head
    return dict(json.loads(rest))


GET = b"GET / HTTP/1.1\r\nHost: server\r\n\r\n"


def test_tcp_answers_http_in_both_families(lab: Lab) -> None:
    with lab.connect() as agent:
        assert agent.listen([lab.endpoint((80, "TCP"))]) == []
    for address, client in ((V4, "10.244.9.1"), (V6, "fd00:9::1")):
        said = body(tcp(lab, address, GET))
        assert said.pop("client_port") > 0
        assert said == {
            "kind": "pod",
            "pod": "server",
            "namespace": "default",
            "node": "node-2",
            "address": address,
            "port": 80,
            "protocol": "TCP",
            "container": "main",
            "client": client,
        }


@pytest.mark.parametrize("family", ["IPv4", "IPv6"])
def test_one_family_only(lab: Lab, family: str) -> None:
    with lab.connect() as agent:
        assert agent.listen([lab.endpoint((80, "TCP"), (80, "UDP"), families=[family])]) == []
    good, bad = (V4, V6) if family == "IPv4" else (V6, V4)
    assert body(tcp(lab, good, GET))["address"] == good
    with pytest.raises(ConnectionRefusedError):
        tcp(lab, bad, GET)


def test_tcp_clients_of_every_manner(lab: Lab) -> None:
    with lab.connect() as agent:
        agent.listen([lab.endpoint((80, "TCP"))])
        head = tcp(lab, V4, b"HEAD / HTTP/1.1\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200")
        assert head.endswith(b"\r\n\r\n")
        began = time.monotonic()
        assert json.loads(tcp(lab, V4, None))["pod"] == "server", "a silent client gets the line"
        assert time.monotonic() - began > 0.15
        assert json.loads(tcp(lab, V4, b"hello\n"))["pod"] == "server", "one that speaks no HTTP too"
        assert json.loads(tcp(lab, V4, b"\x16\x03\x01"))["pod"] == "server"
        big = b"POST / HTTP/1.1\r\nContent-Length: 3000000\r\n\r\n" + b"x" * 3_000_000
        assert body(tcp(lab, V4, big))["pod"] == "server", "the answer is not lost in a reset"
        assert tcp(lab, V4, b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 4000).startswith(b"HTTP/1.1 431")
        with inside(lab.path(lab.client)):
            slow = socket.create_connection((V4, 80), timeout=60)
            for _ in range(50):
                socket.create_connection((V4, 80)).close()
        for byte in GET:
            slow.sendall(bytes([byte]))
            time.sleep(0.01)
        assert slow.recv(4096).startswith(b"HTTP/1.1 200")
        slow.close()
        assert agent.hello()["listeners"] == 1


def test_a_client_that_waits_for_a_cpu_is_not_taken_for_a_silent_one(lab: Lab) -> None:
    """Its request came later than a silent client's line, which is no HTTP (curl: HTTP/0.9)."""
    busy = [subprocess.Popen(["sh", "-c", "while :; do :; done"]) for _ in range(2 * (os.cpu_count() or 1))]
    try:
        with lab.connect() as agent:
            agent.listen([lab.endpoint((80, "TCP"))])
            with inside(lab.path(lab.client)), socket.create_connection((V4, 80), timeout=60) as late:
                time.sleep(0.4)
                late.sendall(GET)
                assert late.recv(4096).startswith(b"HTTP/1.1 200")
    finally:
        for process in busy:
            process.kill()
            process.wait()


def test_a_request_is_answered_when_its_body_is_here(lab: Lab) -> None:
    """What sends head and body apart must not be told 200 while the body is lost on the way."""
    chunked = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
    halves = [
        (b"POST / HTTP/1.1\r\nContent-Length: 10\r\n\r\n12345", b"67890"),
        (b"POST / HTTP/1.1\nContent-Length: 10\n\n", b"1234567890"),
        (chunked + b"7\r\n0\r\n\r\nxx\r\n", b"0\r\n\r\n"),
        (chunked + b"5;x=y\r\nab", b"cde\r\n0\r\nA: b\r\n\r\n"),
    ]
    with lab.connect() as agent:
        agent.listen([lab.endpoint((80, "TCP"))])
        for first, second in halves:
            with inside(lab.path(lab.client)):
                sock = socket.create_connection((V4, 80), timeout=60)
            with sock:
                sock.sendall(first)
                sock.settimeout(0.5)
                with pytest.raises(TimeoutError):
                    sock.recv(1)
                sock.settimeout(60)
                sock.sendall(second)
                assert sock.recv(4096).startswith(b"HTTP/1.1 200"), first
        with inside(lab.path(lab.client)):
            sock = socket.create_connection((V4, 80), timeout=60)
        with sock:
            sock.sendall(b"PUT / HTTP/1.1\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n")
            assert sock.recv(4096) == b"HTTP/1.1 100 Continue\r\n\r\n"
            sock.sendall(b"hi")
            assert sock.recv(4096).startswith(b"HTTP/1.1 200")


def test_udp_answers_from_the_address_it_was_sent_to(lab: Lab) -> None:
    subprocess.run(["ip", "-n", lab.server, "addr", "add", "10.244.9.77/24", "dev", "eth0"], check=True)
    with lab.connect() as agent:
        assert agent.listen([lab.endpoint((53, "UDP"))]) == []
    for address in (V4, V6, "10.244.9.77"):
        with inside(lab.path(lab.client)):
            sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
        with sock:
            sock.settimeout(60)
            sock.connect((address, 53))  # drops answers from anywhere else
            sock.send(b'ping "\xff' + b"x" * 100)
            said = json.loads(sock.recv(4096))
            assert (said["address"], said["protocol"], said["port"]) == (address, "UDP", 53)
            assert said["echo"] == 'ping "\ufffd' + "x" * 57
            assert said["client_port"] == sock.getsockname()[1]


@pytest.mark.parametrize("address", [V4, V6])
def test_sctp(lab: Lab, address: str) -> None:
    """A whole association by hand: INIT, cookie, one message each way, SHUTDOWN; and ABORT of a closed port."""
    with lab.connect() as agent:
        assert agent.listen([lab.endpoint((9, "SCTP"))]) == []
    with inside(lab.path(lab.client)):
        try:
            socket.socket(socket.AF_INET, socket.SOCK_SEQPACKET, sctp.PROTOCOL).close()
            pytest.skip("this kernel has SCTP, which would answer for us")
        except OSError:
            pass
        sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_RAW, sctp.PROTOCOL)
    sock.settimeout(60)

    def ask(port: int, tag: int, *chunks: bytes) -> tuple[int, list[tuple[int, int, bytes]]]:
        sock.sendto(sctp.packet(5000, port, tag, *chunks), (address, 0))
        while True:
            data = sock.recv(65536)
            data = data if ":" in address else data[20:]
            if struct.unpack_from(">HH", data) == (port, 5000):
                assert struct.unpack_from("<I", data, 8)[0] == sctp.crc32c(data[:8] + bytes(4) + data[12:])
                return struct.unpack_from(">I", data, 4)[0], sctp.chunks_of(data)

    with sock:
        init = sctp.chunk(sctp.INIT, struct.pack(">IIHHI", 77, 65536, 1, 1, 100))
        tag, chunks = ask(8, 0, init)
        assert (tag, chunks[0][0]) == (77, sctp.ABORT)
        tag, chunks = ask(9, 0, init)
        assert (tag, chunks[0][0]) == (77, sctp.INIT_ACK)
        (theirs,) = struct.unpack_from(">I", chunks[0][2])
        kind, length = struct.unpack_from(">HH", chunks[0][2], 16)
        assert kind == sctp.STATE_COOKIE
        cookie = chunks[0][2][20 : 16 + length]
        assert ask(9, theirs, sctp.chunk(sctp.COOKIE_ECHO, cookie))[1][0][0] == sctp.COOKIE_ACK
        data = sctp.chunk(sctp.DATA, struct.pack(">IHHI", 100, 0, 0, 0) + b"hello", flags=3)
        tag, chunks = ask(9, theirs, data)
        assert [chunk[0] for chunk in chunks] == [sctp.SACK, sctp.DATA]
        assert struct.unpack_from(">I", chunks[0][2])[0] == 100
        said = json.loads(chunks[1][2][12:])
        assert (said["pod"], said["address"], said["echo"], said["client_port"]) == ("server", address, "hello", 5000)
        acked = sctp.chunk(sctp.SACK, chunks[1][2][:4] + struct.pack(">IHH", 65536, 0, 0))
        heartbeat = sctp.chunk(sctp.HEARTBEAT, b"\0\1\0\x08abcd")
        assert ask(9, theirs, acked, heartbeat)[1] == [(sctp.HEARTBEAT_ACK, 0, b"\0\1\0\x08abcd")]
        shutdown = sctp.chunk(sctp.SHUTDOWN, struct.pack(">I", 0))
        assert ask(9, theirs, shutdown)[1][0][0] == sctp.SHUTDOWN_ACK
        sock.sendto(sctp.packet(5000, 9, theirs, sctp.chunk(sctp.SHUTDOWN_COMPLETE)), (address, 0))
        assert ask(9, theirs, data)[1][0][:2] == (sctp.ABORT, 1), "the association is gone"


def test_crc32c() -> None:
    assert sctp.crc32c(b"123456789") == 0xE3069283  # the polynomial's published check value


def test_listening_again_changes_nothing_and_clashes_are_told(lab: Lab) -> None:
    with lab.connect() as agent:
        assert agent.call("listen", endpoints=[lab.endpoint((80, "TCP"), (80, "UDP"))])["opened"] == 2
        assert agent.call("listen", endpoints=[lab.endpoint((80, "TCP"), (80, "UDP"))])["opened"] == 0
        (error,) = agent.listen([lab.endpoint((80, "TCP"), (81, "TCP"), pod="other")])
        assert (error["port"], error["error"]) == (80, "EADDRINUSE")
        assert "default/server/main" in error["says"]
        with inside(lab.path(lab.server)):
            foreign = socket.create_server(("0.0.0.0", 82))
        (error,) = agent.listen([lab.endpoint((82, "TCP"))])
        assert error["error"] == "EADDRINUSE"
        foreign.close()
        (error,) = agent.listen([lab.endpoint((83, "TCP"), netns="/run/netns/no-such")])
        assert error["error"] == "ENOENT"
        assert len(agent.listeners()) == 3
        assert agent.unlisten([(lab.path(lab.server), 81, "TCP")]) == 1
        assert agent.drop([lab.path(lab.server)]) == 2


def test_a_message_of_another_version_names_both(lab: Lab) -> None:
    with lab.connect() as agent:
        agent.sock.sendall(b'{"v": 9, "op": "hello"}\nrubbish\n[]\n{"v": 2, "op": "listen"}\n{"v": 2, "op": "what"}\n')
        with pytest.raises(StateError, match="speaks version 2, the message is of version 9"):
            agent.receive()
        for _ in range(4):
            with pytest.raises(StateError):
                agent.receive()
        assert agent.hello()["version"] == 2


def test_two_hundred_pods_fit_and_open_fast(lab: Lab) -> None:
    names = [f"{lab.name}-p{number}" for number in range(200)]
    try:
        subprocess.run(["ip", "-batch", "-"], input="".join(f"netns add {n}\n" for n in names), text=True, check=True)
        endpoints = [
            lab.endpoint((80, "TCP"), (53, "UDP"), (8080, "TCP"), netns=f"/run/netns/{n}", pod=n) for n in names
        ]
        with lab.connect() as agent:
            assert agent.listen(endpoints) == []
            hello = agent.hello()
        assert hello["listeners"] == 600
        assert hello["rss"] < 30 << 20, f"{hello['rss'] >> 20} MiB"
    finally:
        lines = "".join(f"netns del {n}\n" for n in names)
        subprocess.run(["ip", "-force", "-batch", "-"], input=lines, text=True, check=False, capture_output=True)


def test_it_is_found_without_run_state_and_leaves_no_pipe_open(lab: Lab, tmp_path: Path) -> None:
    other = f"{lab.name}-b"
    rundir = tmp_path / "b"
    rundir.mkdir()
    program = "import sys; from pathlib import Path; from netlab.runtime.client import spawn as a;"
    program += "print(a.spawn(Path(sys.argv[1]), sys.argv[2]).pid)"
    line = [sys.executable, "-c", program, str(rundir), other]
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(line, capture_output=True, text=True, check=True, timeout=120, env=env)
    try:
        pid = int(done.stdout)
        recorded = agentclient.recorded(rundir)
        assert recorded is not None
        assert recorded.pid == pid
        for name in (agentclient.PID_FILE, agentclient.SOCKET):
            (rundir / name).unlink()
        assert agentclient.find(other) == [pid]
        with lab.connect() as agent:  # this lab's sandbox is a fork of its agent, but no agent
            os.close(agent.sandbox(lab.path(lab.client)).pidfd)
        assert len(agentclient.find(lab.name)) == 1
    finally:
        assert agentclient.kill(other, rundir) == ()
    assert agentclient.find(other) == []
    assert agentclient.kill(other, rundir) == ()


def _mounts() -> list[str]:
    """This host's mounts, but those that other tests' labs make beside this one."""
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    return [line.split(" ", 4)[4] for line in lines if "/run/netns" not in line and "/etc/netns" not in line]


def test_kill_9_leaves_nothing(lab: Lab) -> None:
    mounts = set(_mounts())
    lab.exec("sh", "-c", "sleep 4141 & sleep 4141 >/dev/null 2>&1 &", stdout=subprocess.DEVNULL, capture_output=False)
    (pid,) = agentclient.find(lab.name)
    os.kill(pid, signal.SIGKILL)

    def left() -> list[object]:
        # A killed process has no command line any more while its children still end, and is there until they have.
        processes = subprocess.run(["pgrep", "-xf", "sleep 4141"], check=False, capture_output=True).stdout.split()
        return [
            *agentclient.find(lab.name),
            *processes,
            *mounts.symmetric_difference(_mounts()),
            agentclient.recorded(lab.rundir),
        ]

    deadline = time.monotonic() + 60
    while any(left()) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not any(left())
    spawn(lab.rundir, lab.name)
    with lab.connect() as agent:
        assert agent.hello()["sandboxes"] == 0
    assert lab.exec("true").returncode == 0


def test_dropping_a_pod_ends_it_and_a_new_one_of_its_name_is_noticed(lab: Lab) -> None:
    path = lab.path(lab.server)
    with lab.connect() as agent:
        agent.listen([lab.endpoint((80, "TCP"))])
        first = agent.sandbox(path)
        subprocess.run(["ip", "netns", "del", lab.server], check=True)
        subprocess.run(["ip", "netns", "add", lab.server], check=True)
        assert agent.call("listen", endpoints=[lab.endpoint((80, "TCP"))])["opened"] == 1
        second = agent.sandbox(path)
        for pidfd, alive in ((first.pidfd, False), (second.pidfd, True)):
            deadline = time.monotonic() + 60
            while _alive(pidfd) != alive and time.monotonic() < deadline:
                time.sleep(0.01)
            assert _alive(pidfd) is alive
            os.close(pidfd)
        agent.drop([path])
        assert agent.hello()["sandboxes"] == 0


def _alive(pidfd: int) -> bool:
    try:
        signal.pidfd_send_signal(pidfd, 0)
    except ProcessLookupError:
        return False
    return True


def test_in_a_user_namespace(tmp_path: Path) -> None:
    script = """
import os, subprocess, sys
from pathlib import Path
from netlab.runtime.client import agentclient
from netlab.runtime.client.spawn import spawn
from netlab.runtime.client.enter import EnterTarget, run
subprocess.run("mount -t tmpfs none /run && mkdir /run/lab && ip netns add pod", shell=True, check=True)
spawn(Path("/run/lab"), "rootless")
try:
    with agentclient.connect(Path("/run/lab"), "rootless") as agent:
        box = agent.sandbox("/run/netns/pod"); print(box.notes, file=sys.stderr)
    target = EnterTarget("rootless", Path("/run/lab"), "/run/netns/pod", "pod")
    print(run(target, ["sh", "-c", "hostname; touch /usr/x /tmp/y; echo x > /dev/null && ip link add br0 type bridge"]))
    print(run(target, ["sh", "-c", "echo 1 > /proc/sys/vm/drop_caches"]))
finally:
    agentclient.kill("rootless", Path("/run/lab"))
"""
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    line = ["unshare", "-Urnm", sys.executable, "-c", script]
    done = subprocess.run(line, capture_output=True, text=True, env=env, check=False, timeout=60)
    if "unshare: unshare failed" in done.stderr:
        pytest.skip("no user namespaces here")
    assert done.stdout.split() == ["pod", "0", "2"], done.stderr
    assert not Path("/usr/x").exists()
