"""What re-created bug reports and questions of Kubernetes' users showed, a kind a row, and the test that holds it."""

from __future__ import annotations

import pytest

from tests.kernel.cases.bed import existing_tests

#: By what a user saw: the tests.
HELD = {
    "members of a StatefulSet have no names of their own": "test_members_of_a_statefulset_have_names",
    "a port that the container does not declare answers": "test_a_wrong_target_port_is_refused_by_packets_and_by_every_verb "
    "test_an_expectation_opens_no_port_of_a_pod_that_declares_others",
    "a Service with differing backends is open, flaky, or contradicts": "test_backends_that_differ_are_shown_as_mixed "
    "test_a_trace_of_a_backend_at_random_contradicts_nothing "
    "test_a_service_with_one_wrong_backend_is_mixed_and_not_denied",
    "labels of Jobs, StatefulSets and nodes are missing": "test_policies_select_by_the_labels_of_the_job_controller "
    "test_services_select_a_member_by_its_index test_labels_of_the_kubelet_are_on_every_node",
    "a cluster's dump has its Pods three times, and ended Pods run": "test_a_dump_has_the_pods_that_it_names",
    "addresses of nodes that the oracle does not know": "test_every_address_of_a_lab_is_predicted_right "
    "test_addresses_of_nodes_where_nobody_masquerades",
    "hostNetwork Pods have no DNS and no hosts file of their own": "test_names_of_services_and_aliases",
    "terminating endpoints, hints and traffic distribution are not there": "test_a_pod_that_terminates_serves_until_it_is_gone "
    "test_traffic_distribution_keeps_packets_where_hints_say test_topology_mode_auto_gives_each_zone_its_share "
    "test_conditions_and_hints_of_slices_count",
    "placement overlooks host ports, affinity and taints": "test_two_pods_with_one_host_port_are_on_two_nodes "
    "test_node_affinity_has_all_operators test_taints_keep_pods_away_that_do_not_tolerate_them",
    "kind Endpoints is not mirrored": "test_endpoints_lead_their_service_to_pods_and_hosts_outside",
    "what the kernel learned outlives up": "test_a_path_mtu_that_was_learned_is_forgotten_by_up "
    "test_trace_says_that_a_path_mtu_is_learned_and_how_to_forget_it "
    "test_a_neighbour_that_was_learned_of_a_wrong_mac_is_forgotten_by_up",
    "the responder answers before the body is there": "test_a_request_is_answered_when_its_body_is_here",
    "fields that the API server refuses are taken": "test_apply_refuses_what_the_api_server_refuses",
    "forms that kubectl takes are refused": "test_exec_and_logs_take_a_workload_a_service_and_a_kind "
    "test_delete_takes_kind_and_name_alone test_explain_takes_what_trace_takes test_a_folder_without_manifests_is_refused "
    "test_kustomize_is_named",
    "explain says Local without saying which traffic policy": "test_explain_says_which_traffic_policy_is_local",
}


@pytest.mark.parametrize("finding", HELD)
def test_every_finding_has_a_test(finding: str) -> None:
    assert set(HELD[finding].split()) <= existing_tests()
