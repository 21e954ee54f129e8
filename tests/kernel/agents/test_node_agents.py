"""``agent``: a daemon of the author's on each node, with the lab's API, until the lab ends."""

from __future__ import annotations

import json
import os
import signal
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from netlab.runtime.client import apiserver
from netlab.runtime.client.agentclient import recorded
from netlab.runtime.state.rundir import RunDir
from tests.conftest import ROOT, run_netlab

pytestmark = pytest.mark.kernel

ENGINE = ROOT / "tests" / "conformance" / "policyagent.py"
TELLS = """
import json, os, subprocess, time
config = json.load(open(os.environ["KUBECONFIG"]))
links = json.loads(subprocess.run(["ip", "-j", "link"], capture_output=True, text=True, check=True).stdout)
print(json.dumps({
    "node": os.environ["NODE_NAME"], "host": os.uname().nodename, "folder": os.getcwd(), "pid": os.getpid(),
    "links": [link["ifname"] for link in links], "names": os.listdir("/run/netns"), "argv": open("/proc/self/cmdline").read(),
}), flush=True)
while True:
    time.sleep(60)
"""
PODS = [("client", "node-1"), ("server", "node-2"), ("near", "node-2")]
ONLY_NEAR = {
    "apiVersion": "networking.k8s.io/v1",
    "kind": "NetworkPolicy",
    "metadata": {"name": "only-near"},
    "spec": {
        "podSelector": {"matchLabels": {"app": "server"}},
        "ingress": [{"from": [{"podSelector": {"matchLabels": {"app": "near"}}}]}],
    },
}


@pytest.fixture
def folder(tmp_path: Path, lab: str) -> Path:
    (tmp_path / f"{lab}.py").write_text(TELLS)
    return tmp_path


@pytest.fixture
def write(kit: Any, lab: str, folder: Path) -> Iterator[Callable[..., str]]:
    """Write the lab's file; its path.  The lab goes at the end, and nothing of it is left."""

    def made(*objects: Any, **spec: Any) -> str:
        document, *pods = kit.spec(lab, PODS, dataplane="host-gw").split("\n---\n")
        document = json.loads(document)
        document["spec"] |= spec
        texts = [json.dumps(document), *pods, *map(json.dumps, objects)]
        (folder / "lab.yaml").write_text("\n---\n".join(texts))
        return str(folder / "lab.yaml")

    yield made
    run_netlab("down", lab)
    assert not kit.remains(lab)
    assert not _running(f"{lab}.py") and not _running(f"policyagent.py\0{lab}")


def _running(word: str) -> list[int]:
    found = []
    for entry in filter(str.isdigit, os.listdir("/proc")):
        try:
            if word in Path(f"/proc/{entry}/cmdline").read_text():
                found.append(int(entry))
        except OSError:
            continue
    return found


def _until(true: Callable[[], Any]) -> Any:
    for _ in range(600):
        if result := true():
            return result
        time.sleep(0.1)
    raise AssertionError("a minute went by")


def _told(lab: str, node: str) -> dict[str, Any]:
    """What the daemon of a node printed."""
    text = _until(lambda: run_netlab("logs", node, "--lab", lab, check=None).stdout)
    return dict(json.loads(text.splitlines()[-1]))


def test_a_daemon_is_in_its_nodes_namespace_with_the_hosts_files(write: Any, lab: str, folder: Path) -> None:
    run_netlab("up", write(agent=["python3", f"{lab}.py"]), check=0)
    for node, pod in (("node-1", "client"), ("node-2", "server")):
        told = _told(lab, node)
        assert (told["node"], told["host"], told["folder"]) == (node, node, str(folder))
        assert f"veth-{pod}" in told["links"] and f"{lab}-{pod}" in told["names"]
    described = run_netlab("describe", "node", "node-1", "--lab", lab, check=0).stdout
    assert f"python3 {lab}.py (running, 0 restarts)" in described
    assert "no drift" in run_netlab("diff", lab, check=0).stdout


def test_a_pod_that_goes_leaves_no_namespace_behind_in_a_daemon(write: Any, lab: str) -> None:
    run_netlab("up", write(agent=["python3", f"{lab}.py"]), check=0)
    _told(lab, "node-2")
    inode = os.stat(f"/run/netns/{lab}-near").st_ino
    run_netlab("delete", "pod", "near", "--lab", lab, check=0)
    for pid in _running(f"{lab}.py"):
        assert f"net:[{inode}]" not in Path(f"/proc/{pid}/mountinfo").read_text()


def test_a_node_may_have_another_daemon_or_none(write: Any, lab: str) -> None:
    nodes = [{"name": "node-1", "agent": []}, {"name": "node-2", "agent": ["python3", f"{lab}.py", "two"]}]
    run_netlab("up", write(agent=["python3", f"{lab}.py"], nodes=nodes), check=0)
    assert _told(lab, "node-2")["argv"].split("\0")[2] == "two"
    assert "writes no log" in run_netlab("logs", "node-1", "--lab", lab, check=2).stderr
    run_netlab("up", write(agent=["python3", f"{lab}.py"]), check=0)
    assert _told(lab, "node-1")["node"] == "node-1"
    assert _until(lambda: _told(lab, "node-2")["argv"].split("\0")[2] == "")


