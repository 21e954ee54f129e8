"""One lab on two machines: worlds of their own with a link between them, and each builds its share."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from netlab.planes import ROWS
from tests.conftest import ROOT, command
from tests.kernel.machines.conftest import in_pid_namespace, until
from tests.kernel_features import with_needs
from tests.tables import part

pytestmark = [pytest.mark.kernel, pytest.mark.xdist_group("machines")]

ADDRESSES = {"m1": "10.99.0.1", "m2": "10.99.0.2"}
_BEGIN = """
mount --make-rprivate /; mount -t tmpfs tmpfs /run; mkdir -p /run/netns /run/lock
mount -t tmpfs tmpfs /media; mkdir -p /media/etc/netns; cd /etc  # /etc/netns is that of labs that come and go
for each in *; do if [ $each != netns ]; then cp -a $each /media/etc/; fi; done; cd /; mount --bind /media/etc /etc
ip link set lo up; echo ready; exec sleep infinity
"""
# Real packets of the flows whose source is on this machine; a line for each that is not as predicted.
_PROBE = """
import sys
from netlab.observe.probe import Prober
from netlab.oracle.flow import Outcome
from netlab.oracle.flows import flows
from netlab.oracle.predict import Predictor
from netlab.runtime.state.rundir import RunDir
from netlab.runtime.state.running import load_cluster
cluster = load_cluster(sys.argv[1])
share = RunDir(sys.argv[1]).share()
at = share.place(cluster)
mine = [flow for flow in flows(cluster) if at[flow.src.netns] == share.here]
across = sum(at.get(flow.dst.netns, share.here) != share.here for flow in mine)
wanted = Predictor(cluster).answer(mine)
for verdict in Prober(cluster, timeout=(0.5, 1.0)).probe(mine):
    if (verdict.outcome is Outcome.OPEN) != (wanted[verdict.flow].outcome is Outcome.OPEN):
        print(verdict.flow, verdict.outcome, wanted[verdict.flow].outcome)
