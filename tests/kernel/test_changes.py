"""A running lab is changed under the feet of open connections: what is not meant stays as it is."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.kernel

NODES = ("node-1", "node-2")
# netlab's responder answers and closes; this one holds what is open and echoes.
SERVER = """
import socket, threading
def echo(held):
    while data := held.recv(100):
        held.sendall(data)
listener = socket.create_server(("0.0.0.0", 9000), backlog=300)
print("listening", flush=True)
while True:
    threading.Thread(target=echo, args=listener.accept()[:1], daemon=True).start()
"""
HOLDER = """
import socket, sys
held = [socket.create_connection((sys.argv[1], 9000), timeout=60) for _ in range(100)]
print("open", flush=True)
sys.stdin.readline()
good = 0
for number, one in enumerate(held):
    try:
        one.sendall(b"%d" % number)
        good += one.recv(100) == b"%d" % number
    except OSError as error:
        print(error, file=sys.stderr)
print(good, flush=True)
"""


def spec(lab: str, dataplane: str, pods: int = 0) -> str:
    """Client and server, pinned, and a Deployment of as many Pods as are asked for."""
    documents: list[dict[str, Any]] = [
        {
            "apiVersion": "netlab/v1",
            "kind": "Lab",
            "metadata": {"name": lab},
            "spec": {"dataplane": dataplane, "nodes": [{"name": one} for one in NODES]},
        },
        pod("client", "node-1"),
        pod("server", "node-2"),
    ]
    if pods:
        documents.append(workload("Deployment", "web", replicas=pods))
    return "\n---\n".join(map(json.dumps, documents))


def pod(name: str, node: str = "", namespace: str = "default", **labels: str) -> dict[str, Any]:
    containers = [{"name": "main", "image": "x", "ports": [{"containerPort": 80}]}]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace, "labels": labels},
        "spec": {"containers": containers, **({"nodeName": node} if node else {})},
    }


def workload(kind: str, name: str, **spec: Any) -> dict[str, Any]:
    labels = {"app": name}
    template = {"metadata": {"labels": labels}, "spec": pod(name)["spec"]}
    body = {"selector": {"matchLabels": labels}, "template": template, **spec}
    return {"apiVersion": "apps/v1", "kind": kind, "metadata": {"name": name}, "spec": body}


def node(name: str, **labels: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": labels}}


class Running:
    """A lab by the command line, with a file of its own."""

    def __init__(self, netlab: Callable[..., Any], lab: str, folder: Path) -> None:
        self._netlab, self.lab, self.folder = netlab, lab, folder

    def __call__(self, *words: str, check: int = 0, **more: Any) -> Any:
        return self._netlab(*words, check=check, env={"NETLAB_LAB": self.lab}, **more)

    def up(self, text: str, *words: str) -> Any:
        file = self.folder / "lab.yaml"
        file.write_text(text)
        return self("up", str(file), *words, "-o", "json").json

    def apply(self, *documents: dict[str, Any], check: int = 0) -> Any:
        return self("apply", "-f", "-", check=check, input="\n---\n".join(map(json.dumps, documents)))

    def pods(self, *words: str) -> dict[str, dict[str, Any]]:
        items = self("get", "pods", "-A", "-o", "json", *words).json["items"]
        return {item["metadata"]["name"]: item for item in items}

    def where(self) -> dict[str, tuple[str, str]]:
        return {name: (one["spec"]["nodeName"], one["status"]["podIP"]) for name, one in self.pods().items()}


@pytest.fixture
def running(netlab: Callable[..., Any], lab: str, tmp_path: Path) -> Running:
    return Running(netlab, lab, tmp_path)


@pytest.fixture
def start() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts a Python text in a namespace and waits for its first line; ends it afterwards."""
    started: list[subprocess.Popen[str]] = []

    def run(netns: str, text: str, *words: str) -> subprocess.Popen[str]:
        argv = ["ip", "netns", "exec", netns, sys.executable, "-c", text, *words]
        pipe = subprocess.PIPE
        process = subprocess.Popen(argv, stdin=pipe, stdout=pipe, stderr=pipe, text=True)
        started.append(process)
        assert process.stdout
        assert process.stdout.readline()
        return process

    yield run
    for process in started:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("dataplane", ["vxlan", "calico-bgp", "kindnet", "weave"])
def test_connections_live_through_all_changes(running: Running, start: Any, dataplane: str) -> None:
    running.up(spec(running.lab, dataplane, pods=3))
    start(f"{running.lab}-server", SERVER)
    address = running.where()["server"][1]
    holders = [start(f"{running.lab}-{one}", HOLDER, address) for one in ("client", "node-1")]
    before = running.where()
    running.apply(
        node("node-3", disk="ssd"),
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}},
        pod("cart", "node-3", "shop"),
        workload("DaemonSet", "agent"),
    )
    running("label", "pod", "client", "tier=front")
    running("label", "node", "node-2", "disk=hdd")
    running.apply(pod("extra", "node-2", a="b"), pod("server", "node-2", app="changed"))
    running("delete", "namespace", "shop")
    running("delete", "pod", "extra")
    running("delete", "node", "node-3")
    after = running.where()
    assert {name: after[name] for name in before} == before, "what was there has moved"
    assert running("diff", running.lab).stdout.endswith("no drift\n")
    for one in holders:
        said, complaint = one.communicate("go\n", timeout=120)
        assert said == "100\n", complaint


