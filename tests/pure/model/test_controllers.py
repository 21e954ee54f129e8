"""Names, labels, owners and nodes of Pods, as the controllers and the scheduler of a cluster give them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest

from netlab.errors import BadInput
from netlab.model import Built, Memory, build
from netlab.plan.environment import environment
from netlab.spec import load_text

Body = dict[str, Any]
_NODES: list[Body] = [{"name": "node-1"}, {"name": "node-2"}]


def made(*documents: Body, nodes: Sequence[Body] = _NODES, memory: Memory | None = None, **spec: Any) -> Built:
    listed = {"nodes": list(nodes)} if nodes else {}
    lab = {"apiVersion": "netlab/v1", "kind": "Lab", "metadata": {"name": "t"}, "spec": {**listed, **spec}}
    return build(load_text("\n---\n".join(map(json.dumps, (lab, *documents)))), memory=memory)


def template(labels: Body | None = None, **spec: Any) -> Body:
    containers = [{"name": "c", "image": "x", **spec.pop("container", {})}]
    return {"metadata": {"labels": labels or {"app": "a"}}, "spec": {"containers": containers, **spec}}


def workload(kind: str, name: str, pod: Body | None = None, **spec: Any) -> Body:
    version = "batch/v1" if kind in ("Job", "CronJob") else "apps/v1"
    selector = {} if kind == "Job" else {"selector": {"matchLabels": {"app": "a"}}}
    pod = pod or template()
    if kind == "Job":
        pod["spec"]["restartPolicy"] = "Never"
    return {
        "apiVersion": version,
        "kind": kind,
        "metadata": {"name": name},
        "spec": {**selector, "template": pod, **spec},
    }


def pod(name: str, labels: Body | None = None, **spec: Any) -> Body:
    made = template(labels, **spec)
    made["metadata"]["name"] = name
    return {"apiVersion": "v1", "kind": "Pod", **made}


def where(built: Built) -> dict[str, str]:
    return {one.name: one.node for one in built.cluster.pods}


def port(number: int) -> Body:
    return {"ports": [{"containerPort": number, "hostPort": number}]}


def apart(key: str = "kubernetes.io/hostname", labels: Body | None = None) -> Body:
    term = {"labelSelector": {"matchLabels": labels or {"app": "a"}}, "topologyKey": key}
    return {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}


# -- names, labels, owners --------------------------------------------------------------------------------------------


def test_a_deployment_has_a_replicaset_that_owns_its_pods() -> None:
    cluster = made(workload("Deployment", "web", replicas=2)).cluster
    (replica_set,) = cluster.made
    word = cluster.pods[0].labels["pod-template-hash"]
    assert (replica_set.kind, replica_set.name, replica_set.owner) == (
        "ReplicaSet",
        f"web-{word}",
        ("Deployment", "web"),
    )
    assert {one.controller for one in cluster.pods} == {f"ReplicaSet/web-{word}"}
    assert {one.owner for one in cluster.pods} == {"Deployment/web"}


def test_a_changed_template_makes_other_pods_and_a_changed_count_does_not() -> None:
    names = set(where(made(workload("Deployment", "web", replicas=2))))
    assert names < set(where(made(workload("Deployment", "web", replicas=3))))
    changed = workload("Deployment", "web", template(container={"image": "y"}), replicas=2)
    assert not names & set(where(made(changed)))


def test_long_names_are_cut_as_kubernetes_cuts_them() -> None:
    (name,) = where(made(workload("Deployment", "d" * 60)))
    assert len(name) == 63 and name.startswith("d" * 58)
    (index,) = where(made(workload("Job", "j" * 60, completionMode="Indexed", completions=1)))
    assert len(index) == 63 and index.startswith("j" * 55 + "-0-")


def test_members_of_a_statefulset_have_the_identity_that_its_service_name_gives() -> None:
    member = made(workload("StatefulSet", "db", serviceName="dbs")).cluster.pods[0]
    assert (member.hostname, member.subdomain, member.spec["subdomain"]) == ("db-0", "dbs", "dbs")
    labels = {"apps.kubernetes.io/pod-index": "0", "statefulset.kubernetes.io/pod-name": "db-0"}
    assert labels.items() <= member.labels.items()
    assert member.labels["controller-revision-hash"].startswith("db-")


def test_jobs_label_their_pods_also_where_the_template_has_no_label() -> None:
    job = workload(
        "Job",
        "m",
        {"spec": {"containers": [{"name": "c", "image": "x"}]}},
        completionMode="Indexed",
        completions=2,
        parallelism=2,
    )
    first, second = made(job).cluster.pods
    assert first.labels["job-name"] == first.labels["batch.kubernetes.io/job-name"] == "m"
    assert first.labels["controller-uid"] == first.labels["batch.kubernetes.io/controller-uid"]
    assert [one.labels["batch.kubernetes.io/job-completion-index"] for one in (first, second)] == ["0", "1"]
    assert second.hostname == "m-1" and second.name.startswith("m-1-")


def test_pods_of_an_indexed_job_find_their_index_in_their_environment() -> None:
    own = {"env": [{"name": "JOB_COMPLETION_INDEX", "value": "mine"}]}
    for container, seen in (({}, ["0", "1"]), (own, ["mine", "mine"])):
        job = workload(
            "Job", "m", template(container=container), completionMode="Indexed", completions=2, parallelism=2
        )
        cluster = made(job).cluster
        found = [environment(one.spec["containers"][0], one, cluster)["JOB_COMPLETION_INDEX"] for one in cluster.pods]  # type: ignore[index]
        assert found == seen


def test_the_uid_in_a_pods_environment_is_its_own_and_another_when_it_is_made_anew() -> None:
    uid: Body = {"env": [{"name": "UID", "valueFrom": {"fieldRef": {"fieldPath": "metadata.uid"}}}]}
    documents = workload("StatefulSet", "db", template(container=uid), serviceName="db")
    first = made(documents).cluster
    second = made(documents, memory=Memory.of(first).without({"default/db-0": first.pods[0].slot})).cluster
    seen = [environment(one.pods[0].spec["containers"][0], one.pods[0], one)["UID"] for one in (first, second)]  # type: ignore[index]
    assert seen == [first.uid(first.pods[0]), second.uid(second.pods[0])] and seen[0] != seen[1]


def test_daemonsets_label_their_pods() -> None:
    labels = made(workload("DaemonSet", "agent")).cluster.pods[0].labels
    assert labels["pod-template-generation"] == "1" and labels["controller-revision-hash"]


def test_a_pod_that_is_made_anew_has_another_name() -> None:
    two = made(workload("Deployment", "web", replicas=2)).cluster
    one = made(workload("Deployment", "web", replicas=1), memory=Memory.of(two)).cluster
    again = made(workload("Deployment", "web", replicas=2), memory=Memory.from_json(Memory.of(one).to_json())).cluster
    assert two.pods[0].name == again.pods[0].name
    assert two.pods[1].name != again.pods[1].name


def test_a_pod_whose_slot_ended_has_another_address_while_there_is_one() -> None:
    documents = workload("Deployment", "web", replicas=2), workload("StatefulSet", "db", serviceName="db")
    nodes: list[Body] = [{"name": "node-1", "podCIDR": "10.0.0.0/29"}]
    first = made(*documents, nodes=nodes).cluster
    ended = {str(one): one.slot for one in first.pods if one.name == "db-0" or one == first.pods[0]}
    second = made(*documents, nodes=nodes, memory=Memory.of(first).without(ended)).cluster
    assert first.pods[1] == second.pods[1] and second.pods[2].name == "db-0"
    assert not {one.addresses for one in second.pods} & {first.pods[0].addresses, first.pods[2].addresses}
    every = {str(one): one.slot for one in second.pods}
    third = made(*documents, nodes=nodes, memory=Memory.of(second).without(every)).cluster
    assert len({one.addresses for one in third.pods}) == 3  # 5 addresses, 3 of them those of the Pods that go
    assert made(*documents, nodes=nodes, memory=Memory.of(third)).cluster == third


def test_pods_of_a_dump_are_those_of_the_deployment_also_without_its_replicaset() -> None:
    there = pod("web-5d9c-x7x7x", {"app": "a", "pod-template-hash": "5d9c"})
    there["metadata"]["ownerReferences"] = [
        {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web-5d9c", "uid": "r", "controller": True}
    ]
    cluster = made(workload("Deployment", "web", replicas=2), there).cluster
    assert [one.owner for one in cluster.pods] == ["Deployment/web"] * 2
    assert "web-5d9c-x7x7x" in where(made(workload("Deployment", "web", replicas=2), there))
    assert all(one.name.startswith("web-5d9c-") for one in cluster.pods)


def dumped(kind: str, name: str, owner: tuple[str, str] | None = None, **body: Any) -> Body:
    """An object of a cluster's dump, with the reference to its controller."""
    version = "v1" if kind == "Pod" else "apps/v1"
    metadata = {"name": name, **body.pop("metadata", {})}
    if owner:
        metadata["ownerReferences"] = [
            {"apiVersion": "apps/v1", "kind": owner[0], "name": owner[1], "uid": "u", "controller": True}
        ]
    return {"apiVersion": version, "kind": kind, "metadata": metadata, **body}


