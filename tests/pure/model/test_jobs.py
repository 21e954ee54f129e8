"""Pods of Jobs that have ended: their successors, the back-off, and the limit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from netlab.model import Memory, build
from netlab.model.cluster import Cluster
from netlab.model.workloads.jobs import FAILED, STOPPED, SUCCEEDED, Seen, known
from netlab.spec import load_text

FLAKY = ("default", "flaky")


def text(pod: str = "", more: str = "", **spec: Any) -> str:
    fields = "".join(f"{name}: {value}, " for name, value in spec.items())
    return f"""
{{apiVersion: netlab/v1, kind: Lab, metadata: {{name: t}}, spec: {{nodes: [{{name: node-1}}, {{name: node-2}}]}}}}
---
apiVersion: batch/v1
kind: Job
metadata: {{name: flaky}}
spec: {{{fields}template: {{spec: {{restartPolicy: Never, containers: [{{name: c, image: x}}]{pod}}}}}}}
{more}"""


def made(memory: Memory | None = None, pod: str = "", more: str = "", **spec: Any) -> Cluster:
    return build(load_text(text(pod, more, **spec)), memory=memory).cluster


def names(cluster: Cluster) -> list[str]:
    return [pod.name for pod in cluster.pods]


def after(cluster: Cluster, outcomes: Mapping[str, str]) -> Memory:
    ends = {f"default/{name}": end for name, end in outcomes.items()}
    return replace(Memory.of(cluster), outcomes={**cluster.outcomes, **ends})


def test_a_failed_pod_gets_a_successor_until_more_have_failed_than_the_limit_permits() -> None:
    cluster, seen = made(backoffLimit=2), []
    for _ in range(5):
        seen.append(names(cluster))
        cluster = made(after(cluster, {names(cluster)[-1]: FAILED}), backoffLimit=2)
    assert [len(each) for each in seen] == [1, 2, 3, 3, 3]
    assert len(set(seen[2])) == 3 and seen[2][:2] == seen[1]
    assert len(cluster.outcomes) == 3, "the ends of its Pods stay with the lab"


def test_pods_of_a_job_run_one_after_another_until_enough_have_succeeded() -> None:
    spec = {"completions": 3, "parallelism": 2}
    cluster = made(**spec)
    first, second = names(cluster)
    cluster = made(after(cluster, {second: SUCCEEDED}), **spec)
    assert names(cluster)[:2] == [first, second] and len(names(cluster)) == 3
    cluster = made(after(cluster, {first: SUCCEEDED}), **spec)
    third = names(cluster)[2]
    assert names(made(after(cluster, {third: SUCCEEDED}), **spec)) == [first, second, third]


def test_a_job_that_has_failed_runs_nothing_more() -> None:
    spec = {"completions": 3, "parallelism": 3, "backoffLimit": 0}
    cluster = made(**spec)
    first, second, _ = names(cluster)
    assert names(made(after(cluster, {first: SUCCEEDED, second: FAILED}), **spec)) == [first, second]


def test_the_successor_of_an_indexed_pod_has_its_index() -> None:
    spec = {"completions": 2, "parallelism": 2, "completionMode": "Indexed"}
    cluster = made(**spec)
    first, second = names(cluster)
    cluster = made(after(cluster, {first: FAILED}), **spec)
    index = "batch.kubernetes.io/job-completion-index"
    assert [(pod.name, pod.labels[index]) for pod in cluster.pods if pod.name in (first, second)] == [
        (first, "0"),
        (second, "1"),
    ]
    (new,) = (pod for pod in cluster.pods if pod.name not in (first, second))
    assert new.labels[index] == "0" and new.name.startswith("flaky-0-") and len(cluster.pods) == 3


def test_a_pod_of_another_name_begins_without_the_ends_of_the_old() -> None:
    cluster = made()
    memory = after(cluster, {names(cluster)[0]: FAILED})
    changed = made(memory, pod=", terminationGracePeriodSeconds: 1")
    assert len(names(changed)) == 1 and not changed.outcomes


def test_ended_pods_hold_no_port_and_count_for_no_spreading() -> None:
    port = """
---
apiVersion: v1
kind: Pod
metadata: {name: %s, labels: {app: a}}
spec: {nodeName: "", nodeSelector: {kubernetes.io/hostname: node-1}, containers: [{name: c, image: x, ports: [{containerPort: 80, hostPort: 80}]}]}
"""
    port = port.replace('nodeName: "", ', "")
    one = made(more=port % "one")
    both = made(Memory.of(one), more=port % "one" + port % "two")
    assert [(idle.name, idle.reason) for idle in both.idle] == [("two", "Unschedulable")]
    ended = made(after(one, {"one": SUCCEEDED}), more=port % "one" + port % "two")
    assert {pod.name: pod.node for pod in ended.pods if pod.name in ("one", "two")} == dict.fromkeys(
        ("one", "two"), "node-1"
    )


@pytest.mark.parametrize(("before", "wait"), [(0, 10.0), (1, 20.0), (3, 80.0), (5, 320.0)])
def test_the_back_off_doubles_with_each_failure(before: int, wait: float) -> None:
    cluster = made()
    for _ in range(before):
        cluster = made(after(cluster, {names(cluster)[-1]: FAILED}))
    last = str(cluster.pods[-1])
    seen = {str(pod): Seen(ended=True, failed=True, at=100.0, restarts=0) for pod in cluster.pods}
    specs = {FLAKY: {}}
    assert known(cluster, specs, seen, 100.0) == (cluster.outcomes, wait)
    outcomes, again = known(cluster, specs, seen, 100.0 + wait)
    assert (outcomes[last], again) == (FAILED, None)


def test_the_last_failure_and_a_success_are_known_at_once() -> None:
    cluster = made(backoffLimit=0)
    (pod,) = map(str, cluster.pods)
    for failed, outcome in ((True, FAILED), (False, SUCCEEDED)):
        seen = {pod: Seen(ended=True, failed=failed, at=100.0, restarts=0)}
        assert known(cluster, {FLAKY: {"backoffLimit": 0}}, seen, 100.0) == ({pod: outcome}, None)


def test_restarts_of_containers_count_for_the_limit_of_their_job() -> None:
    cluster = made(backoffLimit=3)
    (pod,) = map(str, cluster.pods)
    runs = Seen(ended=False, failed=False, at=0.0, restarts=2)
    (job,) = load_text(text(backoffLimit=3)).objects
    specs = {FLAKY: job.body["spec"]}
    assert known(cluster, specs, {pod: runs}, 0.0) == ({}, None)
    outcomes, _ = known(cluster, specs, {pod: runs._replace(restarts=3)}, 0.0)
    assert list(outcomes.values()) == [STOPPED]
    stopped = made(replace(Memory.of(cluster), outcomes=outcomes), backoffLimit=3)
    assert not stopped.pods and stopped.outcomes == outcomes
    assert known(stopped, specs, {}, 0.0) == (outcomes, None)
    assert names(made(Memory.of(stopped), backoffLimit=3, pod=", terminationGracePeriodSeconds: 1")), "another Job"


def test_a_pod_that_runs_again_has_no_end() -> None:
    cluster = made()
    (pod,) = map(str, cluster.pods)
    cluster = made(replace(Memory.of(cluster), outcomes={pod: SUCCEEDED}))
    assert known(cluster, {FLAKY: {}}, {pod: Seen(ended=False, failed=False, at=0.0, restarts=0)}, 0.0) == ({}, None)
