"""What ``up`` says of a lab is true by packets: faults in policies, Helm hooks, tiers, crashing commands."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import run_netlab
from tests.kernel.cases.bed import INPUTS, Bed

pytestmark = pytest.mark.kernel
CURE = "; `containers: respond` in the Lab serves its ports instead"


@pytest.fixture
def bed(lab_name: str) -> Iterator[Bed]:
    yield Bed(lab_name)
    run_netlab("down", lab_name)


def pods(bed: Bed, namespace: str) -> dict[str, tuple[str, str]]:
    """By the first word of the name: the name in the kernel and the address."""
    found = bed.netlab("get", "pods", "-n", namespace, "-o", "json").json["items"]
    return {
        one["metadata"]["name"].split("-")[0]: (
            one["metadata"]["annotations"]["netlab/netns"].removeprefix(f"{bed.name}-"),
            one["status"]["podIP"],
        )
        for one in found
    }


def test_five_faults_of_a_policy_set_are_five_warnings_and_packets_agree(bed: Bed) -> None:
    lines = [line for line in bed.up("warnings").stderr.splitlines() if ": warning: " in line]
    says = [line.partition(": warning: ")[2] for line in lines]
    heads = [
        "NetworkPolicy shop/db-access ingress[0]: no Pod of namespace shop matches name=cart",
        "NetworkPolicy shop/carts-access ingress[0]: port 80/TCP matches no packet",
        "",
        "NetworkPolicy default/lost selects no Pod of namespace default",
        "NetworkPolicy shop/to-clusterip egress[0]: ipBlock 10.96.0.0/16 matches no packet",
    ]
    assert len(says) == len(heads) and all(map(str.startswith, says, heads)), says
    assert "egress without a way to DNS" in says[2]
    places = [line.partition(": warning: ")[0].rpartition("lab.yaml:")[2] for line in lines]
    assert places == sorted(places, key=lambda place: int(place.split(":")[0])) and all(places)
    carts, db = pods(bed, "shop")["carts"], pods(bed, "shop")["db"]
    assert bed.curl(carts[0], f"http://{db[1]}:5432") == "timeout", "the peer is misspelt"
    assert bed.curl(db[0], f"http://{carts[1]}:8080") == "timeout", "the Service's port is no port of the Pod"
    names = ["env", "RES_OPTIONS=timeout:1 attempts:1", "getent", "ahosts", "carts.shop"]
    assert bed.netlab("exec", "-n", "shop", carts[0].removeprefix("shop-"), "--", *names, check=None).status != 0


def test_a_policy_that_is_not_modelled_is_warned_of_by_every_verb_that_judges(bed: Bed) -> None:
    refused = run_netlab("up", INPUTS / "anp-silent" / "lab.yaml", "--name", bed.name, "--strict", check=2)
    assert "GlobalNetworkPolicy deny-all" in refused.stderr and "AdminNetworkPolicy deny-all" not in refused.stderr
    assert bed.name not in run_netlab("ls").stdout
    done = bed.up("anp-silent", "-o", "json").json
    assert [(one["code"], one["object"], one["line"]) for one in done["warnings"]] == [
        ("not-modelled-filter", "GlobalNetworkPolicy deny-all", 24),
    ]
    assert bed.curl("b", f"http://{bed.pod('a')['status']['podIP']}:8080") == "timeout", "the tier is enforced"
    for verb in ("reach", "check"):
        said = run_netlab(verb, bed.name).stderr
        assert "GlobalNetworkPolicy deny-all" in said and "lab.yaml:24" in said
        assert len(run_netlab(verb, bed.name, "-o", "json").json["warnings"]) == 1


def test_apply_warns_of_what_it_adds_and_of_nothing_else(bed: Bed, tmp_path: Path) -> None:
    bed.up("anp-silent")
    path = tmp_path / "more.yaml"
    path.write_text(
        "apiVersion: crd.projectcalico.org/v1\nkind: NetworkPolicy\nmetadata: {name: other}\nspec: {}\n---\n"
        "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: front}\n"
        "spec: {defaultBackend: {service: {name: nobody, port: {number: 80}}}}\n---\n"
        "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: typo}\n"
        "spec: {podSelector: {matchLabels: {app: aa}}}\n"
    )
    found = bed.netlab("apply", "-f", str(path), "-o", "json").json["warnings"]
    assert [(one["code"], one["object"]) for one in found] == [
        ("not-modelled-filter", "NetworkPolicy other"),
        ("not-modelled-route", "Ingress front"),
        ("backend-missing", "Ingress front"),
        ("policy-selects-nothing", "NetworkPolicy default/typo"),
    ]


def test_a_hook_policy_is_enforced_only_where_helm_leaves_it(bed: Bed) -> None:
    said = bed.up("helm-hook").stderr
    assert "3 Helm hooks, as helm install leaves them: left out as not there: NetworkPolicy default/deleted-" in said
    assert "ended, so their Pods are left out: Job default/migrate" in said
    assert "still there: NetworkPolicy default/stays" in said
    found = pods(bed, "default")
    assert "migrate" not in found and "plain" in found
    assert bed.curl(found["plain"][0], f"http://{found['web'][1]}") == "open", "Helm has deleted that policy"
    assert bed.curl(found["plain"][0], f"http://{found['db'][1]}") == "timeout", "and left this one"
    assert "deleted-after-the-hook" not in bed.netlab("get", "networkpolicies").stdout


def test_every_pod_that_crashes_is_named_with_one_reason_and_the_cure(bed: Bed, tmp_path: Path) -> None:
    said = bed.up("crashes").stderr.splitlines()
    (crash,) = [line for line in said if "crashed" in line]
    assert crash.endswith(f"ended with exit status 127{CURE}")
    assert all(f"default/consul-{number}" in crash for number in range(3))
    (missing,) = [line for line in said if "no-such-vault" in line]
    assert "the responder serves its ports" in missing
    assert not [line for line in said if "is not ready" in line or "once" in line]
    assert bed.curl("client", f"http://{bed.pod('consul-1')['status']['podIP']}:8500") == "refused"
    vault = next(one for name, one in pods(bed, "default").items() if name == "vault")
    assert bed.curl("client", f"http://{vault[1]}:8200") == "open"
    again = bed.up("crashes", "-o", "json").json["warnings"]
    assert "program-missing" in {one["code"] for one in again}
    run_netlab("down", bed.name)
    lab = (INPUTS / "crashes" / "lab.yaml").read_text(encoding="utf-8")
    (tmp_path / "lab.yaml").write_text(lab.replace("spec: {dataplane", "spec: {containers: respond, dataplane"))
    cured = run_netlab("up", tmp_path / "lab.yaml", "--name", bed.name)
    assert "warning" not in cured.stderr
    assert bed.curl("client", f"http://{bed.pod('consul-1')['status']['podIP']}:8500") == "open"