def dump(image: str = "x", replicas: int = 2, filled: bool = True, **more: Any) -> list[Body]:
    """A Deployment with two ReplicaSets, of images x and w, and the two Pods of the newer."""

    def pods_template(which: str, word: str = "") -> Body:
        made = template({"app": "a"} | ({"pod-template-hash": word} if word else {}), container={"image": which})
        if filled and not word:  # the API fills in what a shortened dump leaves out
            made["spec"] |= {"restartPolicy": "Always", "dnsPolicy": "ClusterFirst", "securityContext": {}}
        return made

    def replica_set(word: str, which: str, revision: str, count: int) -> Body:
        annotations = {"annotations": {"deployment.kubernetes.io/revision": revision}}
        spec = {"replicas": count, "selector": {"matchLabels": {"app": "a", "pod-template-hash": word}},
                "template": pods_template(which, word)}  # fmt: skip
        return dumped("ReplicaSet", f"web-{word}", ("Deployment", "web"), metadata=annotations, spec=spec)

    def member(name: str) -> Body:
        labels = {"labels": {"app": "a", "pod-template-hash": "bbbb"}}
        spec = {"nodeName": "node-1", **template(container={"image": "x"})["spec"]}
        return dumped("Pod", name, ("ReplicaSet", "web-bbbb"), metadata=labels, spec=spec)

    deployment = {
        "replicas": replicas,
        "selector": {"matchLabels": {"app": "a"}},
        "template": pods_template(image),
        **more,
    }
    return [dumped("Deployment", "web", spec=deployment), replica_set("aaaa", "w", "1", 0),
            replica_set("bbbb", "x", "2", 2), member("web-bbbb-11111"), member("web-bbbb-22222")]  # fmt: skip


