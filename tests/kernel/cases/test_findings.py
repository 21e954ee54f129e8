"""What an attack, other kernels, an API client and new users showed: a kind a row, and the tests that hold it."""

from __future__ import annotations

import pytest

from tests.kernel.cases.bed import existing_tests

_ATTACK = {
    "a program named by a manifest is executed while documents are read": "test_a_program_in_a_containers_path_is_not_executed_by_plan "
    "test_nothing_of_a_set_runs_on_the_host",
    "bootstrap imports modules of the current directory": "test_files_of_the_current_directory_are_never_imported",
    "down takes files of labs in other mount namespaces": "test_down_leaves_the_files_of_labs_in_other_mount_namespaces",
    "a manifest of a legal or odd shape ends in a traceback": "test_objects_of_any_shape_are_problems_at_worst "
    "test_old_slices_of_any_shape_are_answered",
    "replicas, nodes and problems have no bound": "test_a_lab_with_too_many_nodes_is_refused_at_the_first_too_much "
    "test_two_deployments_with_too_many_pods_are_refused_and_no_pod_is_given_an_address "
    "test_more_than_a_hundred_problems_are_cut_and_counted",
    "Ctrl-C prints a traceback": "test_ctrl_c_at_any_moment_prints_no_traceback",
    "down fails where PID 1 does not reap": "test_down_goes_on_where_pid_1_does_not_reap",
    "verbs hang where no thread can start": "test_verbs_without_threads_end_in_a_sentence",
    "an up that fails leaves a lab registered": "test_a_first_up_that_cannot_write_registers_nothing "
    "test_up_on_an_exhausted_host_says_so_and_registers_nothing",
    "a text of a manifest breaks a zone file": "test_a_name_in_a_zone_file_is_one_name",
    "a text of a manifest reaches the terminal": "test_what_people_read_has_no_control_character "
    "test_no_verb_prints_a_control_character_of_a_manifest",
    "another user's lab can be used": "test_every_verb_that_acts_refuses_another_users_lab "
    "test_each_verb_that_acts_is_tried_on_another_users_lab",
    "all users read the run state": "test_run_state_is_roots_alone",
    "addresses, names and numbers that the kernel refuses are taken": "test_the_problems_of_a_file_are_told_in_full",
    "run state of another shape or version": "test_run_state_of_wrong_types_ends_in_sentences test_a_stray_file_is_no_lab "
    "test_a_lab_of_the_version_before_goes_on test_another_versions_lab_is_told_of_and_comes_down",
    "/run/netns is a link": "test_a_run_netns_that_is_a_link_is_named",
    "a Pod takes all memory or all processes": "test_a_pods_files_have_bounded_room test_a_fork_bomb_ends_in_its_pod",
}
_KERNELS_AND_CLIENTS = {
    "SCTP where the kernel has it": "test_a_port_without_a_listener_refuses_on_every_path "
    "test_a_program_with_a_socket_of_the_kernel_reaches_an_sctp_service",
    "lines that mend cannot be typed in their order": "test_drift_is_named_and_mended_by_its_lines_and_healed "
    "test_what_diff_prints_to_mend_rules_can_be_typed_in_that_order",
    "another nft encodes rules otherwise": "test_what_data_planes_have test_any_words",
    "pages need what is not installed, or another version's output": "test_pages_use_only_programs_that_bootstrap_installs_for_every_user "
    "test_page_shows_what_is_seen",
    "a wrong VNI is not recognised": "test_trace_names_place_and_reason",
    "a Pod with a hostPort behind a Service cannot be deleted at once": "test_deleting_a_pod_with_a_host_port_behind_a_service_works_at_once",
    "hostPort 0 is taken for a port": "test_host_port_zero_is_none",
    "who may not make namespaces reads of setns": "test_who_may_not_make_namespaces_is_told_that_it_needs_root",
}
_USERS = {
    "several backends that are all denied": "test_backends_that_are_all_denied_are_denied_with_the_policy",
    "--lab is missing": "test_every_verb_on_a_running_lab_takes_it_by_option",
    "down of several labs, or of all": "test_down_takes_several_labs_and_guesses_what_was_meant "
    "test_down_all_removes_ones_own_and_names_the_others",
    "a lab is said not to run to those who may not see it": "test_who_may_not_act_is_told_that_the_lab_runs_and_what_to_type",
    "delete of the DNS server": "test_the_deleted_dns_server_comes_again_with_its_names",
    "sections that pages lack": "test_a_page_has_every_section_in_order",
    "a dead name server is green": "test_a_stopped_dns_server_makes_the_check_red test_a_wrong_address_is_no_resolution",
    "a failure does not say why": "test_a_failure_names_the_nearest_rule_of_both_sides",
    "file formats without a reference": "test_the_references_of_the_file_formats_are_what_their_schemas_say",
    "words for things that do not exist": "test_words_are_of_things_that_exist test_help_is_a_verb",
    "expectations of another lab's folder": "test_expectations_are_of_the_lab_in_their_folder",
    "expectations without a size": "test_so_many_bytes_must_arrive",
    "manifests beside a file are left out in silence": "test_up_of_a_file_says_which_manifests_beside_it_were_left_out",
    "a template that was not rendered": "test_a_template_that_was_not_rendered_is_told_once",
    "bootstrap without netlab, or with --help": "test_help_is_answered_and_installs_nothing "
    "test_a_verb_without_netlab_is_answered_with_the_line_to_type",
}
HELD = {**_ATTACK, **_KERNELS_AND_CLIENTS, **_USERS}


@pytest.mark.parametrize("finding", HELD)
def test_every_finding_has_a_test(finding: str) -> None:
    assert set(HELD[finding].split()) <= existing_tests()
