"""Creation times, generations and rollouts, whether kubectl or ``netlab apply`` writes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.kernel.api.conftest import Kubectl

pytestmark = pytest.mark.kernel
WORKLOAD = """\
apiVersion: apps/v1
kind: {kind}
metadata: {{name: {name}}}
spec:
  selector: {{matchLabels: {{app: {name}}}}}
  template:
    metadata: {{labels: {{app: {name}}}}}
    spec: {{containers: [{{name: c, image: "nginx:{version}", ports: [{{containerPort: 80}}]}}]}}
"""


@pytest.fixture
def apply(lab: str, netlab: Callable[..., Any], tmp_path: Path) -> Callable[[str], None]:
    def run(text: str) -> None:
        file = tmp_path / "applied.yaml"
        file.write_text(text)
        netlab("apply", "--lab", lab, "-f", str(file))

    return run


def pods(kubectl: Kubectl, app: str) -> dict[str, str]:
    """The image by uid of each Pod."""
    listed = json.loads(kubectl(f"get pods -l app={app} -o json"))["items"]
    return {each["metadata"]["uid"]: each["spec"]["containers"][0]["image"] for each in listed}


def revisions(kubectl: Kubectl, workload: str) -> list[list[str]]:
    return [line.split() for line in kubectl(f"rollout history {workload}").splitlines()[2:] if line]


def test_a_deployment_goes_back_to_an_earlier_template(kubectl: Kubectl, apply: Callable[[str], None]) -> None:
    text = WORKLOAD.format(kind="Deployment", name="back", version=1)
    apply(text)
    born, first = json.loads(kubectl("get deploy back -o json"))["metadata"], pods(kubectl, "back")
    kubectl("annotate deploy back kubernetes.io/change-cause=one; $KUBECTL expose deploy back --port=80")
    kubectl("set image deploy/back c=nginx:2")
    apply(text.replace("nginx:1", "nginx:3"))
    assert revisions(kubectl, "deploy/back") == [["1", "one"], ["2", "one"], ["3", "one"]]
    assert "nginx:1" in kubectl("rollout history deploy/back --revision=1")
    kubectl("rollout undo deploy/back --to-revision=1; $KUBECTL rollout status deploy/back --timeout=30s")
    back = pods(kubectl, "back")
    assert set(back.values()) == {"nginx:1"} and not back.keys() & first.keys()
    now = json.loads(kubectl("get deploy back -o json"))
    assert now["metadata"]["creationTimestamp"] == born["creationTimestamp"]
    assert now["metadata"]["generation"] == now["status"]["observedGeneration"] == born["generation"] + 3
    assert revisions(kubectl, "deploy/back") == [["2", "one"], ["3", "one"], ["4", "one"]]
    sets = json.loads(kubectl("get rs -l app=back -o json"))["items"]
    assert sorted(each["spec"]["replicas"] for each in sets) == [0, 0, 1]
    address = kubectl("get pods -l app=back -o jsonpath={..podIP}")
    assert kubectl("get endpoints back -o jsonpath={..addresses[*].ip}").endswith(address)
    assert kubectl("exec client -- wget -qO- http://back")
    kubectl("rollout pause deploy/back; $KUBECTL rollout restart deploy/back", status=1)
    kubectl("set image deploy/back c=nginx:5")
    assert pods(kubectl, "back") == back
    kubectl("rollout resume deploy/back")
    assert set(pods(kubectl, "back").values()) == {"nginx:5"}
    kubectl("delete deploy,svc back")
    assert kubectl("get rs -l app=back").startswith("No resources")


@pytest.mark.parametrize("kind", ["StatefulSet", "DaemonSet"])
def test_other_workloads_have_revisions_too(kubectl: Kubectl, apply: Callable[[str], None], kind: str) -> None:
    name = f"{kind.lower()}/back"
    text = WORKLOAD.format(kind=kind, name="back", version=1)
    apply(text)
    first = pods(kubectl, "back")
    apply(text.replace("nginx:1", "nginx:2"))
    second = pods(kubectl, "back")
    assert set(second.values()) == {"nginx:2"} and not second.keys() & first.keys()
    kubectl(f"rollout undo {name}; $KUBECTL rollout status {name} --timeout=30s")
    third = pods(kubectl, "back")
    assert set(third.values()) == {"nginx:1"} and not third.keys() & {*first, *second}
    assert [number for number, _ in revisions(kubectl, name)] == ["2", "3"]
    kubectl(f"rollout restart {name}")
    assert not pods(kubectl, "back").keys() & third.keys()
    kubectl(f"delete {name}")
    assert kubectl("get controllerrevisions -l app=back").startswith("No resources")


def test_annotations_of_both_ways_in_stay(kubectl: Kubectl, apply: Callable[[str], None]) -> None:
    text = WORKLOAD.format(kind="Deployment", name="noted", version=1)
    apply(text.replace("{name: noted}", "{name: noted, annotations: {a: '1', b: '1'}}", 1))
    kubectl("annotate deploy noted c=2 a-; $KUBECTL annotate deploy noted b=2 --overwrite")
    apply(text.replace("{name: noted}", "{name: noted, annotations: {a: '1', b: '1', d: '3'}}", 1))
    noted = json.loads(kubectl("get deploy noted -o jsonpath={.metadata.annotations}"))
    assert {key: noted.get(key) for key in "abcd"} == {"a": None, "b": "2", "c": "2", "d": "3"}
    kubectl("delete deploy noted")
