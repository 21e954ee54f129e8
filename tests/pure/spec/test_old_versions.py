"""API versions that Kubernetes removed are read as their successors, with one warning that says what to write."""

from __future__ import annotations

import pytest

from netlab.spec import Documents, load_text

TEMPLATE = "{metadata: {labels: {app: web}}, spec: {containers: [{name: c, image: x}]}}"


def good(text: str) -> Documents:
    found = load_text(text, "old.yaml")
    assert [str(one) for one in found.problems] == []
    return found


def test_a_cron_job_of_yesterday_is_read_and_the_warning_names_the_cure() -> None:
    cron = "{apiVersion: batch/v1beta1, kind: CronJob, metadata: {name: NAME}, spec: {schedule: '* * * * *', jobTemplate: {spec: {template: {spec: {restartPolicy: Never, containers: [{name: c, image: x}]}}}}}}\n"
    found = good(cron.replace("NAME", "a") + "---\n" + cron.replace("NAME", "b"))
    assert [(one.api_version, one.body["apiVersion"], one.group) for one in found.objects] == [
        ("batch/v1", "batch/v1", "batch")
    ] * 2
    (warning,) = found.warnings
    assert warning.code == "old-api-version"
    assert (
        str(warning) == "old.yaml:1:1: apiVersions that Kubernetes no longer serves, read as the new ones: "
        "batch/v1beta1 CronJob of 2 objects (removed in 1.25; write batch/v1); from a chart: "
        "helm template --api-versions batch/v1/CronJob, or --kube-version 1.25"
    )


@pytest.mark.parametrize("version", ["extensions/v1beta1", "apps/v1beta1", "apps/v1beta2", "apps/v1"])
@pytest.mark.parametrize("selector", ["", "selector: null, "])
def test_a_deployment_without_a_selector_takes_its_templates_labels_where_the_version_did(
    version: str, selector: str
) -> None:
    text = f"{{apiVersion: {version}, kind: Deployment, metadata: {{name: web}}, spec: {{{selector}template: {TEMPLATE}}}}}"
    found = load_text(text)
    if version in ("apps/v1", "apps/v1beta2"):
        assert "selector" in str(found.problems[0])
        return
    assert not found.problems
    assert found.objects[0].body["spec"]["selector"] == {"matchLabels": {"app": "web"}}


def test_fields_that_only_the_old_version_had_are_dropped() -> None:
    (daemons,) = good(
        "{apiVersion: extensions/v1beta1, kind: DaemonSet, metadata: {name: web}, "
        f"spec: {{templateGeneration: 3, template: {TEMPLATE}}}}}"
    ).objects
    assert set(daemons.body["spec"]) == {"selector", "template"}


def test_an_old_policy_is_a_policy() -> None:
    (policy,) = good(
        "{apiVersion: extensions/v1beta1, kind: NetworkPolicy, metadata: {name: a}, "
        "spec: {podSelector: {}, ingress: [{from: [{podSelector: {}}]}]}}"
    ).objects
    assert (policy.api_version, policy.group) == ("networking.k8s.io/v1", "networking.k8s.io")
    assert policy.body["spec"] == {"podSelector": {}, "ingress": [{"from": [{"podSelector": {}}]}]}


def test_the_topology_of_an_old_slice_is_the_node_and_the_zone() -> None:
    (found,) = good(
        "{apiVersion: discovery.k8s.io/v1beta1, kind: EndpointSlice, metadata: {name: a}, addressType: IPv4, endpoints: "
        "[{addresses: [10.0.0.1], topology: {kubernetes.io/hostname: n, topology.kubernetes.io/zone: z}}]}"
    ).objects
    (endpoint,) = found.body["endpoints"]
    assert (endpoint["nodeName"], endpoint["zone"]) == ("n", "z")


def test_old_kinds_that_cannot_matter_are_counted_and_warned_of_once() -> None:
    found = good(
        "{apiVersion: policy/v1beta1, kind: PodDisruptionBudget, metadata: {name: a}}\n---\n"
        "{apiVersion: policy/v1beta1, kind: PodSecurityPolicy, metadata: {name: a}}\n---\n"
        "{apiVersion: autoscaling/v2beta2, kind: HorizontalPodAutoscaler, metadata: {name: a}}\n"
    )
    assert found.skipped == {"HorizontalPodAutoscaler": 1, "PodDisruptionBudget": 1, "PodSecurityPolicy": 1}
    (warning,) = found.warnings
    assert "policy/v1beta1 PodSecurityPolicy (removed in 1.25; it has no successor)" in warning.message
    assert warning.message.endswith("--api-versions autoscaling/v2/HorizontalPodAutoscaler, or --kube-version 1.26")


def test_a_list_of_an_old_version_is_read_item_by_item() -> None:
    found = good(
        "{apiVersion: extensions/v1beta1, kind: DeploymentList, items: "
        f"[{{metadata: {{name: a}}, spec: {{template: {TEMPLATE}}}}}]}}"
    )
    assert [str(one) for one in found.objects] == ["Deployment default/a"]


def test_an_old_object_and_a_new_one_of_the_same_name_are_one() -> None:
    new = f"{{apiVersion: apps/v1, kind: Deployment, metadata: {{name: a}}, spec: {{selector: {{matchLabels: {{app: web}}}}, template: {TEMPLATE}}}}}"
    found = good(new.replace("apps/v1", "apps/v1beta2") + "\n---\n" + new)
    assert len(found.objects) == 1
    assert [one.code for one in found.warnings] == ["old-api-version", "duplicate"]


def test_a_problem_of_an_old_object_is_at_its_line() -> None:
    text = (
        "apiVersion: apps/v1beta1\nkind: Deployment\nmetadata: {name: a}\nspec:\n  replicas: x\n  template: " + TEMPLATE
    )
    (problem,) = load_text(text).problems
    assert str(problem).startswith("<string>:5:13: spec.replicas: ")


def test_a_version_that_never_was_is_wrong() -> None:
    assert load_text("{apiVersion: networking.k8s.io/v1beta1, kind: NetworkPolicy, metadata: {name: a}}").problems


@pytest.mark.parametrize("spec", ["null", "[]", "text", "{template: null}", "{template: [], selector: x}", "{template: {metadata: {labels: 1}}}"])  # fmt: skip
@pytest.mark.parametrize("version", ["extensions/v1beta1", "apps/v1beta2"])
def test_old_objects_of_any_shape_are_problems(version: str, spec: str) -> None:
    assert load_text(f"{{apiVersion: {version}, kind: Deployment, metadata: {{name: a}}, spec: {spec}}}").problems


@pytest.mark.parametrize("endpoints", ["null", "text", "[text]", "[{addresses: [10.0.0.1], topology: x}]", "[{topology: null}]"])  # fmt: skip
def test_old_slices_of_any_shape_are_answered(endpoints: str) -> None:
    load_text(
        "{apiVersion: discovery.k8s.io/v1beta1, kind: EndpointSlice, metadata: {name: a}, addressType: IPv4, "
        f"endpoints: {endpoints}}}"
    )
