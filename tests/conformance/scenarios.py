"""The `scenarios` corpus: what a table of flows cannot say (probes, ping, connections that are up), step by step.

Each runs in a lab of its own, changed live.  What must be denied is believed only if a deny rule counted it meanwhile.
"""

from __future__ import annotations

import json
import socket
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

import yaml

from netlab.kernel.host import netns as ns
from netlab.kernel.nftables import counters
from netlab.model import Cluster
from netlab.plan.policytext import TABLE
from netlab.runtime import lab as labs
from netlab.runtime.state import running
from netlab.runtime.state.rundir import Applied

#: What a scenario expects of an implementation that the specification leaves open, and how a lab says that it wants it.
CHOICES = {"knp-established-connections": {"established": "drop"}}
Step = dict[str, Any]


def load(path: Path) -> dict[str, Any]:
    """A scenario as its file has it."""
    data = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert data["schema"] == "netpol-scenario/1", path
    return dict(data)


def run(path: Path, plane: str, name: str) -> list[str]:
    """What is not as the scenario expects."""
    scenario = load(path)
    stage = Stage(scenario, plane, name)
    try:
        return [wrong for step in scenario["steps"] if (wrong := stage.play(step))]
    finally:
        stage.close()


class Stage:
    """A running lab in which the steps are played."""

    def __init__(self, scenario: dict[str, Any], plane: str, name: str) -> None:
        self._name = name
        outside = {
            step["expect"]["to"] for step in scenario["steps"] if _is_address(step.get("expect", {}).get("to", ""))
        }
        spec = {
            "dataplane": plane,
            "ipFamilies": ["IPv4", "IPv6"],
            "nodes": [{"name": "node-1"}, {"name": "node-2"}],
            "external": [{"name": f"outside-{number}", "address": one} for number, one in enumerate(sorted(outside))],
            "policy": CHOICES.get(scenario["name"], {}),
        }
        objects: list[Step] = [{"apiVersion": "netlab/v1", "kind": "Lab", "metadata": {"name": name}, "spec": spec}]
        objects += [
            {"apiVersion": "v1", "kind": "Namespace", "metadata": one} for one in scenario.get("namespaces", ())
        ]
        text = "\n---\n".join(map(json.dumps, objects))
        labs.up(Applied(f"/conformance/{name}", name, (("lab.json", text),)), wait=False)
        self._pods = 0
        self._spaces = {"default", *(one["name"] for one in scenario.get("namespaces", ()))}
        self._connections: dict[str, tuple[socket.socket, socket.socket]] = {}

    def close(self) -> None:
        """Take the lab down."""
        for pair in self._connections.values():
            for one in pair:
                one.close()
        labs.down(self._name)

    def play(self, step: Step) -> str:
        """Do one step; what is not as it expects, or ""."""
        if "do" in step:
            ((verb, what),) = step["do"].items()
            {
                "createPod": self._create_pod,
                "applyPolicy": self._apply_policy,
                "deletePolicy": self._delete_policy,
                "openConnection": self._open_connection,
            }[verb](what)
            return ""
        expect = step["expect"]
        before = self._denied()
        allowed = getattr(self, f"_is_{expect['kind']}")(expect)
        if allowed == expect["allow"]:
            unseen = not allowed and self._denied() == before
            return f"{expect}: silence, and no deny rule counted it" if unseen else ""
        return f"{expect}: was {'allowed' if allowed else 'denied'}"

    # -- what is done -------------------------------------------------------------------------------------------------

    def _create_pod(self, what: Step) -> None:
        self._pods += 1
        number = f"node-{1 + self._pods % 2}"
        if "node" in what:
            assert what["node"].startswith("the node of "), what
            number = self._pod(what["node"].removeprefix("the node of ")).node
        # An echo server is ours to open: netlab's responder would have the port.
        ports = [
            {
                "containerPort": one["port"],
                "protocol": one["protocol"],
                **({"name": one["name"]} if "name" in one else {}),
            }
            for one in what.get("ports", ())
            if "serves" not in what
        ]
        spec = {"nodeName": number, "containers": [{"name": "c", "image": "x", "ports": ports}]}
        if what.get("hostNetwork"):
            spec["hostNetwork"] = True
        metadata = {"name": what["name"], "namespace": what["namespace"], "labels": what.get("labels", {})}
        self._apply({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})

    def _apply_policy(self, what: Step) -> None:
        self._apply(what)

    def _delete_policy(self, what: str) -> None:
        labs.change(self._name, delete=[f"networking.k8s.io/NetworkPolicy/{what}"])

    def _open_connection(self, what: Step) -> None:
        assert what["protocol"] == "TCP", what
        listener = ns.call(self._pod(what["to"]).netns, lambda: socket.create_server(("0.0.0.0", what["port"])))
        to = (str(self._pod(what["to"]).addresses[0].ip), what["port"])
        client = ns.call(self._pod(what["from"]).netns, lambda: socket.create_connection(to, 2))
        server, _ = listener.accept()
        listener.close()
        self._connections[what["id"]] = client, server
        threading.Thread(target=_echo, args=(server,), daemon=True).start()

    def _apply(self, what: Step) -> None:
        metadata = what["metadata"]
        name = f"{what['kind']}-{metadata['namespace']}-{metadata['name']}.json"
        added = [(name, json.dumps(what))]
        if metadata["namespace"] not in self._spaces:  # a scenario need not make the namespaces that it uses
            self._spaces.add(metadata["namespace"])
            space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": metadata["namespace"]}}
            added.append((f"Namespace-{metadata['namespace']}.json", json.dumps(space)))
        labs.change(self._name, add=added)

    # -- what is expected ---------------------------------------------------------------------------------------------

    def _is_echo(self, expect: Step) -> bool:
        """``within``: it may take so long until the connection is cut."""
        client, _ = self._connections[expect["connection"]]
        client.settimeout(30 if expect["allow"] else 0.3)
        until = time.monotonic() + expect.get("within", 0)
        while True:
            try:
                client.sendall(b"x")
                talks = client.recv(1) == b"x"
            except OSError:
                talks = False
            if talks == expect["allow"] or time.monotonic() > until:
                return talks

    def _is_connect(self, expect: Step) -> bool:
        if expect["from"] == "the pod's own node":
            source = self._cluster.node(self._pod(expect["to"]).node).netns
        else:
            source = self._pod(expect["from"]).netns
        if expect["to"] == "the node's address":
            address = str(self._cluster.node(self._pod(expect["from"]).node).addresses[0].ip)
        else:
            address = str(self._pod(expect["to"]).addresses[0].ip)
        patience = 30 if expect["allow"] else 1
        try:
            ns.call(source, lambda: socket.create_connection((address, expect["port"]), patience).close())
        except OSError:
            return False
        return True

    def _is_ping(self, expect: Step) -> bool:
        return self._ping(expect, 4)

    def _is_ping6(self, expect: Step) -> bool:
        return self._ping(expect, 6)

    def _ping(self, expect: Step, version: int) -> bool:
        target = expect["to"]
        if not _is_address(target):
            target = next(str(one.ip) for one in self._pod(target).addresses if one.version == version)
        argv = [
            "ip",
            "netns",
            "exec",
            self._pod(expect["from"]).netns,
            "ping",
            "-n",
            "-q",
            "-c",
            "2",
            "-i",
            "0.2",
            "-W",
            "1",
            target,
        ]
        return subprocess.run(argv, capture_output=True, check=False).returncode == 0

    # -- the lab ------------------------------------------------------------------------------------------------------

    @property
    def _cluster(self) -> Cluster:
        return running.load_cluster(self._name)

    def _pod(self, name: str) -> Any:
        return next(pod for pod in self._cluster.pods if str(pod) == name)

    def _denied(self) -> int:
        """Packets that all deny rules have counted."""
        found = counters.of_namespaces(TABLE, [node.netns for node in self._cluster.nodes])
        return sum(n for each in found.values() for says, n in each.items() if says.startswith("netpol:deny "))


def _echo(server: socket.socket) -> None:
    while True:
        try:
            data = server.recv(100)
            if not data:
                return
            server.sendall(data)
        except OSError:
            return


def _is_address(text: str) -> bool:
    return text.count(".") == 3 and text.replace(".", "").isdigit()
