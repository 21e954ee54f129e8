"""Identity, labels, owners and nodes of the Pods of controllers, on running labs."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent


@contextmanager
def up(netlab: Callable[..., Any], name: str, lab: str) -> Iterator[Callable[..., str]]:
    """The lab of a file, under a name of the test's own; yields what runs a verb in it and gives its output."""

    def run(*words: str) -> str:
        return str(netlab(*words).stdout).strip()

    try:
        run("up", str(HERE / name), "--name", lab)
        yield lambda verb, *words: run(verb, "--lab", lab, *words)
    finally:
        netlab("down", lab, check=None)


def test_members_of_a_statefulset_have_names(netlab: Callable[..., Any], lab: str) -> None:
    with up(netlab, "statefulset.yaml", lab) as run:
        full = "cassandra-0.cassandra.default.svc.cluster.local"
        address = run("get", "pod", "cassandra-0", "-o", "jsonpath={.status.podIP}")
        dig = ("exec", "client", "--", "dig", "+short", "+tries=2", "+time=5")
        assert run(*dig, full) == address
        assert run(*dig, "-x", address) == f"{full}."
        targets = run(*dig, "SRV", "_cql._tcp.cassandra.default.svc.cluster.local")
        assert {line.split()[3].partition(".")[0] for line in targets.splitlines()} == {"cassandra-0", "cassandra-1"}
        assert run("exec", "cassandra-0", "--", "hostname", "-f") == full
        assert "hostname: cassandra-0" in run("get", "endpointslices", "-o", "yaml")
        assert run("get", "pods", "-l", "apps.kubernetes.io/pod-index=1", "-o", "name") == "pod/cassandra-1"


def test_policies_select_by_the_labels_of_the_job_controller(netlab: Callable[..., Any], lab: str) -> None:
    with up(netlab, "labels.yaml", lab) as run:
        job = run("get", "pods", "-l", "job-name=migrate", "-o", "jsonpath={.items[0].metadata.name}")
        address = run("get", "pod", "db", "-o", "jsonpath={.status.podIP}")
        run("exec", job, "--", "curl", "-sS", "-o", "/dev/null", "-m", "10", f"http://{address}:5432")
        other = run("get", "pods", "-l", "app=web", "-o", "jsonpath={.items[0].metadata.name}")
        curl = ("curl", "-sS", "-m", "1", f"http://{address}:5432")
        assert netlab("exec", "--lab", lab, other, "--", *curl, check=None).status == 28
        sets = json.loads(run("get", "rs", "-o", "json"))["items"]
        pod = json.loads(run("get", "pod", other, "-o", "json"))["metadata"]
        assert pod["ownerReferences"][0]["uid"] == sets[0]["metadata"]["uid"]


def test_a_dump_has_the_pods_that_it_names(netlab: Callable[..., Any], lab: str) -> None:
    with up(netlab, "dump.yaml", lab) as run:
        assert run("get", "pods", "-n", "shop", "-l", "pod-template-hash", "-o", "name") == "pod/web-5d9c-x7x7x"
        assert "Completed" in run("get", "pod", "-n", "shop", "migrate-1-done")
        slices = json.loads(run("get", "endpointslices", "-n", "shop", "-o", "json"))["items"]
        assert sum(len(one["endpoints"]) for one in slices) == 1
        run("exec", "shop/client", "--", "curl", "-sS", "-o", "/dev/null", "-m", "10", "http://10.96.44.5")


def test_two_pods_with_one_host_port_are_on_two_nodes(netlab: Callable[..., Any], lab: str) -> None:
    with up(netlab, "hostports.yaml", lab) as run:
        pods = json.loads(run("get", "pods", "-o", "json"))["items"]
        nodes = {one["metadata"]["labels"]["app"]: one["spec"]["nodeName"] for one in pods}
        assert nodes["a"] != nodes["c"]
        for node in ("node-1", "node-2"):
            run("exec", "node-1", "--", "curl", "-sS", "-o", "/dev/null", "-m", "10", f"http://{_address(run, node)}")


def _address(run: Callable[..., str], node: str) -> str:
    return run("get", "node", node, "-o", "jsonpath={.status.addresses[0].address}")


def test_a_host_network_pod_does_not_move(netlab: Callable[..., Any], lab: str) -> None:
    with up(netlab, "hostnetwork.yaml", lab) as run:
        node = run("get", "pod", "agent", "-o", "jsonpath={.spec.nodeName}")
        again = netlab("up", str(HERE / "hostnetwork.yaml"), "--name", lab, "-o", "json")
        assert json.loads(again.stdout)["changed"] == 0
        assert run("get", "pod", "agent", "-o", "jsonpath={.spec.nodeName}") == node


