"""What statuses of Pods make of a cluster."""

from __future__ import annotations

import json
from typing import Any

import pytest

from netlab import plain
from netlab.model import Cluster, build
from netlab.model.status import observed, presumed, unready
from netlab.plan.probes import of_container
from netlab.spec import Text, load_texts

RUN = {"name": "c", "image": "x", "command": ["sleep", "9"]}


def cluster(*specs: dict[str, Any], programs: bool = True) -> Cluster:
    """Pods p0, p1 ... with these specs, a Service that selects all of them, and one whose slice names the first."""
    lab = {"apiVersion": "netlab/v1", "kind": "Lab", "metadata": {"name": "l"}, "spec": {"nodes": [{"name": "n"}]}}
    pods = [
        {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": f"p{n}", "labels": {"a": "b"}}, "spec": spec}
        for n, spec in enumerate(specs)
    ]
    meta, port = {"name": "s"}, {"port": 80}
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": meta,
        "spec": {"selector": {"a": "b"}, "ports": [port]},
    }
    plain = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "t"}, "spec": {"ports": [port]}}
    slices = {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": "t-1", "labels": {"kubernetes.io/service-name": "t"}},
        "addressType": "IPv4",
        "ports": [port],
        "endpoints": [{"addresses": ["10.244.1.2"]}],
    }
    text = "\n---\n".join(json.dumps(one) for one in (lab, *pods, service, plain, slices))
    return build(load_texts([Text("lab.yaml", text)]), has_program=lambda *_: programs).cluster


def backends(made: Cluster, name: str = "s") -> list[tuple[str, bool]]:
    service = next(one for one in made.services if one.name == name)
    return [(one.pod, one.ready) for one in service.backends]


def test_only_pods_that_run_have_statuses() -> None:
    made = cluster({"containers": [RUN]}, programs=False)
    assert observed(made, {"default/p0": (False, True)}) is made
    made = cluster({"containers": [RUN]}, {"containers": [{"name": "c", "image": "x"}]})
    seen = observed(made, {"default/p0": (False, False), "default/p1": (False, True)})
    assert backends(seen) == [("default/p0", False), ("default/p1", True)]
    assert backends(seen, "t") == [("default/p0", True)], "a slice says itself who is ready"
    assert [pod.ready for pod in seen.pods[:2]] == [False, True]
    assert observed(made, {"default/p0": (True, False)}) is made


def test_what_has_ended_is_no_backend_unless_something_else_of_it_serves() -> None:
    mixed = {"containers": [RUN, {"name": "d", "image": "x"}]}
    made = cluster({"containers": [RUN]}, mixed)
    seen = observed(made, {"default/p0": (False, True), "default/p1": (False, True)})
    assert backends(seen) == [("default/p1", False)]
    assert [pod.ended for pod in seen.pods[:2]] == [True, False]


@pytest.mark.parametrize(
    ("spec", "ready"),
    [
        ({"containers": [RUN]}, True),
        ({"containers": [RUN | {"livenessProbe": {"tcpSocket": {"port": 1}}}]}, True),
        ({"containers": [RUN | {"readinessProbe": {"tcpSocket": {"port": 1}}}]}, False),
        ({"containers": [RUN | {"startupProbe": {"tcpSocket": {"port": 1}}}]}, False),
        ({"containers": [RUN], "initContainers": [RUN | {"name": "i"}]}, False),
    ],
)
def test_what_is_taken_for_ready_before_anything_is_known(spec: dict[str, Any], ready: bool) -> None:
    made = cluster(spec)
    assert presumed(made.pods[0]) is ready
    assert backends(observed(made, {})) == [("default/p0", ready)]


def test_a_readiness_gate_keeps_a_pod_out_and_is_told_with_its_line() -> None:
    made = cluster({"containers": [RUN], "readinessGates": [{"conditionType": "example.com/lb"}]}, programs=False)
    assert backends(observed(made, {})) == [("default/p0", False)]
    (warning,) = unready(made)
    assert "example.com/lb" in warning.message and warning.mark is not None


def test_probes_have_the_defaults_of_the_api() -> None:
    probe = {"httpGet": {"port": "web", "httpHeaders": [{"name": "X", "value": "y"}]}, "failureThreshold": 5}
    spec = RUN | {"ports": [{"name": "web", "containerPort": 8080}], "readinessProbe": probe}
    made = cluster({"containers": [spec]})
    (one,) = of_container(spec, made.pods[0], made)
    assert (one.kind, one.action, one.netns, one.host, one.port) == (
        "readiness",
        "httpGet",
        "l-n",
        "10.244.1.2",
        "8080",
    )
    assert (one.scheme, one.path, one.headers) == ("http", "/", (("X", "y"),))
    assert (one.delay, one.period, one.timeout, one.successes, one.failures, one.grace) == (0, 10, 1, 1, 5, -1)
    assert plain.load(type(one), json.loads(json.dumps(plain.dump(one)))) == one
