"""Each document that a verb prints with ``-o json``, of a real lab, against the schema that ``netlab schema`` prints."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from netlab.output import DOCUMENTS

jsonschema = pytest.importorskip("jsonschema")
pytestmark = pytest.mark.kernel

LAB = """
apiVersion: netlab/v1
kind: Lab
metadata: {name: NAME}
---
apiVersion: v1
kind: Pod
metadata: {name: client, labels: {app: client}}
spec: {containers: [{name: a, image: x}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: a, image: x, ports: [{containerPort: 80}]}]}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80}]}
---
apiVersion: v1
kind: Pod
metadata: {name: closed, labels: {app: closed}}
spec: {containers: [{name: a, image: x, ports: [{containerPort: 80}]}]}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: closed}
spec: {podSelector: {matchLabels: {app: closed}}, ingress: [{from: [{podSelector: {matchLabels: {app: web}}}]}]}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: not-modelled}
"""
MORE = "apiVersion: v1\nkind: Pod\nmetadata: {name: more}\nspec: {containers: [{name: a, image: x}]}\n"


@pytest.mark.xdist_group("netlab-test")
def test_the_output_of_each_verb_is_as_its_schema_states(
    lab: str, tmp_path: Path, kit: Any, netlab: Callable[..., Any]
) -> None:
    folder = tmp_path / "lab"
    folder.mkdir()
    file, more = folder / "lab.yaml", tmp_path / "more.yaml"
    file.write_text(LAB.replace("NAME", lab), encoding="utf-8")
    more.write_text(MORE, encoding="utf-8")
    checked = set()

    def valid(title: str, *words: str, check: int | None = 0) -> Any:
        data = json.loads(netlab(*words, "-o", "json", check=check, env={"NETLAB_LAB": lab}).stdout)
        schema = json.loads(netlab("schema", *title.split()).stdout)
        assert [error.message for error in jsonschema.Draft202012Validator(schema).iter_errors(data)] == [], title
        checked.add(title)
        return data

    try:
        assert valid("plan", "plan", str(folder))["warnings"]
        valid("up", "up", str(folder))
        valid("ls", "ls")
        valid("labs", "labs")
        valid("doctor", "doctor", check=None)
        valid("learn", "learn", "--list")
        valid("break --list", "break", "--list")
        valid("break", "break", "--random", "--seed", "1")
        valid("diagnose", "diagnose", check=None)
        valid("heal", "heal")
        valid("apply", "apply", "-f", str(more))
        valid("label", "label", "pod", "more", "tier=front")
        valid("link", "link")
        kinds = [title.split()[1] for title in DOCUMENTS if title.startswith("get ")]
        assert all(valid(f"get {kind}", "get", kind) for kind in kinds)
        assert any("because" in flow for flow in valid("reach", "reach")["flows"])
        graph = valid("graph", "graph")
        assert {pod["name"] for pod in graph["pods"]} > {"client", "closed", "more"}
        assert {wire["state"] for wire in graph["wires"]} == {"up"}
        valid("check", "check")
        (folder / "expect.yaml").write_text("flows: [{from: client, to: closed, expect: allow}]", encoding="utf-8")
        assert any("ways" in flow for flow in valid("check", "check", check=1)["flows"])
        (flow,) = valid("explain", "explain", "client", "closed", check=1)["flows"]
        assert flow["ingress"]["missed"]
        assert "egress" not in valid("explain", "explain", "client", "web")["flows"][0], "two backends"
        assert valid("trace", "trace", "client", "web", "--compare")["comparison"]["agrees"]
        assert valid("trace", "trace", "client", "closed", check=1)["findings"]
        assert valid("trace --versus", "trace", "client", "web", "--versus", lab)["rows"]
        valid("capture file", "capture", "--duration", "0.01", "-w", str(tmp_path / "all.pcapng"))
        assert valid("diff", "diff", check=None)["operations"] == []
        kit.sh(f"ip -n {lab}-client link add extra type bridge")
        kit.sh(f"ip -n {lab}-client route del default")
        drift = valid("diff", "diff", check=1)
        assert drift["operations"] and drift["foreign"]
        valid("test", "test", str(folder), check=None)
        valid("delete", "delete", "pod", "more")
    finally:
        valid("down", "down", lab)
    elsewhere = {
        "capture",
        "class grade",
        "class status",
        "learn --hand-in",
        *(title for title in DOCUMENTS if title.startswith("serve ")),
    }  # the others: test_handin.py, test_classroom.py, tests/kernel/serve
    assert checked == set(DOCUMENTS) - elsewhere
