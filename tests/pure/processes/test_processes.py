"""Which containers run, and with what environment: from manifests to Process objects."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import yaml

from netlab.model import Cluster, build
from netlab.objects import Listener, Process
from netlab.plan import desired
from netlab.plan.environment import expand
from netlab.spec import Text, load_texts


def cluster(*pods: Mapping[str, Any], lab: Mapping[str, Any] | None = None, runs: bool = True) -> Cluster:
    spec = {"nodes": [{"name": "node-1"}], **(lab or {})}
    documents = [{"apiVersion": "netlab/v1", "kind": "Lab", "metadata": {"name": "t"}, "spec": spec}]
    for number, pod in enumerate(pods):
        metadata = {"name": f"p{number}", "labels": {"app": "web"}}
        documents.append({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": dict(pod)})
    texts = load_texts([Text("lab.yaml", yaml.safe_dump_all(documents))])
    has = (lambda name, _path: name != "lacking") if runs else None
    return build(texts, has_program=has).cluster


def processes(*pods: Mapping[str, Any], **options: Any) -> dict[str, Process]:
    return {one.container: one for one in desired(cluster(*pods, **options)).only(Process)}


def one(**fields: Any) -> dict[str, Any]:
    return {"name": "c", "image": "x", **fields}


@pytest.mark.parametrize(
    ("text", "expanded"),
    [
        ("$(A)", "1"),
        ("x$(A)y$(B)", "x1y2"),
        ("$(MISSING)", "$(MISSING)"),
        ("$$(A)", "$(A)"),
        ("$$$(A)", "$1"),
        ("$A $ $( $()", "$A $ $( $()"),
        ("$(A", "$(A"),
        ("$(A$(B))", "$(A$(B))"),
    ],
)
def test_expansion_is_kubernetes_own(text: str, expanded: str) -> None:
    assert expand(text, {"A": "1", "B": "2"}) == expanded


def test_command_and_args_see_the_environment() -> None:
    env = [
        {"name": "PORT", "value": "80"},
        {"name": "URL", "value": "http://$(IP):$(PORT)"},  # IP comes later: left as it stands
        {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
        {"name": "NODE", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
        {"name": "APP", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['app']"}}},
        {"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}},
        {"name": "MAYBE", "valueFrom": {"configMapKeyRef": {"name": "m", "key": "k", "optional": True}}},
        {"name": "CPU", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}}},
        {"name": "TWICE", "value": "a"},
        {"name": "TWICE", "value": "$(TWICE)b"},
    ]
    made = processes({"containers": [one(command=["serve", "$(IP)"], args=["-p", "$(PORT)"], env=env)]})["c"]
    assert made.argv == ("serve", "10.244.1.2", "-p", "80")
    known = dict(made.env)
    assert known["URL"] == "http://$(IP):80"
    assert (known["NODE"], known["APP"], known["KEY"], known["TWICE"]) == ("node-1", "web", "", "ab")
    assert known["HOSTNAME"] == "p0"
    assert "MAYBE" not in known
    assert "CPU" not in known


def test_a_container_with_a_command_owns_its_ports() -> None:
    made = cluster({"containers": [one(command=["serve"], ports=[{"containerPort": 80}]),
                                   {"name": "d", "image": "x", "args": ["-v"], "ports": [{"containerPort": 81}]}]})  # fmt: skip
    assert {port.port: port.served_by for port in made.pods[0].ports} == {80: "process", 81: "responder"}
    assert [each.port for each in desired(made).only(Listener)] == [81]
    assert [each.container for each in desired(made).only(Process)] == ["c"]


@pytest.mark.parametrize("how", [{"lab": {"containers": "respond"}}, {"runs": False}])
def test_nothing_runs_where_the_lab_says_so_or_nobody_may(how: dict[str, Any]) -> None:
    made = cluster({"containers": [one(command=["serve"], ports=[{"containerPort": 80}])]}, **how)
    assert not list(desired(made).only(Process))
    assert [each.port for each in desired(made).only(Listener)] == [80]


def test_a_program_that_the_host_lacks_leaves_its_ports_to_the_responder() -> None:
    made = cluster({"containers": [one(command=["lacking"], ports=[{"containerPort": 80}])],
                    "initContainers": [{"name": "i", "image": "x", "command": ["sh"]}]})  # fmt: skip
    assert [each.port for each in desired(made).only(Listener)] == [80]
    found = list(desired(made).only(Process))
    assert [(each.container, each.missing) for each in found] == [("c", True)]  # nor does its init container run


def test_order_and_roles() -> None:
    made = processes(
        {
            "restartPolicy": "OnFailure",
            "terminationGracePeriodSeconds": 7,
            "initContainers": [
                {"name": "first", "image": "x", "command": ["sh"]},
                {"name": "lacks", "image": "x", "command": ["lacking"]},
                {"name": "image-only", "image": "x"},
                {"name": "side", "image": "x", "command": ["sh"], "restartPolicy": "Always"},
            ],
            "containers": [one(command=["sh"], workingDir="/srv")],
        }
    )
    assert [(each.container, each.role, each.missing) for each in sorted(made.values(), key=lambda p: p.order)] == [
        ("first", "init", False),
        ("lacks", "init", True),
        ("side", "sidecar", False),
        ("c", "main", False),
    ]
    assert (made["c"].restart, made["c"].grace, made["c"].workdir) == ("OnFailure", 7, "/srv")


def test_the_second_container_on_a_port_comes_late() -> None:
    ports = [{"containerPort": 80}]
    made = processes(
        {"containers": [one(command=["a"], ports=ports), {**one(command=["b"], ports=ports), "name": "d"}]}
    )
    assert (made["c"].late, made["d"].late) == (False, True)


def test_processes_are_no_shell_lines() -> None:
    made = processes({"containers": [one(command=["sh", "-c", "echo 1\necho 2"])]})["c"]
    assert made.explain().startswith("# ")
    assert "\n" not in made.explain()
