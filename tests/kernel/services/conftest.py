"""A lab with Services, and clients that make many connections from one of its namespaces."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import Result, run_netlab

# Runs inside a namespace: COUNT connections to ADDRESS:PORT, one after another; prints who answered and whom it saw.
_CLIENT = """
import collections, json, socket, sys
address, port, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
family = socket.AF_INET6 if ":" in address else socket.AF_INET
seen = collections.Counter()
for _ in range(count):
    try:
        with socket.create_connection((address, port), 2) as sock:
            sock.sendall(b"GET / HTTP/1.0\\r\\n\\r\\n")
            data = b""
            while more := sock.recv(65536):
                data += more
        said = json.loads(data.partition(b"\\r\\n\\r\\n")[2])
        seen[said["pod"] + " " + said["client"]] += 1
    except OSError as error:
        seen["error " + type(error).__name__] += 1
print(json.dumps(seen))
"""


class Lab:
    """``up`` builds it of Pods and further objects; the rest asks it."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name, self.folder, self.path = name, folder, folder / "lab.yaml"

    def up(self, pods: Mapping[str, tuple[str, Mapping[str, str]]], *objects: Mapping[str, Any], **lab: Any) -> None:
        """``pods``: name -> (node, labels); each serves 80/TCP (http), 53/UDP (dns) and 9/SCTP."""
        spec = {"nodes": [{"name": "node-1"}, {"name": "node-2"}], **lab}
        documents: list[Any] = [
            {"apiVersion": "netlab/v1", "kind": "Lab", "metadata": {"name": self.name}, "spec": spec}
        ]
        documents += [pod(name, node, labels) for name, (node, labels) in pods.items()]
        self.path.write_text(yaml.safe_dump_all([*documents, *objects]))
        run_netlab("up", str(self.path))

    def apply(self, *objects: Mapping[str, Any]) -> Result:
        path = self.folder / "change.yaml"
        path.write_text(yaml.safe_dump_all(objects))
        return run_netlab("apply", "--lab", self.name, "-f", str(path))

    def netlab(self, verb: str, *args: str, **options: Any) -> Result:
        return run_netlab(verb, "--lab", self.name, *args, **options)

    def sh(self, where: str, *argv: str, check: bool = True) -> str:
        line = ["ip", "netns", "exec", f"{self.name}-{where}", *argv]
        done = subprocess.run(line, capture_output=True, text=True, timeout=60, check=False)
        assert not check or done.returncode == 0, f"{argv}\n{done.stdout}{done.stderr}"
        return done.stdout

    def start(self, where: str, *argv: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            ["ip", "netns", "exec", f"{self.name}-{where}", *argv], stdout=subprocess.PIPE, text=True
        )

    def connect(self, where: str, address: str, port: int, count: int = 1) -> Counter[tuple[str, str]]:
        """Connections from a namespace, as (Pod that answered, client that it saw); ("error", name) where none did."""
        said = self.sh(where, sys.executable, "-c", _CLIENT, address, str(port), str(count))
        return Counter({tuple(key.split(" ")): number for key, number in json.loads(said).items()})  # type: ignore[misc]

    def connecting(self, where: str, address: str, port: int, count: int) -> subprocess.Popen[str]:
        return self.start(where, sys.executable, "-c", _CLIENT, address, str(port), str(count))

    def service(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.netlab("get", "service", name, "-o", "json").json
        return found

    def address(self, name: str) -> str:
        return str(self.service(name)["spec"]["clusterIP"])


def pod(name: str, node: str, labels: Mapping[str, str]) -> dict[str, Any]:
    ports = [
        {"containerPort": 80, "name": "http"},
        {"containerPort": 53, "name": "dns", "protocol": "UDP"},
        {"containerPort": 9, "name": "discard", "protocol": "SCTP"},
    ]
    metadata = {"name": name, "labels": dict(labels)}
    spec = {"nodeName": node, "containers": [{"name": "main", "image": "x", "ports": ports}]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def service(name: str, app: str = "web", *ports: Mapping[str, Any], **spec: Any) -> dict[str, Any]:
    selector = {"selector": {"app": app}} if app else {}
    body = {**selector, "ports": list(ports) or [{"port": 80}], **spec}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": body}


@pytest.fixture
def lab(lab_name: str, tmp_path: Path) -> Iterator[Lab]:
    made = Lab(lab_name, tmp_path)
    try:
        yield made
    finally:
        run_netlab("down", lab_name, check=None)