def test_a_dumped_deployment_runs_the_replicaset_that_it_has() -> None:
    for more in ({"filled": True}, {"filled": False}, {"image": "y", "paused": True}):
        built = made(*dump(**more)).cluster
        assert [one.name for one in built.pods] == ["web-bbbb-11111", "web-bbbb-22222"] and not built.made


def test_an_edited_template_of_a_dumped_deployment_rolls_over() -> None:
    cluster = made(*dump(image="y")).cluster
    (new,) = cluster.made
    assert new.annotations["deployment.kubernetes.io/revision"] == "3"
    assert {one.controller for one in cluster.pods} == {f"ReplicaSet/{new.name}"} and len(cluster.pods) == 2
    assert {one.containers[0].image for one in cluster.pods} == {"y"}


def test_a_dumped_deployment_goes_back_to_an_older_replicaset() -> None:
    cluster = made(*dump(image="w")).cluster
    assert [one.controller for one in cluster.pods] == ["ReplicaSet/web-aaaa"] * 2 and not cluster.made


def test_pods_of_a_dump_go_where_their_deployment_wants_fewer() -> None:
    assert [one.name for one in made(*dump(replicas=1)).cluster.pods] == ["web-bbbb-11111"]
    three = [one.name for one in made(*dump(replicas=3)).cluster.pods]
    assert len(three) == 3 and {"web-bbbb-11111", "web-bbbb-22222"} < set(three)
    deployment, _, _, *pods = dump(replicas=1)
    assert [one.name for one in made(deployment, *pods).cluster.pods] == ["web-bbbb-11111"]


