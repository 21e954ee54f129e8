"""A failure of ``check`` names the rule that came nearest and its term that did not match, of both sides."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import run_netlab
from tests.kernel.cases.bed import Bed

pytestmark = pytest.mark.kernel

EGRESS = "  egress of shop/frontend: nearest is shop/frontend-to-api egress[0] ("
INGRESS = "  ingress of shop/api: nearest is shop/api-from-frontend ingress[1] ("
PORT = "the port is 8080/TCP, not 80/TCP"
LABEL = "peer shop/frontend has app=frontend, not app=fronted"
POLICY = "{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: %s, namespace: shop}, spec: {%s}}"


@pytest.fixture
def bed(lab_name: str) -> Iterator[Bed]:
    bed = Bed(lab_name)
    bed.up("nearest")
    yield bed
    run_netlab("down", lab_name)


def check(bed: Bed, folder: Path, flow: str, status: int, *options: str) -> list[str]:
    file = folder / "expect.yaml"
    file.write_text(f"flows: [{{{flow}}}]\n")
    return bed.netlab("check", bed.name, "--expect", str(file), *options, check=status).stdout.splitlines()


def test_a_failure_names_the_nearest_rule_of_both_sides(bed: Bed, tmp_path: Path) -> None:
    report = tmp_path / "junit.xml"
    flow = "from: shop/frontend, to: shop/api, port: 8080, expect: open"
    head, egress, ingress, *_ = check(bed, tmp_path, flow, 1, "--junit", str(report))
    assert head.startswith("FAIL shop/frontend -> shop/api")
    assert egress.startswith(EGRESS) and egress.endswith(f"does not match: {PORT}"), egress
    assert ingress.startswith(INGRESS) and ingress.endswith(f"does not match: {LABEL}"), ingress
    failure = next(ET.parse(report).iter("failure"))
    assert failure.text and PORT in failure.text and LABEL in failure.text
    told = bed.netlab("explain", "-n", "shop", "frontend", "api:8080", check=1).stdout
    assert told.index(PORT) < told.index("b-far"), "explain prints the nearest rule first"


def test_a_rule_with_the_services_port_is_named_of_a_flow_to_the_service(bed: Bed, tmp_path: Path) -> None:
    flow = "from: shop/frontend, to: svc/api.shop, port: 80, expect: allow"
    lines = check(bed, tmp_path, flow, 1)
    assert lines[1].startswith(EGRESS) and lines[2].startswith(INGRESS), lines
    assert lines[3].strip().startswith("shop/frontend-to-api egress[0] names the Service's port 80/TCP"), lines


def test_each_side_that_is_mended_goes_and_what_lets_pass_is_named(bed: Bed, tmp_path: Path) -> None:
    flow = "from: shop/frontend, to: shop/api, port: 8080, expect: "
    egress = "podSelector: {matchLabels: {app: frontend}}, policyTypes: [Egress], egress: [{ports: [{port: 8080}]}]"
    bed.netlab("apply", "-f", "-", input=POLICY % ("frontend-to-api", egress))
    lines = check(bed, tmp_path, f"{flow}allow", 1)
    assert lines[1].startswith(INGRESS) and lines[2].startswith("lab "), lines
    ingress = (
        "podSelector: {matchLabels: {app: api}}, ingress: [{from: [{podSelector: {matchLabels: {app: frontend}}}]}]"
    )
    bed.netlab("apply", "-f", "-", input=POLICY % ("api-from-frontend", ingress))
    check(bed, tmp_path, f"{flow}allow", 0)
    lines = check(bed, tmp_path, f"{flow}deny", 1)
    assert lines[1].startswith("  egress: allowed by shop/frontend-to-api egress[0]"), lines
    assert lines[2].startswith("  ingress: allowed by shop/api-from-frontend ingress[0]"), lines


def test_json_has_the_reasons_of_a_failure(bed: Bed, tmp_path: Path) -> None:
    flow = "from: shop/frontend, to: shop/api, port: 8080, expect: open"
    file = tmp_path / "expect.yaml"
    file.write_text(f"flows: [{{{flow}}}]\n")
    rows = bed.netlab("check", bed.name, "--expect", str(file), "-o", "json", check=1).json["flows"]
    failed = [row for row in rows if not row["ok"]]
    assert len(failed) == 1 and not any("ways" in row for row in rows if row["ok"])
    nearest = failed[0]["ways"][0]["ingress"]["missed"][0]
    assert nearest["policy"] == "shop/api-from-frontend" and nearest["says"] == LABEL and nearest["line"]


def test_a_failure_without_policies_has_no_reasons_of_theirs(bed: Bed, tmp_path: Path) -> None:
    for name in ("a-default-deny", "b-far", "frontend-to-api", "api-from-frontend"):
        bed.netlab("delete", "networkpolicy", name, "-n", "shop", check=None)
    lines = check(bed, tmp_path, "from: shop/frontend, to: shop/api, port: 81, expect: timeout", 1)
    assert lines[0].startswith("FAIL ") and lines[1].startswith("lab "), lines
