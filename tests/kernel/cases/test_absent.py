"""Why nobody is behind a Service, or fewer than it selects; and policies that mean Pods of their node's network."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import RUN, run_netlab
from tests.kernel.cases.bed import Bed

pytestmark = pytest.mark.kernel


@pytest.fixture(scope="module")
def bed() -> Iterator[Bed]:
    worker = os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")
    bed = Bed(f"t{RUN}w{worker}absent")
    bed.up("absent", "--no-wait")
    yield bed
    run_netlab("down", bed.name)


def address(bed: Bed, service: str) -> str:
    found: str = bed.netlab("get", "service", service, "-o", "json").json["spec"]["clusterIP"]
    return found


EMPTY = {
    "misspelt": "no Pod of namespace default has app=wbe,tier=front; nearest is Pod default/web, which has app=web, not app=wbe",
    "misnamed": 'no container of default/web, default/old has a TCP port named "htp" (did you mean "http"?)',
    "unready": "none of 1 Pod behind it is ready (default/slow)",
    "sliced": 'its EndpointSlices have no TCP port named "http" (did you mean "htttp"?)',
    "bare": "it has no selector, and no EndpointSlice gives it an address",
}


@pytest.mark.parametrize("service", EMPTY)
def test_a_service_without_endpoints_says_why(bed: Bed, tmp_path: Path, service: str) -> None:
    assert bed.curl("client", f"http://{address(bed, service)}") == "refused"
    told = bed.netlab("explain", "client", f"svc/{service}:80").stdout.splitlines()
    says = f"Service default/{service} has no endpoint for port 80/TCP: {EMPTY[service]}"
    assert told[0].endswith(f": refused: {says}"), told
    file = tmp_path / "expect.yaml"
    file.write_text(f"flows: [{{from: client, to: svc/{service}, port: 80, expect: open}}]\n")
    failed = bed.netlab("check", bed.name, "--expect", str(file), check=1).stdout.splitlines()[0]
    assert f"expected open, got refused: {says} · " in failed, failed
    followed = " ".join(bed.netlab("trace", "client", f"svc/{service}:80", check=None).stdout.split())
    assert f"port 80/TCP has no endpoint: {EMPTY[service]}" in followed, followed


def test_members_that_get_nothing_are_named(bed: Bed) -> None:
    assert {bed.who("client", f"http://{address(bed, 'partly')}")["pod"] for _ in range(8)} == {"web"}
    assert "left out: no container of default/old" in bed.netlab("explain", "client", "svc/partly").stdout
    assert {bed.who("client", f"http://{address(bed, 'half')}")["pod"] for _ in range(8)} == {"soon"}
    assert "left out, since not ready: default/late" in bed.netlab("explain", "client", "svc/half").stdout


def test_a_policy_that_means_a_pod_of_its_nodes_network_is_named_and_does_nothing(bed: Bed) -> None:
    node = bed.netlab("get", "node", "node-2", "-o", "json").json["status"]["addresses"][0]["address"]
    assert bed.curl("client", f"http://{node}:9100") == "open"
    told = bed.netlab("explain", "client", "agent:9100").stdout
    assert "ingress: passes, default/agent is in its node's network (hostNetwork), and policies are about Pods" in told
    assert "default/agents would select it by its labels" in told


def test_a_rule_that_means_a_pod_of_its_nodes_network_says_what_rules_see(bed: Bed) -> None:
    told = bed.netlab("explain", "agent", "slow:80", check=1).stdout
    says = "default/agent has these labels, but is in its node's network (hostNetwork): rules see its node's address"
    assert says in told, told


def test_a_policy_whose_selector_is_one_letter_off_is_named(bed: Bed) -> None:
    told = bed.netlab("explain", "client", "web:8080").stdout
    assert "; default/for-web selects no Pod by app=webb, and default/web has app=web, not app=webb" in told, told