def test_pods_of_a_dump_without_replicasets_are_compared_with_the_template() -> None:
    deployment, _, _, *pods = dump()
    assert len(made(deployment, *pods).cluster.pods) == 2 and "web-bbbb-11111" in where(made(deployment, *pods))
    deployment, _, _, *pods = dump(image="y")
    assert not {"web-bbbb-11111", "web-bbbb-22222"} & set(where(made(deployment, *pods)))


def test_members_of_a_dumped_statefulset_go_and_roll_over() -> None:
    def members(image: str, replicas: int) -> Any:
        there = [dumped("Pod", f"db-{number}", ("StatefulSet", "db"), metadata={"labels": {"app": "a"}},
                        spec=template()["spec"], status={"podIP": f"10.244.1.{20 + number}"}) for number in range(3)]  # fmt: skip
        return made(workload("StatefulSet", "db", template(container={"image": image}), replicas=replicas), *there)

    assert [one.name for one in members("x", 1).cluster.pods] == ["db-0"]
    assert [one.containers[0].image for one in members("x", 2).cluster.pods] == ["x", "x"]
    assert [one.name for one in members("y", 2).cluster.pods] == ["db-0", "db-1"]
    assert {one.containers[0].image for one in members("y", 2).cluster.pods} == {"y"}


def test_pods_that_have_ended_do_not_run() -> None:
    done, crashed = pod("done"), pod("crashed")
    done["status"], crashed["status"] = {"phase": "Succeeded"}, {"phase": "Failed"}
    cluster = made(done, crashed, pod("p")).cluster
    assert [one.name for one in cluster.pods] == ["p"]
    assert [(one.name, one.phase) for one in cluster.idle] == [("done", "Succeeded"), ("crashed", "Failed")]


# -- placement --------------------------------------------------------------------------------------------------------


def test_pods_that_want_a_port_of_the_node_are_on_different_nodes() -> None:
    built = made(pod("a", container=port(80)), pod("b"), pod("c", container=port(80)), pod("d", container=port(80)))
    assert where(built) == {"a": "node-1", "b": "node-2", "c": "node-2"}
    (warning,) = [one for one in built.warnings if one.code == "pending"]
    assert warning.message == (
        "Pod default/d: Pending: 0/2 nodes are available: 2 node(s) didn't have free ports for the requested pod ports."
    )
    assert [(one.name, one.phase, one.reason) for one in built.cluster.idle] == [("d", "Pending", "Unschedulable")]


def test_two_pods_that_name_one_node_and_want_its_port_are_bad_input() -> None:
    with pytest.raises(BadInput, match="Pods default/a and default/b both want 80/TCP of node node-1 itself"):
        made(*(pod(name, container=port(80), nodeName="node-1") for name in "ab"))


def test_labels_of_the_kubelet_are_on_every_node() -> None:
    keys = ["beta.kubernetes.io/os", "kubernetes.io/os", "beta.kubernetes.io/arch", "kubernetes.io/arch"]
    built = made(pod("p", nodeSelector=dict(zip(keys, ["linux", "linux", "amd64", "amd64"], strict=True))))
    assert where(built) == {"p": "node-1"} and not built.warnings