def test_services_select_a_member_by_its_index(netlab: Callable[..., Any], lab: str) -> None:
    with up(netlab, "chart-labels.yaml", lab) as run:
        job = run("get", "pods", "-l", "job-name=migrate", "-o", "jsonpath={.items[0].metadata.name}")
        said = run("exec", job, "--", "curl", "-sS", "-m", "10", "http://primary:5432")
        assert json.loads(said)["pod"].endswith("db-0")


def _pod(run: Callable[..., str], *selector: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(run("get", "pods", *selector, "-o", "json"))["items"][0]
    return found


def test_a_deleted_pod_is_made_anew_by_its_controller(netlab: Callable[..., Any], lab: str) -> None:
    with up(netlab, "anew.yaml", lab) as run:
        for owner, selector in (("Deployment", "app=web"), ("DaemonSet", "app=ag"), ("Job", "job-name=long")):
            before = json.loads(run("get", "pods", "-l", selector, "-o", "json"))["items"]
            old = before[0]["metadata"]["name"]
            said = run("delete", "pod", old).splitlines()
            after = json.loads(run("get", "pods", "-l", selector, "-o", "json"))["items"]
            (new,) = {one["metadata"]["name"] for one in after} - {one["metadata"]["name"] for one in before}
            assert len(after) == len(before) and new.rpartition("-")[0] == old.rpartition("-")[0], owner
            assert said[0] == f'pod "{old}" deleted' and said[1].startswith(f'pod "{new}" made by '), said
            known = {one["status"]["podIP"] for one in before}
            assert all(one["status"]["podIP"] not in known for one in after if one["metadata"]["name"] == new), owner
        set_name = run("get", "rs", "-o", "name")
        pods = run("get", "pods", "-l", "app=web", "-o", "name").splitlines()
        assert f'"{set_name.partition("/")[2]}" deleted' in run("delete", *set_name.split("/"))
        assert not set(run("get", "pods", "-l", "app=web", "-o", "name").splitlines()) & set(pods)


def test_a_deleted_member_of_a_statefulset_begins_anew_under_its_name(netlab: Callable[..., Any], lab: str) -> None:
    with up(netlab, "anew.yaml", lab) as run:
        run("exec", "db-0", "--", "touch", "/tmp/kept")
        run("label", "pod", "db-0", "by=hand")
        before = _pod(run, "-l", "app=db")
        run("delete", "pod", "db-0")
        after = _pod(run, "-l", "app=db")
        assert after["metadata"]["name"] == "db-0" and "by" not in after["metadata"]["labels"]
        assert after["metadata"]["uid"] != before["metadata"]["uid"]
        assert after["status"]["podIP"] != before["status"]["podIP"]
        assert "kept" not in run("exec", "db-0", "--", "ls", "/tmp")
        dig = ("dig", "+short", "+tries=2", "+time=5", "db-0.db.default.svc.cluster.local")
        assert run("exec", "one", "--", *dig) == after["status"]["podIP"]
        run(
            "exec",
            "one",
            "--",
            "curl",
            "-sS",
            "-o",
            "/dev/null",
            "-m",
            "10",
            "--retry",
            "9",
            "--retry-connrefused",
            "http://db-0.db",
        )


def test_the_deleted_dns_server_comes_again_with_its_names(netlab: Callable[..., Any], lab: str) -> None:
    with up(netlab, "anew.yaml", lab) as run:
        uid = _pod(run, "-n", "kube-system")["metadata"]["uid"]
        said = run("delete", "pod", "coredns", "-n", "kube-system")
        assert said.splitlines()[0] == 'pod "coredns" deleted' and 'pod "coredns" made by netlab' in said
        assert _pod(run, "-n", "kube-system")["metadata"]["uid"] != uid
        address = _pod(run, "-l", "app=db")["status"]["podIP"]
        dig = ("dig", "+short", "+tries=2", "+time=5", "db-0.db.default.svc.cluster.local")
        assert run("exec", "one", "--", *dig) == address


def test_what_was_made_anew_stays_so_and_a_new_lab_begins_at_the_beginning(
    netlab: Callable[..., Any], lab: str
) -> None:
    with up(netlab, "anew.yaml", lab) as run:
        first = run("get", "pods", "-o", "name")
        run("delete", "pod", *(one.partition("/")[2] for one in first.splitlines() if "/web-" in one or "/db-" in one))
        ended = run("get", "pods", "-l", "job-name=ends", "-o", "jsonpath={.items[0].metadata.name}")
        assert run("delete", "pod", ended) == f'pod "{ended}" deleted'  # its Job is complete
        names = run("get", "pods", "-o", "name")
        assert names != first and ended not in names
        again = netlab("up", str(HERE / "anew.yaml"), "--name", lab, "-o", "json")
        assert json.loads(again.stdout)["changed"] == 0
        netlab("apply", "--lab", lab, "-f", str(HERE / "onemore.yaml"))
        assert set(names.splitlines()) < set(run("get", "pods", "-o", "name").splitlines())
        netlab("down", lab)
        netlab("up", str(HERE / "anew.yaml"), "--name", lab)
        assert run("get", "pods", "-o", "name") == first


def test_a_deleted_pod_of_a_dump_is_replaced_by_its_deployment(netlab: Callable[..., Any], lab: str) -> None:
    with up(netlab, "dump.yaml", lab) as run:
        said = run("delete", "pod", "web-5d9c-x7x7x", "-n", "shop")
        assert 'pod "web-5d9c-x7x7x" deleted' in said and "made by ReplicaSet/web-5d9c" in said
        (name,) = run("get", "pods", "-n", "shop", "-l", "pod-template-hash", "-o", "name").splitlines()
        assert name.startswith("pod/web-5d9c-") and not name.endswith("x7x7x")
        run("exec", "shop/client", "--", "curl", "-sS", "-o", "/dev/null", "-m", "10", "http://10.96.44.5")


@pytest.fixture(scope="module")
def workloads(netlab: Callable[..., Any]) -> Iterator[Callable[..., str]]:
    """One lab for all that read it: its ``up`` waits for a probe that never succeeds."""
    with up(netlab, "workloads.yaml", f"cols{os.getpid()}") as run:
        yield run


def _table(text: str) -> dict[str, dict[str, str]]:
    """A table's rows by name; no cell of these is empty but a DURATION."""
    heads, *rows = text.splitlines()
    starts = [found.start() for found in re.finditer(r"\S+(?: \S+)*", heads)]
    cells = [[row[start:end].strip() for start, end in pairwise([*starts, None])] for row in rows]
    return {one[0]: dict(zip(re.split(r"\s{2,}", heads.strip()), one, strict=True)) for one in cells}


def test_workloads_have_the_columns_of_kubectl(workloads: Callable[..., str]) -> None:
    run = workloads
    found = {kind: _table(run("get", kind)) for kind in ("deploy", "rs", "ds", "sts", "jobs", "cj", "rc")}
    for kind, rows in found.items():
        for row in rows.values():
            assert re.fullmatch(r"\d+m?\d*s?", row.pop("AGE")) and row.pop("NAME"), kind
    assert found["deploy"] == {"web": {"READY": "1/3", "UP-TO-DATE": "3", "AVAILABLE": "1"}}
    assert [*found["rs"].values()] == [{"DESIRED": "3", "CURRENT": "3", "READY": "1"}]
    counts = {"DESIRED": "2", "CURRENT": "2", "READY": "0", "UP-TO-DATE": "2", "AVAILABLE": "0"}
    assert found["ds"] == {"ag": counts | {"NODE SELECTOR": "kubernetes.io/os=linux"}}
    assert found["sts"] == {"db": {"READY": "2/2"}}
    assert found["rc"] == {"old": {"DESIRED": "1", "CURRENT": "1", "READY": "1"}}
    jobs = {name: (row["STATUS"], row["COMPLETIONS"]) for name, row in found["jobs"].items()}
    night = jobs.pop(next(name for name in jobs if name.startswith("night-")))
    assert night == ("Running", "0/1") and jobs == {
        "ends": ("Complete", "1/1"),
        "fails": ("Failed", "0/1"),
        "runs": ("Running", "0/3"),
        "waits": ("Suspended", "0/1"),
        "hook": ("Complete", "1/1"),
    }
    assert found["jobs"]["waits"]["DURATION"] == "" != found["jobs"]["ends"]["DURATION"]
    cron = found["cj"]["night"]
    assert (cron["SCHEDULE"], cron["TIMEZONE"], cron["SUSPEND"], cron["ACTIVE"]) == (
        "0 3 * * *",
        "<none>",
        "False",
        "1",
    )
    assert _table(run("get", "deploy", "-o", "wide"))["web"]["SELECTOR"] == "app=web"


def test_statuses_of_workloads_say_what_their_pods_do(workloads: Callable[..., str]) -> None:
    run = workloads
    items = json.loads(run("get", "deploy,ds,sts,rs,jobs", "-o", "json"))["items"]
    status = {f"{one['kind']}/{one['metadata']['name']}": one["status"] for one in items}
    pods = json.loads(run("get", "pods", "-l", "app=web", "-o", "json"))["items"]
    ready = sum({"type": "Ready", "status": "True"} in one["status"]["conditions"] for one in pods)
    web = status["Deployment/web"]
    assert (web["replicas"], web["readyReplicas"], web["unavailableReplicas"]) == (len(pods), ready, 2) == (3, 1, 2)
    assert {one["type"]: one["status"] for one in web["conditions"]} == {
        "Available": "False",
        "Progressing": "True",
    }
    assert status["DaemonSet/ag"]["numberReady"] == 0 and status["DaemonSet/ag"]["desiredNumberScheduled"] == 2
    assert status["StatefulSet/db"]["readyReplicas"] == 2
    assert (status["Job/ends"]["succeeded"], status["Job/fails"]["failed"], status["Job/runs"]["active"]) == (
        1,
        1,
        2,
    )
    assert "Complete" in {one["type"] for one in status["Job/hook"]["conditions"]}
    name = run("get", "deploy", "web", "-o", "jsonpath={.status.readyReplicas}")
    assert name == "1"


def test_pods_without_a_network_are_described_with_the_reason(workloads: Callable[..., str]) -> None:
    run = workloads
    waits = run("describe", "pod", "waits")
    (event,) = [line for line in waits.splitlines() if "FailedScheduling" in line]
    assert event.split()[0] == "Warning" and "0/2 nodes are available: 1 node(s) didn't match" in event
    assert "Status:           Pending" in waits and "PodScheduled                False" in waits
    assert "FailedScheduling" in run("get", "events")
    done = run("describe", "pod", "done")
    assert "Status:           Succeeded" in done and "10.244.1.77" in done and "FailedScheduling" not in done
    name = run("get", "rs", "-o", "name").partition("/")[2]
    assert f"name: {name}" in run("describe", "rs", name)


def test_a_dumped_deployment_that_is_edited_and_applied_rolls_over_and_back(
    netlab: Callable[..., Any], lab: str, tmp_path: Path
) -> None:
    def applied(text: str) -> list[str]:
        (tmp_path / "edited.yaml").write_text(text)
        run("apply", "-f", str(tmp_path / "edited.yaml"))
        run("exec", "shop/client", "--", "curl", "-sS", "-o", "/dev/null", "-m", "10", "http://10.96.44.5")
        return run("get", "pods", "-n", "shop", "-l", "app=web,pod-template-hash", "-o", "name").splitlines()

    with up(netlab, "dump.yaml", lab) as run:
        dumped = run("get", "deploy", "web", "-n", "shop", "-o", "yaml")
        assert applied(dumped) == ["pod/web-5d9c-x7x7x"]
        (new,) = applied(dumped.replace("image: nginx", "image: nginx:2"))
        assert "web-5d9c" not in new
        sets = _table(run("get", "rs", "-n", "shop"))
        assert {name: row["DESIRED"] for name, row in sets.items() if row["DESIRED"] != "0"} == {
            new.removeprefix("pod/").rpartition("-")[0]: "1"
        }
        assert _table(run("get", "deploy", "-n", "shop"))["web"]["UP-TO-DATE"] == "1"
        three = applied(dumped.replace("replicas: 1", "replicas: 3", 1))
        assert len(three) == 3 and all(one.startswith("pod/web-5d9c-") for one in three)
        assert len(applied(dumped)) == 1


def test_a_second_up_of_workloads_changes_nothing(netlab: Callable[..., Any], workloads: Callable[..., str]) -> None:
    pods = workloads("get", "pods", "-A", "-o", "name")
    again = netlab("up", str(HERE / "workloads.yaml"), "--name", f"cols{os.getpid()}", "-o", "json")
    assert json.loads(again.stdout)["changed"] == 0
    assert workloads("get", "pods", "-A", "-o", "name") == pods


@pytest.mark.parametrize("name", ["dump.yaml", "chart-labels.yaml"])
def test_a_second_up_of_the_same_files_changes_nothing(netlab: Callable[..., Any], lab: str, name: str) -> None:
    with up(netlab, name, lab) as run:
        pods = run("get", "pods", "-A", "-o", "name")
        again = netlab("up", str(HERE / name), "--name", lab, "-o", "json")
        assert json.loads(again.stdout)["changed"] == 0
        assert run("get", "pods", "-A", "-o", "name") == pods