print("asked", len(mine), across)
"""


class Machine:
    """A world: network, mounts and processes of its own."""

    def __init__(self, name: str) -> None:
        self.name = name
        words = ["unshare", "-mnpuif", "--kill-child", "--mount-proc", "sh", "-ec", _BEGIN]
        self.outer = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
        assert self.outer.stdout is not None
        with self.outer.stdout:
            is_ready = self.outer.stdout.readline() == "ready\n"
        if not is_ready:
            self.end()
            raise AssertionError(f"machine {name} has not begun")
        children = Path(f"/proc/{self.outer.pid}/task/{self.outer.pid}/children").read_text()
        self.pid = int(children.split()[0])

    def run(self, *words: str | Path, check: int | None = 0) -> subprocess.CompletedProcess[str]:
        line = ["nsenter", "-t", str(self.pid), "-m", "-n", "-p", "-u", "-i", *map(str, words)]
        env = {**os.environ, "PYTHONPATH": str(ROOT), "NO_COLOR": "1", "PYTHONWARNINGS": "ignore"}
        done = subprocess.run(line, capture_output=True, text=True, check=False, env=env, cwd=ROOT, timeout=120)
        assert check is None or done.returncode == check, f"{self.name}: {words}\n{done.stdout}\n{done.stderr}"
        return done

    def netlab(self, *words: str | Path, check: int | None = 0) -> subprocess.CompletedProcess[str]:
        return self.run(*command(), *words, check=check)

    def end(self) -> None:
        self.outer.kill()
        self.outer.wait(30)


@pytest.fixture(scope="module")
def machines() -> Iterator[dict[str, Machine]]:
    made = {name: Machine(name) for name in ADDRESSES}
    link = ["ip", "link", "add", "eth0", "type", "veth", "peer", "name", "eth0", "netns", str(made["m2"].pid)]
    subprocess.run(["nsenter", "-t", str(made["m1"].pid), "-n", *link], check=True)  # a process's number as it is here
    for name, machine in made.items():
        machine.run("ip", "address", "add", f"{ADDRESSES[name]}/24", "dev", "eth0")
        machine.run("ip", "link", "set", "eth0", "addrgenmode", "none", "mtu", "1600", "up")
    yield made
    for machine in made.values():
        machine.end()


def given(folder: Path, lab: str, plane: str, **more: Any) -> tuple[Path, Path]:
    """The lab's file, and the file of shares: two nodes with two Pods each, a policy, a host outside."""
    family = "IPv4" if "IPv4" in ROWS[plane].families else "IPv6"
    outside = "203.0.113.9" if family == "IPv4" else "2001:db8::9"
    spec = {"dataplane": plane, "ipFamilies": [family], "nodes": [{"name": "node-1"}, {"name": "node-2"}],
            "external": [{"name": "internet", "addresses": [outside]}], **more}  # fmt: skip

    def pod(name: str, app: str, node: str) -> dict[str, Any]:
        containers = [{"name": "c", "image": "x", "ports": [{"containerPort": 80}]}]
        return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": app}},
                "spec": {"nodeName": node, "containers": containers}}  # fmt: skip

    policy = {"podSelector": {"matchLabels": {"app": "web"}}, "policyTypes": ["Ingress"],
              "ingress": [{"from": [{"podSelector": {"matchLabels": {"app": "a"}}}]}]}  # fmt: skip
    file = folder / f"{lab}.yaml"
    file.write_text("\n---\n".join(map(json.dumps, [
        {"apiVersion": "netlab/v1", "kind": "Lab", "metadata": {"name": lab}, "spec": spec},
        pod("web", "web", "node-1"), pod("a1", "a", "node-1"), pod("a2", "a", "node-2"), pod("b2", "b", "node-2"),
        {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": "a"}, "spec": policy},
    ])))  # fmt: skip
    shares = folder / f"{lab}-shares.yaml"
    where = {"m1": ["node-1"], "m2": ["node-2"]}
    shares.write_text(json.dumps({
        "machines": {name: {"address": ADDRESSES[name], "nodes": nodes} for name, nodes in where.items()}, "vni": 4711,
    }))  # fmt: skip
    return file, shares


def up(machines: dict[str, Machine], file: Path, shares: Path) -> None:
    for name, machine in machines.items():
        machine.netlab("up", file, "--share", shares, "--machine", name)


def down(machines: dict[str, Machine], lab: str) -> None:
    for machine in machines.values():
        machine.netlab("down", lab)


@pytest.mark.parametrize(
    "plane", part([with_needs(name, name) for name in sorted(ROWS)], lambda plane: ROWS[plane].bridge)
)
def test_packets_go_as_on_one_machine(machines: dict[str, Machine], tmp_path: Path, plane: str) -> None:
    file, shares = given(tmp_path, "wide", plane)
    try:
        up(machines, file, shares)
        for machine in machines.values():
            *wrong, asked = machine.run(sys.executable, "-c", _PROBE, "wide").stdout.splitlines()
            assert not wrong, f"{machine.name}: {wrong}"
            assert int(asked.split()[2]) > 0, "no flow crossed the cut"
            assert "no drift" in machine.netlab("diff", "wide").stdout
        assert "nothing to do" in machines["m2"].netlab("up", file).stdout
    finally:
        down(machines, "wide")


def test_a_machine_has_one_socket_more_and_nothing_else(machines: dict[str, Machine], tmp_path: Path) -> None:
    file, shares = given(tmp_path, "wide", "vxlan")
    machine = machines["m1"]
    looks = ("ip -d link show", "ip address", "ip route show table all", "ip rule", "nft list ruleset")
    before = [machine.run("sh", "-c", look, check=None).stdout for look in looks]
    up(machines, file, shares)
    try:
        assert [machine.run("sh", "-c", look, check=None).stdout for look in looks] == before
        sockets = machine.run("cat", "/proc/net/udp").stdout.splitlines()[1:]
        assert [line.split()[1].rpartition(":")[2] for line in sockets] == ["39C5"]  # 14789
        for words in (["trace", "a1", "web"], ["reach"], ["check"], ["capture", "--duration", "1"], ["graph", "wide"]):
            done = machine.netlab(*words, check=3)
            assert "is spread over machines" in done.stderr
            assert "m2 (10.99.0.2)" in done.stderr
        done = machine.netlab("exec", "a2", "--", "true", check=3)
        assert "a2 is on machine m2 (10.99.0.2)" in done.stderr
        machine.netlab("exec", "a1", "--", "true")
    finally:
        down(machines, "wide")
    assert machine.run("cat", "/proc/net/udp").stdout.splitlines()[1:] == []


def test_the_cut_is_mended_and_can_be_made_again_at_once(machines: dict[str, Machine], tmp_path: Path) -> None:
    """The kernel frees a namespace late: `down` and `up` at once was refused the VNI in three of ten."""
    file, shares = given(tmp_path, "wide", "vxlan")
    up(machines, file, shares)
    try:
        second = machines["m2"]
        second.run("ip", "-n", "wide-underlay", "link", "del", "stitch0")
        assert "stitch0" in second.netlab("diff", "wide", check=1).stdout
        second.netlab("up", file)
        assert "no drift" in second.netlab("diff", "wide").stdout
        for _ in range(5):
            down(machines, "wide")
            up(machines, file, shares)
    finally:
        down(machines, "wide")


def test_what_would_be_another_lab_is_refused_and_nothing_is_left(machines: dict[str, Machine], tmp_path: Path) -> None:
    file, shares = given(tmp_path, "wide", "vxlan", mtu=1580)
    machine = machines["m1"]
    done = machine.netlab("up", file, "--share", shares, "--machine", "m1", check=3)
    assert "takes 1600 bytes" in done.stderr
    assert "spec.mtu: 1550" in done.stderr
    assert machine.run("ls", "/run/netns").stdout == ""
    assert "no lab is running" in machine.netlab("get", "pods", check=2).stderr
    file, shares = given(tmp_path, "wide", "vxlan")
    assert "--machine" in machine.netlab("up", file, "--share", shares, "--machine", "m2", check=3).stderr
    machine.netlab("up", file)
    try:
        assert (
            "runs with another share"
            in machine.netlab("up", file, "--share", shares, "--machine", "m1", check=2).stderr
        )
    finally:
        machine.netlab("down", "wide")


def test_a_vni_that_another_lab_has_is_refused(machines: dict[str, Machine], tmp_path: Path) -> None:
    file, shares = given(tmp_path, "wide", "vxlan")
    other, same = given(tmp_path, "other", "vxlan")
    machine = machines["m1"]
    machine.netlab("up", file, "--share", shares, "--machine", "m1")
    try:
        done = machine.netlab("up", other, "--share", same, "--machine", "m1", check=4)
        assert "ip link add stitch0" in done.stderr
        assert "already exists" in done.stderr
        assert [line.split()[0] for line in machine.netlab("ls").stdout.splitlines()[1:]] == ["wide"]
    finally:
        machine.netlab("down", "wide")


def test_a_killed_machine_comes_back_with_up(tmp_path: Path) -> None:
    """SIGKILL of a machine's first process: all of its share is gone, and `up` builds it again."""
    file, shares = given(tmp_path, "wide", "vxlan")

    def begun() -> Machine:
        machine = Machine("m1")
        machine.run("ip", "link", "add", "eth0", "mtu", "1600", "type", "bridge")
        machine.run("ip", "address", "add", "10.99.0.1/24", "dev", "eth0")
        machine.run("ip", "link", "set", "eth0", "up")
        machine.netlab("up", file, "--share", shares, "--machine", "m1")
        return machine

    first = begun()
    namespace = os.readlink(f"/proc/{first.pid}/ns/pid")
    os.kill(first.pid, 9)
    first.end()
    until(lambda: not in_pid_namespace(namespace), "all processes of the machine gone")
    second = begun()
    assert "no drift" in second.netlab("diff", "wide").stdout
    second.end()