def test_node_affinity_has_all_operators() -> None:
    nodes = [{"name": "a", "labels": {"n": "3", "zone": "x"}}, {"name": "b", "labels": {"n": "9"}}]
    cases = [("n", "Gt", ["5"], "b"), ("n", "Lt", ["5"], "a"), ("zone", "In", ["x"], "a"), ("zone", "NotIn", ["x"], "b"),
             ("zone", "Exists", [], "a"), ("zone", "DoesNotExist", [], "b")]  # fmt: skip
    for key, operator, values, node in cases:
        wanted: Body = {"key": key, "operator": operator} | ({"values": values} if values else {})
        terms = {
            "requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [{"matchExpressions": [wanted]}]}
        }
        assert where(made(pod("p", affinity={"nodeAffinity": terms}), nodes=nodes)) == {"p": node}, operator


def test_taints_keep_pods_away_that_do_not_tolerate_them() -> None:
    nodes: list[Body] = [
        {"name": "a", "taints": [{"key": "gpu", "value": "yes", "effect": "NoSchedule"}]},
        {"name": "b"},
    ]
    tolerant = pod("t", tolerations=[{"key": "gpu", "operator": "Exists"}])
    assert where(made(tolerant, pod("p"), nodes=nodes)) == {"t": "a", "p": "b"}
    says = made(pod("p"), nodes=nodes[:1]).warnings[0].message
    assert says == "Pod default/p: Pending: 0/1 nodes are available: 1 node(s) had untolerated taint {gpu: yes}."
    assert {one.node for one in made(workload("DaemonSet", "d"), nodes=nodes).cluster.pods} == {"b"}


def test_a_pod_with_a_scheduling_gate_waits_though_nodes_fit() -> None:
    found = made(pod("held", schedulingGates=[{"name": "example.com/quota"}]), pod("free"))
    assert where(found) == {"free": "node-1"}
    (held,) = found.cluster.idle
    assert (held.reason, held.message) == ("SchedulingGated", "Scheduling is blocked due to non-empty scheduling gates")
    assert "scheduling gates" in found.warnings[0].message


def test_pods_keep_apart_and_together() -> None:
    alone = made(workload("Deployment", "web", template(affinity=apart()), replicas=3))
    assert sorted(where(alone).values()) == ["node-1", "node-2"] and len(alone.cluster.idle) == 1
    unwelcome = made(pod("p", affinity=apart()), pod("q", {"app": "a"}), pod("r", {"app": "b"}))
    assert where(unwelcome)["q"] == "node-2"
    term = {"labelSelector": {"matchLabels": {"app": "db"}}, "topologyKey": "kubernetes.io/hostname"}
    near = {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}
    assert where(made(pod("x", affinity=near), pod("y"), pod("db", {"app": "db"})))["x"] == "node-2"


def test_hard_topology_spread_is_kept() -> None:
    spread = {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule",
              "labelSelector": {"matchLabels": {"app": "a"}}}  # fmt: skip
    nodes: list[Body] = [{"name": "a", "labels": {"zone": "x"}}, {"name": "b", "labels": {"zone": "x"}},
                         {"name": "c", "labels": {"zone": "y"}}]  # fmt: skip
    found = where(
        made(workload("Deployment", "w", template(topologySpreadConstraints=[spread]), replicas=4), nodes=nodes)
    )
    assert sorted(found.values()).count("c") == 2


def test_nodes_that_the_lab_does_not_name_take_every_pod() -> None:
    built = made(pod("p", nodeSelector={"disk": "ssd"}), nodes=())
    assert where(built) == {"p": "node-1"} and [one.code for one in built.warnings] == ["placed-anyway"]


def test_a_host_network_pod_stays_where_it_is() -> None:
    documents = (pod("first"), pod("agent", hostNetwork=True))
    once = made(*documents)
    assert where(made(*documents, memory=Memory.of(once.cluster))) == where(once)


def test_a_pod_that_is_added_last_is_put_where_a_new_lab_puts_it() -> None:
    before = made(pod("a"), pod("b"), pod("c"))
    added = made(pod("a"), pod("b"), pod("c"), pod("d"), memory=Memory.of(before.cluster))
    assert where(added) == where(made(pod("a"), pod("b"), pod("c"), pod("d")))
