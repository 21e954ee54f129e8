"""What is typed out of habit from kubectl does what it does there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.kernel
LAB = """apiVersion: netlab/v1
kind: Lab
metadata: {name: shop}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: c, image: x, command: [sh, -c, "echo hello; sleep 3600"]}]}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80}]}
---
apiVersion: v1
kind: Pod
metadata: {name: one}
spec: {containers: [{name: c, image: x}]}
"""


@pytest.fixture
def shop(world: Any, tmp_path: Path) -> Any:
    (tmp_path / "lab.yaml").write_text(LAB)
    world("netlab up lab.yaml")
    return world


def test_exec_and_logs_take_a_workload_a_service_and_a_kind(shop: Any) -> None:
    pods = json.loads(shop("netlab get pods -l app=web -o json").stdout)["items"]
    names = [one["metadata"]["name"] for one in pods]
    for word in ("deploy/web", "deployment/web", "svc/web"):
        assert shop(f"netlab exec {word} -- hostname").stdout.strip() == names[0], word
    assert shop("netlab exec pod/one -- hostname").stdout.strip() == "one"
    assert shop("netlab exec node/node-1 -- hostname").stdout.strip() == "node-1"
    assert shop("netlab logs deploy/web").stdout == "hello\n"
    said = shop("netlab exec deploy/wbe -- id", check=2).stderr
    assert 'deploy/wbe has no Pods (did you mean "deploy/web"?)' in said


def test_delete_takes_kind_and_name_alone(shop: Any, tmp_path: Path) -> None:
    (tmp_path / "gone.yaml").write_text(
        "apiVersion: v1\nkind: Pod\nmetadata: {name: one}\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\n"
    )
    assert shop("netlab delete -f gone.yaml").stdout == 'pod "one" deleted\n'
    assert "one" not in shop("netlab get pods -o name").stdout.replace("\n", " ").split("/")
    assert "not found" in shop("netlab delete -f gone.yaml", check=2).stderr


def test_a_pod_of_the_lab_itself_is_made_anew(shop: Any) -> None:
    said = shop("netlab delete pod coredns -n kube-system").stdout
    assert said.startswith('pod "coredns" deleted\npod "coredns" made by netlab: on node-')


def test_delete_says_where_a_name_is_or_which_is_near(shop: Any) -> None:
    said = shop("netlab delete pod coredns", check=2).stderr
    assert 'pods "coredns" not found in namespace default' in said and "-n kube-system" in said
    assert (
        'pods "onee" not found in namespace default (did you mean "one"?)'
        in shop("netlab delete pod onee", check=2).stderr
    )
    assert shop("netlab delete pod one one").stdout == 'pod "one" deleted\n'


def test_a_folder_without_manifests_is_refused(shop: Any, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for verb in ("up", "apply", "delete"):
        assert "no manifest" in shop(f"netlab {verb} -f empty", check=2).stderr


def test_a_set_without_a_lab_runs_on_kindnet(world: Any, tmp_path: Path) -> None:
    (tmp_path / "set.yaml").write_text(LAB.partition("---\n")[2])
    assert "kindnet; " in world("netlab up -f set.yaml").stdout


def test_words_are_of_things_that_exist(shop: Any, tmp_path: Path) -> None:
    assert "FAULTS" not in shop("netlab ls").stdout
    flow = "flows: [{from: elsewhere/a, to: elsewhere/b, expect: allow}]"
    (tmp_path / "wrong.yaml").write_text(flow)
    wrong = shop("netlab check --expect wrong.yaml", check=2).stderr
    assert wrong.splitlines()[-1] == "2 problems", "check changes nothing, and does not say so"
    assert "runs no command" in shop("netlab logs one", check=None).stderr
    assert "web cannot send a packet" in shop("netlab trace web one:80", check=2).stderr


def test_expectations_are_of_the_lab_in_their_folder(world: Any, tmp_path: Path) -> None:
    """A lab that was made of another file there has none; the lab's own file has them."""
    flow = "flows: [{from: elsewhere/a, to: elsewhere/b, expect: allow}]"
    (tmp_path / "lab.yaml").write_text(LAB)
    (tmp_path / "expect.yaml").write_text(flow)
    (tmp_path / "other.yaml").write_text(LAB.partition("---\n")[2])
    world("netlab up -f other.yaml")
    for words in ("check", "check other.yaml"):
        done = world(f"netlab {words}")
        assert "nothing was expected: there is no expect.yaml of this lab" in done.stdout
        assert "--expect expect.yaml takes it all the same" in done.stdout + done.stderr
    world("netlab down --all")
    world("netlab up lab.yaml")
    assert "elsewhere/a matches no Pod" in world("netlab check lab.yaml", check=2).stderr


def test_help_is_a_verb(world: Any) -> None:
    assert world("netlab help").stdout == world("netlab --help").stdout
    assert world("netlab help up").stdout == world("netlab up --help").stdout
    assert "there is no verb" in world("netlab help upp", check=2).stderr


def test_explain_takes_what_trace_takes(shop: Any, tmp_path: Path) -> None:
    first = shop("netlab explain one web:80").stdout.splitlines()[0]
    assert first.startswith("default/one -> default/web ") and ": open" in first, first
    for word in ("web.default.svc.cluster.local:80", "svc/web:80"):
        assert shop(f"netlab explain one {word}").stdout.splitlines()[0] == first, word
    (tmp_path / "more.yaml").write_text(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: front}\nspec:\n  selector: {matchLabels: {a: f}}\n"
        "  template:\n    metadata: {labels: {a: f}}\n    spec: {containers: [{name: c, image: x}]}\n"
    )
    shop("netlab apply -f more.yaml")
    for verb in ("explain", "trace"):
        said = shop(f"netlab {verb} front web:80", check=2).stderr
        assert "is called 'front' (did you mean \"deploy/front\"?)" in said, said


def test_explain_says_which_traffic_policy_is_local(world: Any, tmp_path: Path) -> None:
    where = "[{name: c, image: x}]"
    (tmp_path / "lab.yaml").write_text(
        "apiVersion: netlab/v1\nkind: Lab\nmetadata: {name: local}\nspec: {nodes: [{name: node-1}, {name: node-2}], external: [{name: internet, address: 192.0.2.50}]}\n---\n"
        f"apiVersion: v1\nkind: Pod\nmetadata: {{name: one}}\nspec: {{nodeName: node-1, containers: {where}}}\n---\n"
        "apiVersion: v1\nkind: Pod\nmetadata: {name: two, labels: {app: two}}\n"
        f"spec: {{nodeName: node-2, containers: {where}}}\n---\n"
        "apiVersion: v1\nkind: Service\nmetadata: {name: in}\n"
        "spec: {selector: {app: two}, internalTrafficPolicy: Local, ports: [{port: 80}]}\n---\n"
        "apiVersion: v1\nkind: Service\nmetadata: {name: out}\nspec: {type: NodePort, selector: {app: two},\n"
        "  externalTrafficPolicy: Local, ports: [{port: 80, nodePort: 30080}]}\n"
    )
    world("netlab up lab.yaml")
    for ends, side in (("one in:80", "internal"), ("internet node-1:30080", "external")):
        says = f"has no endpoint on node node-1, and its {side}TrafficPolicy is Local"
        assert says in world(f"netlab explain {ends}", check=None).stdout, ends
        traced = world(f"netlab trace {ends}", check=None).stdout
        assert f"{side}TrafficPolicy is Local" in traced, traced
