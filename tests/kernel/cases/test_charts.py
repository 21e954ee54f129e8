"""What real charts and manifests showed, a defect or a gap a row, and the test that holds it.

Warnings, labels and verdicts have tests by topic already; this module adds the forms in which charts come: templates
without a namespace, headless Services in expectations, sets that serve nothing, Services with one wrong backend.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import run_netlab
from tests.kernel.cases.bed import Bed, existing_tests

pytestmark = pytest.mark.kernel

#: By what a user saw: the tests.  The first ten are defects, the others gaps.
HELD = {
    "the backends of a Service differ, and the verdict is by chance": "test_backends_that_differ_fail_both_expectations "
    "test_backends_that_differ_are_shown_as_mixed test_a_service_with_one_wrong_backend_is_mixed_and_not_denied",
    "all backends are denied, and no policy is named": "test_backends_that_are_all_denied_are_denied_with_the_policy",
    "labels that controllers add are missing": "test_policies_select_by_the_labels_of_the_job_controller "
    "test_services_select_a_member_by_its_index",
    "a hostNetwork Pod moves after up": "test_a_host_network_pod_does_not_move",
    "targetPort 0 is refused": "test_target_port_zero_leads_to_the_port_itself",
    "a Helm hook is said to be there and is not": "test_a_hook_policy_is_enforced_only_where_helm_leaves_it",
    "a crash looks like a refusal, without the cure": "test_every_pod_that_crashes_is_named_with_one_reason_and_the_cure",
    "warnings of what is right": "test_a_chart_without_namespaces_lands_where_it_is_installed "
    "test_the_namespaces_of_every_cluster_are_there_without_a_service test_a_name_of_other_charts_beside_the_right_name_is_a_note_without_a_guess",
    "an AdminNetworkPolicy is dropped in silence": "test_a_policy_that_is_not_modelled_is_warned_of_by_every_verb_that_judges",
    "a list of targets is taken for replicas": "test_a_list_of_targets_is_several_expectations",
    "faults of policies without a warning": "test_five_faults_of_a_policy_set_are_five_warnings_and_packets_agree",
    "no namespace for objects that name none": "test_a_chart_without_namespaces_lands_where_it_is_installed",
    "no strict mode": "test_a_policy_that_is_not_modelled_is_warned_of_by_every_verb_that_judges",
    "a headless Service is an error in expectations": "test_a_headless_service_is_expected_as_the_pods_behind_it",
    "what Helm leaves behind depends on the delete policy": "test_a_hook_policy_is_enforced_only_where_helm_leaves_it",
    "reach with nothing to probe says nothing": "test_reach_says_that_nothing_can_be_probed",
    "a hundred warnings of one kind": "test_many_of_a_kind_are_folded_in_the_order_of_the_lines_and_are_whole_as_json",
    "each flow must be expected twice, by Pod and by Service": "test_a_service_is_expected_as_the_pods_behind_it",
    "a denial names a policy and not the nearest rule": "test_a_failure_names_the_nearest_rule_of_both_sides",
    "an apiVersion of yesterday is refused": "test_an_object_of_an_old_version_is_the_one_of_today",
    "an Ingress to a Service that is not there": "test_apply_warns_of_what_it_adds_and_of_nothing_else",
}


@pytest.mark.parametrize("finding", HELD)
def test_every_finding_has_a_test(finding: str) -> None:
    assert set(HELD[finding].split()) <= existing_tests()


@pytest.fixture
def bed(lab_name: str) -> Iterator[Bed]:
    yield Bed(lab_name)
    run_netlab("down", lab_name)


def test_a_chart_without_namespaces_lands_where_it_is_installed(bed: Bed) -> None:
    """Its policy isolates its Pods, which it cannot do from the namespace default; nothing of it is warned of."""
    said = bed.up("chart-forms", "-n", "shop")
    assert "warning" not in said.stderr
    proxy = bed.netlab("get", "pod", "proxy", "-n", "shop", "-o", "json").json
    assert proxy["spec"]["nodeName"] == "node-2", "labels of the kubelet are on the nodes"
    url = f"http://{proxy['status']['podIP']}:8080"
    assert bed.curl("shop-client", url) == "open"
    assert bed.curl("other-stranger", url) == "timeout", "the policy is of the same namespace"
    assert bed.exec("shop/client", "curl", "-sS", "-m", "10", "http://proxy:8080").json["pod"] == "proxy"


def test_a_headless_service_is_expected_as_the_pods_behind_it(bed: Bed, tmp_path: Path) -> None:
    bed.up("chart-forms", "-n", "shop")
    file = tmp_path / "expect.yaml"
    for sender, expect in (("shop/client", "open"), ("other/stranger", "denied")):
        file.write_text(f"flows: [{{from: {sender}, to: svc/proxy.shop, port: 80, expect: {expect}}}]\n")
        rows = run_netlab("check", bed.name, "--expect", file, "-o", "json").json["flows"]
        (row,) = [row for row in rows if row.get("expected")]
        assert (row["to"], row["port"], row["outcome"]) == ("shop/proxy", 8080, expect)


def test_reach_says_that_nothing_can_be_probed(bed: Bed, tmp_path: Path) -> None:
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}}
    lab = {"apiVersion": "netlab/v1", "kind": "Lab", "metadata": {"name": "x"}, "spec": {"nodes": [{"name": "node-1"}]}}
    bed.up_of(tmp_path, [lab, {**pod, "spec": {"containers": [{"name": "c", "image": "x"}]}}])
    said = run_netlab("reach", bed.name, "-o", "json")
    assert said.json["flows"] == [] and "--port" in said.stderr
    assert "no Pod declares a port" in run_netlab("reach", bed.name).stdout


def test_a_service_with_one_wrong_backend_is_mixed_and_not_denied(bed: Bed, tmp_path: Path) -> None:
    """A refusal by the Pod itself means that the network lets the flow through."""
    bed.up("wrong-port")
    url = f"http://{bed.netlab('get', 'service', 'web', '-o', 'json').json['spec']['clusterIP']}"
    seen: set[str] = set()
    for _ in range(100):
        if seen >= {"open", "refused"}:
            break
        seen.add(bed.curl("client", url))
    assert seen == {"open", "refused"}, "each connection meets a backend by chance"
    flows = run_netlab("reach", bed.name, "--from", "client", "--to", "svc/web", "-o", "json").json["flows"]
    assert [flow["outcome"] for flow in flows] == ["mixed"]
    assert {row["to"]: row["outcome"] for row in flows[0]["backends"]} == {
        "default/right": "open",
        "default/wrong": "refused",
    }
    assert "1 of 2 backends: refused (default/wrong)" in bed.netlab("explain", "client", "svc/web").stdout
    file = tmp_path / "expect.yaml"
    file.write_text("flows: [{from: client, to: svc/web, port: 80, expect: open}]\n")
    failed = run_netlab("check", bed.name, "--expect", file, check=1).stdout
    assert "expected open, got mixed: 1 of 2 backends: refused (default/wrong)" in failed