def test_a_new_node_has_the_next_number_and_a_removed_one_hands_its_pods_on(running: Running) -> None:
    running.up(spec(running.lab, "vxlan", pods=4))
    running.apply(node("node-3"))
    nodes = {item["metadata"]["name"]: item for item in running("get", "nodes", "-o", "json").json["items"]}
    assert nodes["node-3"]["spec"]["podCIDR"] == "10.244.3.0/24"
    assert nodes["node-3"]["status"]["addresses"][0]["address"] == "172.18.0.4"
    said = running("delete", "node", "node-2", check=2)
    assert 'no node is called "node-2"' in said.stderr, "server is pinned to it"
    assert running("diff", running.lab).stdout.endswith("no drift\n"), "a refused change changes nothing"
    before = running.where()
    running("delete", "pod", "server")
    running("delete", "node", "node-2")
    after = running.where()
    assert {place for place, _ in after.values()} == {"node-1", "node-3"}
    assert {name: one for name, one in after.items() if before[name][0] != "node-2"}.items() <= before.items()
    flows = running("reach", running.lab, "-o", "json").json["flows"]
    assert flows and {flow["outcome"] for flow in flows} == {"open"}
    running("delete", "node", "node-3")
    assert "no node would be left" in running("delete", "node", "node-1", check=2).stderr
    assert running("diff", running.lab).stdout.endswith("no drift\n")
    # The file still has it: --reset, and only that, brings it back.
    assert running.up((running.folder / "lab.yaml").read_text())["nodes"] == 1
    assert running.up((running.folder / "lab.yaml").read_text(), "--reset")["nodes"] == 2


def test_a_file_applied_again_adds_and_takes_nothing_away(running: Running) -> None:
    running.up(spec(running.lab, "vxlan"))
    file = running.folder / "more.yaml"
    file.write_text(json.dumps(pod("one")) + "\n---\n" + json.dumps(pod("two")))
    running("apply", "-f", str(file))
    file.write_text(json.dumps(pod("two", tier="x")))
    assert running("apply", "-f", str(file)).stdout == "pod/two configured\n"
    assert {"one", "two"} <= running.pods().keys(), "as kubectl, apply prunes nothing"
    running("delete", "-f", str(file))
    assert "two" not in running.pods()


# -- labels -----------------------------------------------------------------------------------------------------------


def test_labels_are_set_as_kubectl_sets_them(running: Running) -> None:
    running.up(spec(running.lab, "vxlan"))
    assert running("label", "pod", "client", "tier=front").stdout == "pod/client labeled\n"
    said = running("label", "pod", "client", "tier=back", check=2).stderr
    assert "'tier' already has a value (front), and --overwrite is false" in said
    assert running("label", "pod", "client", "tier=front").stdout == "pod/client not labeled\n"
    assert running("label", "pod/client", "tier=back", "--overwrite").stdout == "pod/client labeled\n"
    assert running.pods()["client"]["metadata"]["labels"] == {"tier": "back"}
    assert running("label", "pod", "client", "tier-", "x-").stdout == 'label "x" not found.\npod/client unlabeled\n'
    running("label", "ns", "default", "team=a")
    running("label", "nodes", "--all", "rack=r1")
    assert running("get", "nodes", "-l", "rack=r1", "-o", "name").stdout == "node/node-1\nnode/node-2\n"
    assert running("get", "ns", "-l", "team=a", "-o", "name").stdout == "namespace/default\n"
    for words in (
        ("pod", "client"),
        ("pod", "nobody", "a=b"),
        ("pod", "client", "a b=c"),
        ("pod", "client", "a=1", "b"),
    ):
        running("label", *words, check=2)
    running("label", "service", "web", "a=b", check=2)


def test_a_label_sticks_to_one_pod_of_a_deployment(running: Running) -> None:
    text = spec(running.lab, "vxlan", pods=3)
    running.up(text)
    chosen, *others = [name for name in running.pods() if name.startswith("web-")]
    running("label", "pod", chosen, "app=quarantine", "--overwrite")
    running.up(text)
    running.apply(pod("extra"))
    found = {name: one["metadata"]["labels"] for name, one in running.pods().items()}
    assert found[chosen]["app"] == "quarantine" and found[chosen]["pod-template-hash"]
    assert all(found[name]["app"] == "web" for name in others)
    running.up(text, "--reset")
    assert running.pods()[chosen]["metadata"]["labels"] == found[others[0]]


def test_a_document_has_the_last_word_on_the_labels_that_it_names(running: Running) -> None:
    running.up(spec(running.lab, "vxlan"))
    running.apply(pod("extra", a="1"))
    running("label", "pod", "extra", "a=2", "b=2", "--overwrite")
    running.apply(pod("extra", a="3"))
    assert running.pods()["extra"]["metadata"]["labels"] == {"a": "3", "b": "2"}
    running("delete", "pod", "extra")
    running.apply(pod("extra"))
    assert running.pods()["extra"]["metadata"]["labels"] == {}, "another Pod of that name inherits nothing"
