"""A lab of the agent alone: two namespaces on a veth, an agent, nothing that a data plane makes."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from netlab.runtime.client import agentclient
from netlab.runtime.client.spawn import spawn

_TRY = "from netlab.runtime.agent import linux as l; l.unshare(l.CLONE_NEWNS | l.CLONE_NEWNET | l.CLONE_NEWPID)"
ROOT = Path(__file__).resolve().parents[3]


def sh(line: str) -> str:
    return subprocess.run(line, shell=True, check=True, capture_output=True, text=True).stdout


class Lab(NamedTuple):
    name: str
    rundir: Path
    client: str  # names in /run/netns
    server: str

    def path(self, netns: str) -> str:
        return f"/run/netns/{netns}"

    def endpoint(self, *ports: tuple[int, str], **fields: Any) -> dict[str, Any]:
        return {
            "netns": self.path(self.server),
            "kind": "pod",
            "pod": "server",
            "namespace": "default",
            "node": "node-2",
            "addresses": ["10.244.9.2", "fd00:9::2"],
            "families": ["IPv4", "IPv6"],
            "ports": [{"port": port, "protocol": protocol, "container": "main"} for port, protocol in ports],
        } | fields

    def connect(self) -> agentclient.AgentClient:
        return agentclient.connect(self.rundir, self.name)

    def exec(self, *argv: str, flags: str = "", **options: Any) -> subprocess.CompletedProcess[str]:
        """A command in the client Pod, by an interpreter of its own, as the command line does."""
        program = (
            "import sys; from pathlib import Path; from netlab.runtime.client.enter import EnterTarget, run;"
            "flags, lab, rundir, netns, *argv = sys.argv[1:];"
            "sys.exit(run(EnterTarget(lab, Path(rundir), netns, 'client'), argv, tty='t' in flags, stdin='i' in flags))"
        )
        line = [sys.executable, "-c", program, flags, self.name, str(self.rundir), self.path(self.client), *argv]
        options = {"capture_output": True, "text": True, "timeout": 60} | options
        return subprocess.run(line, check=False, env=os.environ | {"PYTHONPATH": str(ROOT)}, **options)


@pytest.fixture(scope="session", autouse=True)
def _privilege() -> None:
    tried = subprocess.run([sys.executable, "-c", _TRY], cwd=ROOT, capture_output=True, text=True, check=False)
    if tried.returncode != 0:
        pytest.skip("needs root or a user namespace: " + tried.stderr.strip().rpartition("\n")[2])


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    name = "ha-" + uuid.uuid4().hex[:6]
    made = Lab(name, tmp_path, f"{name}-client", f"{name}-server")
    etc = Path(f"/etc/netns/{made.client}")
    try:
        for netns in (made.client, made.server):
            sh(f"ip netns add {netns} && ip -n {netns} link set lo up")
        sh(f"ip link add eth0 netns {made.client} type veth peer eth0 netns {made.server}")
        for number, netns in enumerate((made.client, made.server), 1):
            sh(
                f"ip -n {netns} link set eth0 up && ip -n {netns} addr add 10.244.9.{number}/24 dev eth0"
                f" && ip -n {netns} addr add fd00:9::{number}/64 dev eth0 nodad"
            )
        etc.mkdir(parents=True)
        (etc / "hosts").write_text("127.0.0.1 localhost\n10.244.9.1 client\n")
        (etc / "resolv.conf").write_text("search default.svc.cluster.local\n")
        (etc / "hostname").write_text("client\n")
        spawn(tmp_path, name)
        yield made
    finally:
        agentclient.kill(name, tmp_path)
        for netns in (made.client, made.server):
            subprocess.run(["ip", "netns", "del", netns], check=False, capture_output=True)
        for file in etc.glob("*"):
            file.unlink()
        if etc.is_dir():
            etc.rmdir()
        try:
            etc.parent.rmdir()
        except OSError:
            pass
        assert agentclient.find(name) == []
