"""Ports that a container does not have refuse, whatever a Service or a policy says of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import run_netlab
from tests.kernel.cases.bed import Bed

pytestmark = pytest.mark.kernel


@pytest.fixture
def bed(lab_name: str) -> Iterator[Bed]:
    yield Bed(lab_name)
    run_netlab("down", lab_name)


def test_a_wrong_target_port_is_refused_by_packets_and_by_every_verb(bed: Bed) -> None:
    said = bed.up("ports")
    assert "so nothing answers there" in said.stderr
    address = bed.pod("web")["status"]["podIP"]
    assert bed.curl("client", "http://10.96.0.80") == "refused"
    assert bed.curl("client", f"http://{address}:9999") == "refused", "the policy alone names it"
    assert bed.curl("client", f"http://{address}:8080") == "timeout", "declared, but the policy does not let it in"
    assert "refused" in bed.netlab("explain", "client", "svc/web:80", check=None).stdout
    assert "refused" in bed.netlab("trace", "client", "svc/web:80", check=None).stdout
    flows = run_netlab("reach", bed.name, "--from", "client", "--to", "svc/web", "-o", "json").json["flows"]
    assert [one["outcome"] for one in flows] == ["refused"]


def test_an_expectation_opens_no_port_of_a_pod_that_declares_others(bed: Bed, tmp_path: Path) -> None:
    bed.up("ports")
    path = tmp_path / "expect.yaml"
    path.write_text("flows: [{from: client, to: web, port: 9999/TCP, expect: open}]\n")
    rows = run_netlab("check", bed.name, "--expect", path, "-o", "json", check=1).json["flows"]
    row = next(one for one in rows if one["port"] == 9999)
    assert (row["predicted"], row["outcome"], row["ok"]) == ("refused", "refused", False)


def test_a_pod_that_declares_nothing_answers_where_services_and_policies_say(bed: Bed, tmp_path: Path) -> None:
    containers = [{"name": "c", "image": "x", "ports": [{"containerPort": 53, "protocol": "UDP"}]}]
    pod = {"metadata": {"name": "web", "labels": {"app": "web"}}, "spec": {"containers": containers}}
    client = {"metadata": {"name": "client"}, "spec": {"containers": [{"name": "c", "image": "x"}]}}
    ports = [{"port": 80, "targetPort": 8080, "name": "http"}, {"port": 54, "protocol": "UDP", "name": "dns"}]
    service = {"metadata": {"name": "web"}, "spec": {"selector": {"app": "web"}, "ports": ports}}
    lab = {"apiVersion": "netlab/v1", "kind": "Lab", "metadata": {"name": "x"}, "spec": {"nodes": [{"name": "node-1"}]}}
    named = [{"apiVersion": "v1", "kind": kind, **one} for kind, one in
             (("Pod", pod), ("Pod", client), ("Service", service))]  # fmt: skip
    bed.up_of(tmp_path, [lab, *named])
    address = bed.pod("web")["status"]["podIP"]
    assert bed.curl("client", f"http://{address}:8080") == "open", "no TCP port is declared, and the Service names this"
    assert bed.curl("client", f"http://{address}:8081") == "refused"
    flows = run_netlab("reach", bed.name, "--from", "client", "--to", "svc/web", "-o", "json").json["flows"]
    found = {(one["port"], one["protocol"]): one["outcome"] for one in flows}
    assert found == {(80, "TCP"): "open", (54, "UDP"): "refused"}