def test_a_daemon_that_is_killed_starts_again_and_that_cannot_start_is_told(write: Any, lab: str) -> None:
    run_netlab("up", write(agent=["python3", f"{lab}.py"]), check=0)
    before = _told(lab, "node-1")["pid"]
    for pid in _running(f"{lab}.py"):
        os.kill(pid, signal.SIGKILL)
    assert _until(lambda: _told(lab, "node-1")["pid"] != before)
    file = write(agent=["/bin/false"])
    run_netlab("up", file, check=0)
    describe = ("describe", "node", "node-1", "--lab", lab)
    assert _until(lambda: "(CrashLoopBackOff, " in run_netlab(*describe, check=0).stdout)
    warned = run_netlab("up", file, check=0).stderr
    assert "the agent of node node-1 crashed: its command ended with exit status 1; netlab logs node-1" in warned


@pytest.mark.parametrize("whose", ["api", "agent"])
def test_whatever_is_killed_leaves_nothing_and_up_mends_it(write: Any, lab: str, whose: str) -> None:
    file = write(agent=["python3", f"{lab}.py"])
    run_netlab("up", file, check=0)
    before = _told(lab, "node-1")["pid"], _running(f"{lab}.py")
    rundir = RunDir(lab).path
    found = apiserver.recorded(rundir) if whose == "api" else recorded(rundir)
    assert found is not None
    os.kill(found.pid, signal.SIGKILL)
    if whose == "agent":
        _until(lambda: not _running(f"{lab}.py"))
    _until(lambda: (apiserver.recorded(rundir) if whose == "api" else recorded(rundir)) is None)
    run_netlab("up", file, check=0)
    # The kubeconfig is another one, so its daemons are new.
    assert _until(lambda: len(now := _running(f"{lab}.py")) == 2 and not set(now) & set(before[1]))


def test_labs_that_others_may_write_or_that_nobody_named_run_no_daemon(write: Any, lab: str, folder: Path) -> None:
    file = write(agent=["python3", f"{lab}.py"])
    script = folder / f"{lab}.py"
    script.chmod(stat.S_IMODE(script.stat().st_mode) | stat.S_IWOTH)
    refused = run_netlab("up", file, check=2).stderr
    assert "lab.yaml:1:" in refused and "spec.agent" in refused and f"{lab}.py can be changed by every user" in refused
    script.chmod(0o644)
    refused = run_netlab("up", "-f", "-", input=Path(file).read_text(), check=2).stderr
    assert "a Lab from standard input may not name programs" in refused
    (folder / "expect.yaml").write_text("flows: [{from: client, to: server, expect: allow}]\n")
    refused = run_netlab("test", str(folder), check=2).stderr
    assert "netlab test runs no programs that a Lab names" in refused
    run_netlab("plan", file, check=0)
    assert not _running(f"{lab}.py") and not RunDir(lab).exists()


def test_what_is_applied_to_a_lab_of_manifests_names_no_daemon(lab: str, folder: Path, kit: Any) -> None:
    pod = kit.spec(lab, [("client", "node-1")]).split("\n---\n")[1]
    (folder / "pods.yaml").write_text(pod)
    run_netlab("up", str(folder / "pods.yaml"), "--name", lab, check=0)
    try:
        document = {"apiVersion": "netlab/v1", "kind": "Lab", "metadata": {"name": lab}}
        text = json.dumps({**document, "spec": {"agent": ["python3", f"{lab}.py"]}})
        refused = run_netlab("apply", "-f", "-", "--lab", lab, input=text, check=2).stderr
        assert "Lab" in refused and not _running(f"{lab}.py")
    finally:
        run_netlab("down", lab)


def test_a_policy_engine_of_the_authors_enforces_what_the_prediction_says(write: Any, lab: str) -> None:
    run_netlab("up", write(ONLY_NEAR, agent=["python3", str(ENGINE), lab], policy={"enforce": "none"}), check=0)
    assert _until(lambda: run_netlab("check", lab, check=None).status == 0)
    reach = ("reach", lab, "--from", "client", "--to", "server", "-o", "json", "--timeout", "0.3")
    assert {flow["outcome"] for flow in json.loads(run_netlab(*reach, check=0).stdout)["flows"]} == {"denied"}
    traced = run_netlab("trace", "client", "server", "--lab", lab, check=1).stdout
    assert "policyagent" in traced, "the rule that dropped the packet is named"
    run_netlab("delete", "netpol", "only-near", "--lab", lab, check=0)
    assert _until(
        lambda: {flow["outcome"] for flow in json.loads(run_netlab(*reach, check=None).stdout)["flows"]} == {"open"}
    )
