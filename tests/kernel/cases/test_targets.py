"""The same words mean the same ends for reach, check, explain and trace, and a wrong word is answered alike."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import RUN, run_netlab
from tests.kernel.cases.bed import Bed

pytestmark = pytest.mark.kernel

OBJECTS = """
apiVersion: netlab/v1
kind: Lab
metadata: {name: targets}
spec: {external: [{name: internet, address: 203.0.113.10, ports: [80]}]}
---
{apiVersion: v1, kind: Pod, metadata: {name: client}, spec: {containers: [{name: c, image: x}]}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
spec:
  replicas: 1
  selector: {matchLabels: {app: web}}
  template: {metadata: {labels: {app: web}}, spec: {containers: [{name: c, image: x, ports: [{containerPort: 80}]}]}}
---
{apiVersion: v1, kind: Service, metadata: {name: shop, namespace: shop}, spec: {selector: {app: web}, ports: [{port: 80}]}}
---
{apiVersion: v1, kind: Service, metadata: {name: head, namespace: shop}, spec: {clusterIP: None, selector: {app: web}, ports: [{port: 80}]}}
---
{apiVersion: v1, kind: Pod, metadata: {name: inside, namespace: shop}, spec: {containers: [{name: c, image: x}]}}
---
apiVersion: v1
kind: Pod
metadata: {name: narrow, namespace: shop}
spec: {dnsPolicy: Default, containers: [{name: c, image: x}]}
---
{apiVersion: v1, kind: Service, metadata: {name: outside}, spec: {type: ExternalName, externalName: internet}}
"""


@pytest.fixture(scope="module")
def bed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bed]:
    worker = os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")
    bed = Bed(f"t{RUN}w{worker}targets")
    path = tmp_path_factory.mktemp("targets") / "lab.yaml"
    path.write_text(OBJECTS)
    run_netlab("up", path, "--name", bed.name)
    yield bed
    run_netlab("down", bed.name)


WORDS = (
    "shop/shop", "svc/shop.shop", "shop.shop", "shop.shop.svc.cluster.local.", "deploy/web.shop", "shop/app=web",
    "shop/head", "svc/head.shop", "head.shop.svc", "internet", "external/internet", "outside", "203.0.113.10",
)  # fmt: skip


@pytest.mark.parametrize("word", WORDS)
def test_every_verb_takes_the_word(bed: Bed, tmp_path: Path, word: str) -> None:
    flows = bed.netlab("reach", "--from", "client", "--to", word, "-o", "json").json["flows"]
    assert len(flows) == 1 and flows[0]["outcome"] == "open", flows
    to = flows[0]["to"]
    assert [flow["to"] for flow in bed.netlab("explain", "client", word, "-o", "json").json["flows"]] == [to]
    followed = bed.netlab("trace", "client", word).stdout.splitlines()
    assert any(line.startswith("default/client -> ") and f"{to} " in line for line in followed), followed
    file = tmp_path / "expect.yaml"
    file.write_text(f"flows: [{{from: client, to: '{word}', expect: allow}}]\n")
    bed.netlab("check", bed.name, "--expect", str(file))
    name = (
        "internet" if to in ("internet", "203.0.113.10") else bed.netlab("exec", "deploy/web.shop", "hostname").stdout
    )
    assert bed.netlab("exec", word, "hostname").stdout.strip() == name.strip()
    said = bed.netlab("capture", "--at", f"{word}:eth0", "-o", "json", "--duration", "0.05")
    assert said.json["interfaces"] == 1


@pytest.mark.parametrize("client", ["client", "shop/inside", "shop/narrow"])
@pytest.mark.parametrize("word", ["shop", "shop.shop", "shop.shop.svc"])
def test_a_dns_name_is_the_address_that_the_client_gets(bed: Bed, client: str, word: str) -> None:
    inside = bed.netlab("exec", client, "getent", "ahostsv4", word, check=None)
    traced = bed.netlab("trace", client, word, "-o", "json", check=None)
    assert (inside.status == 0) == (traced.status == 0), (inside.stdout, traced.stderr)
    if inside.status == 0:
        assert traced.json["address"] == inside.stdout.split()[0]
    else:
        assert f"is called '{word}'" in traced.stderr


@pytest.mark.parametrize("word", ["shpo/web", "svc/shpo.shop", "deploy/wbe.shop", "intrnet", "node/nobody"])
def test_every_verb_says_the_same_of_a_wrong_word(bed: Bed, tmp_path: Path, word: str) -> None:
    file = tmp_path / "expect.yaml"
    file.write_text(f"flows: [{{from: client, to: {word}, expect: allow}}]\n")
    said = {
        run.stderr.splitlines()[0].rpartition(": " if "namespace" not in run.stderr else " TARGET: ")[2].split(": ")[-1]
        for run in (
            bed.netlab("reach", "--from", "client", "--to", word, check=2),
            bed.netlab("explain", "client", word, check=2),
            bed.netlab("trace", "client", word, check=2),
            bed.netlab("exec", word, "true", check=2),
            bed.netlab("logs", word, check=2),
            bed.netlab("capture", "--at", word, check=2),
            bed.netlab("check", bed.name, "--expect", str(file), check=2),
        )
    }
    assert len(said) == 1, said
