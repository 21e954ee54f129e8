"""The same words mean the same ends for reach, check, explain and trace, and a wrong word is answered alike."""

from __future__ import annotations

import os
import re
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
    elif traced.stdout:
        assert not traced.json["lookup"]["addresses"]
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


@pytest.mark.parametrize(
    ("words", "objects"),
    [
        ("client", "pod/client"),
        ("shop/inside", "pod/inside"),
        ("shop/shop", "service/shop"),
        ("shop.shop", "service/shop"),
        ("svc/head.shop", "service/head"),
        ("node-1", "node/node-1"),
        ("pod/client svc/shop.shop node-1", "pod/client service/shop node/node-1"),
        ("pods shop/inside client", "pod/inside pod/client"),
        ("deploy/web.shop", "deployment.apps/web"),
        ("outside", "service/outside"),
    ],
)
def test_get_takes_the_words_of_trace(bed: Bed, words: str, objects: str) -> None:
    assert bed.netlab("get", *words.split(), "-o", "name").stdout.split() == objects.split()
    described = bed.netlab("describe", *words.split()).stdout
    for name in objects.split():
        assert re.search(rf"^ *[Nn]ame: +{name.partition('/')[2]}$", described, re.M), described


def test_the_pods_of_a_workload_are_named_by_it(bed: Bed) -> None:
    pods = bed.netlab("get", "pods", "-n", "shop", "-l", "app=web", "-o", "name").stdout
    for word in ("deploy/web.shop", "svc/shop.shop", "svc/head.shop"):
        assert bed.netlab("get", "pods", word, "-o", "name").stdout == pods, word
    said = bed.netlab("label", "pods", "deploy/web.shop", "tier=front").stdout
    assert said == f"{pods.strip()} labeled\n"
    assert bed.netlab("get", "links", "deploy/web.shop", "-o", "json").json[0]["netns"].endswith(pods.strip()[4:])


def test_label_and_delete_take_the_words_of_trace(bed: Bed, tmp_path: Path) -> None:
    assert bed.netlab("label", "client", "shop/inside", "node-1", "seen=yes").stdout.splitlines() == [
        "pod/client labeled",
        "pod/inside labeled",
        "node/node-1 labeled",
    ]
    assert bed.netlab("get", "shop/inside", "-o", "jsonpath={.metadata.labels.seen}").stdout.strip() == "yes"
    assert "labels of services have no effect" in bed.netlab("label", "svc/shop.shop", "a=b", check=2).stderr
    pod = "{{apiVersion: v1, kind: Pod, metadata: {{name: {}, namespace: shop}}, spec: {{containers: [{{name: c, image: x}}]}}}}"
    manifest = tmp_path / "more.yaml"
    manifest.write_text("\n---\n".join(pod.format(name) for name in ("gone", "left", "shop")))
    bed.netlab("apply", "-f", str(manifest))
    assert "shop/shop is a Pod and a Service" in bed.netlab("delete", "shop/shop", check=2).stderr
    assert "several objects" in bed.netlab("delete", "shop/app=web", check=2).stderr
    deleted = bed.netlab("delete", "shop/gone", "pod/left.shop", "po/shop.shop").stdout
    assert deleted == 'pod "gone" deleted\npod "left" deleted\npod "shop" deleted\n'
    assert bed.netlab("get", "shop/shop", "-o", "name").stdout == "service/shop\n"


def test_a_name_that_nothing_has_gets_a_guess(bed: Bed) -> None:
    guesses = {
        "pods clint": "client",
        "shop/insid": "shop/inside",
        "clint": "client",
        "pdos": "pods",
        "svc/hed.shop": "head",
    }
    for words, guess in guesses.items():
        for verb in ("get", "describe", "delete"):
            said = bed.netlab(verb, *words.split(), check=2).stderr
            assert f'(did you mean "{guess}"' in said, (verb, words, said)
    for verb in ("get", "describe", "delete"):
        said = bed.netlab(verb, "pod", "inside", check=2).stderr.splitlines()[:2]
        assert said == ['netlab: pods "inside" not found in namespace default', "  it is in namespace shop: -n shop"]
        assert "internet is not an object" in bed.netlab(verb, "internet", check=2).stderr
