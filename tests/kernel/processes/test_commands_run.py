"""Containers whose command runs: real processes, real restarts, real logs."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from netlab.cli.kinds.podstatus import printed
from netlab.runtime.client.agentclient import start_time
from tests.conftest import run_netlab

if TYPE_CHECKING:
    from tests.kernel.processes.conftest import Lab

pytestmark = pytest.mark.kernel
WEB = ["python3", "-m", "http.server"]


def run(*argv: str, **fields: Any) -> dict[str, Any]:
    return {"name": "c", "image": "x", "command": list(argv), **fields}


def sh(script: str, **fields: Any) -> dict[str, Any]:
    return run("sh", "-c", script, **fields)


def pod(*containers: dict[str, Any], **spec: Any) -> dict[str, Any]:
    return {**spec, "containers": list(containers)}


def test_a_web_server_serves_as_soon_as_up_returns(lab: Lab) -> None:
    web = run(*WEB, "$(PORT)", env=[{"name": "PORT", "value": "8000"}], workingDir="/srv/www/of-the-pod")
    web["ports"] = [{"containerPort": 8000}]
    lab.up({"client": pod(run("sleep", "3600")), "web": pod(web)})
    address = lab.pod("web")["status"]["podIP"]
    said = lab.exec("client", "wget", "-qO-", f"http://{address}:8000/").stdout
    assert "Directory listing" in said
    assert lab.exec("web", "pwd").stdout == "/srv/www/of-the-pod\n"
    assert lab.exec("web", "sh", "-c", "echo $PORT $HOSTNAME").stdout == "8000 web\n"
    assert lab.pods() == {"client": ("1/1", "Running", "0"), "web": ("1/1", "Running", "0")}
    lab.until(lambda: "GET / " in lab.netlab("logs", "web").stdout)


def test_a_port_that_the_command_does_not_open_is_closed(lab: Lab) -> None:
    lab.up({"idle": pod(run("sleep", "3600", ports=[{"containerPort": 80}])), "client": pod(run("sleep", "3600"))})
    address = lab.pod("idle")["status"]["podIP"]
    refused = lab.exec("client", "wget", "-O-", "-T", "2", "-t", "1", f"http://{address}/", check=None)
    assert refused.status != 0
    assert "refused" in refused.stderr


def test_up_again_changes_nothing_and_a_new_spec_restarts_only_that(lab: Lab) -> None:
    pods = {"a": pod(run("sleep", "3600")), "b": pod(run("sleep", "3600"))}
    lab.up(pods)
    before = {name: lab.exec(name, "sh", "-c", "echo /proc/[0-9]*/; cat /proc/2/stat").stdout for name in pods}
    assert lab.up(pods)["changed"] == 0
    assert lab.netlab("get", "pod", "a", "-o", "json").json["status"]["containerStatuses"][0]["restartCount"] == 0
    assert lab.up({**pods, "b": pod(run("sleep", "3601"))})["changed"] == 1
    lab.until(lambda: "3601" in lab.exec("b", "sh", "-c", "cat /proc/[0-9]*/cmdline | tr '\\0' ' '").stdout)
    assert lab.exec("a", "cat", "/proc/2/stat").stdout in before["a"]


def test_a_crash_loop_is_one(lab: Lab) -> None:
    lab.up({"crash": pod(sh("echo run; exit 3"))})
    lab.until(lambda: lab.pods()["crash"][1] == "CrashLoopBackOff")
    state = lab.pod("crash")["status"]["containerStatuses"][0]
    assert state["restartCount"] == 1
    assert state["lastState"]["terminated"]["exitCode"] == 3
    assert "back-off 10s" in state["state"]["waiting"]["message"]
    assert lab.netlab("logs", "crash").stdout == "run\n"
    assert lab.netlab("logs", "-p", "crash").stdout == "run\n"
    told = lab.netlab("describe", "pod", "crash").stdout
    assert "Back-off restarting failed container c in pod crash_default" in told
    assert lab.diff() == 0, "what waits to be started again is as it should be"


@pytest.mark.parametrize(
    ("script", "restart", "status"),
    [("exit 0", "Never", "Completed"), ("exit 2", "Never", "Error"), ("exit 0", "OnFailure", "Completed")],
)
def test_restart_policies_that_let_it_rest(lab: Lab, script: str, restart: str, status: str) -> None:
    lab.up({"once": pod(sh(script), restartPolicy=restart)})
    lab.until(lambda: lab.pods()["once"] == ("0/1", status, "0"))
    time.sleep(0.3)
    assert lab.pods()["once"][2] == "0"


def test_init_containers_then_a_sidecar_then_the_rest(lab: Lab) -> None:
    side = sh("trap 'exit 0' TERM; echo side >> /srv/order; while :; do sleep 0.1; done", restartPolicy="Always")
    lab.up(
        {
            "ordered": pod(
                sh("echo main >> /srv/order; sleep 3600"),
                initContainers=[
                    sh("until [ -e /srv/go ]; do sleep 0.05; done; echo one >> /srv/order") | {"name": "one"},
                    run("no-such-program-here") | {"name": "lacking"},
                    side | {"name": "side"},
                    sh("sleep 0.7; echo two >> /srv/order") | {"name": "two"},
                ],
            )
        }
    )
    assert lab.pods()["ordered"][1].startswith("Init:")
    lab.exec("ordered", "touch", "/srv/go")
    lab.until(lambda: lab.pods()["ordered"][:2] == ("2/2", "Running"))
    assert lab.exec("ordered", "cat", "/srv/order").stdout.split() == ["one", "side", "two", "main"]
    assert "no program no-such-program-here" in lab.netlab("describe", "pod", "ordered").stdout


def test_an_init_container_that_fails_keeps_the_rest_back(lab: Lab) -> None:
    broken = sh("exit 1") | {"name": "i"}
    lab.up({"loops": pod(run("sleep", "9"), initContainers=[broken]),
            "failed": pod(run("sleep", "9"), initContainers=[broken], restartPolicy="Never")})  # fmt: skip
    lab.until(lambda: {n: p[:2] for n, p in lab.pods().items()}
              == {"loops": ("0/1", "Init:CrashLoopBackOff"), "failed": ("0/1", "Init:Error")})  # fmt: skip


def test_a_sidecar_ends_with_its_job(lab: Lab) -> None:
    side = run("sleep", "3600", restartPolicy="Always") | {"name": "side"}
    lab.up({"job": pod(sh("sleep 0.3"), initContainers=[side], restartPolicy="Never")})
    lab.until(lambda: lab.pods()["job"][:2] == ("0/2", "Completed"))
    assert "sleep" not in lab.exec("job", "sh", "-c", "cat /proc/[0-9]*/comm").stdout


def test_what_a_container_leaves_running_goes_with_it(lab: Lab) -> None:
    lab.up({"p": pod(sh("setsid sleep 777 & sleep 0.2"), restartPolicy="Never")})
    lab.until(lambda: lab.pods()["p"][1] == "Completed")
    assert "sleep" not in lab.exec("p", "sh", "-c", "cat /proc/[0-9]*/comm").stdout


def test_a_program_that_the_host_lacks(lab: Lab) -> None:
    lab.up({"lacks": pod(run("no-such-program-here", ports=[{"containerPort": 80}])), "c": pod(run("sleep", "99"))})
    assert lab.pods()["lacks"][:2] == ("0/1", "CreateContainerError")
    address = lab.pod("lacks")["status"]["podIP"]
    assert '"pod": "lacks"' in lab.exec("c", "wget", "-qO-", f"http://{address}/").stdout
    assert "does not run" in lab.netlab("logs", "lacks", check=2).stderr


def test_a_program_that_cannot_be_executed(lab: Lab) -> None:
    lab.up({"odd": pod(run("$(NAME)", env=[{"name": "NAME", "value": "/etc/hostname"}]), restartPolicy="Never")})
    lab.until(lambda: lab.pods()["odd"][1] == "StartError")


def test_rm_rf_in_a_pod_is_harmless(lab: Lab) -> None:
    lab.up({"wipe": pod(sh("touch /usr/bin/made-here; rm -rf /etc /usr/lib/python3* /var/lib /opt; echo $?; exit 0"),
                        restartPolicy="Never")})  # fmt: skip
    lab.until(lambda: lab.pods()["wipe"][1] in ("Completed", "Error"), 60)
    assert Path("/etc/passwd").exists()
    assert Path("/var/lib/dpkg").exists() or Path("/var/lib").is_dir()
    assert not Path("/usr/bin/made-here").exists()


def test_of_two_on_one_port_the_second_crashes(lab: Lab) -> None:
    ports = [{"containerPort": 80}]
    lab.up({"clash": pod(run(*WEB, "80", ports=ports), run(*WEB, "80", ports=ports) | {"name": "d"})})
    lab.until(lambda: lab.pods()["clash"][:2] == ("1/2", "CrashLoopBackOff"))
    states = {one["name"]: one["ready"] for one in lab.pod("clash")["status"]["containerStatuses"]}
    assert states == {"c": True, "d": False}
    assert "Address already in use" in lab.netlab("logs", "clash", "-c", "d").stdout


def test_deleting_a_pod_gives_it_its_grace(lab: Lab, tmp_path: Path) -> None:
    polite = sh("trap 'sleep 0.5; exit 0' TERM; echo ready; while :; do sleep 0.05; done")
    stubborn = sh("trap '' TERM; echo ready; while :; do sleep 0.05; done")
    lab.up(
        {
            "polite": pod(polite),
            "stubborn": pod(stubborn, terminationGracePeriodSeconds=1),
            "other": pod(run("sleep", "3600")),
        }
    )
    for name in ("polite", "stubborn"):
        lab.until(lambda name=name: lab.netlab("logs", name).stdout == "ready\n")
    began = time.monotonic()
    lab.netlab("delete", "pod", "polite")
    assert time.monotonic() - began > 0.5
    began = time.monotonic()
    lab.netlab("delete", "pod", "stubborn")
    assert time.monotonic() - began > 1.0
    assert set(lab.pods()) == {"other"}
    assert [each.name for each in Path(f"/run/netlab/{lab.name}/logs").iterdir()] == ["default_other_c.log"]


def test_down_waits_for_no_grace_and_leaves_nothing(lab: Lab) -> None:
    lab.up(
        {
            "stubborn": pod(
                sh("trap '' TERM; setsid sh -c 'while :; do sleep 0.05; done' & while :; do sleep 0.05; done"),
                terminationGracePeriodSeconds=300,
            )
        }
    )
    agent = lab.agent()
    seconds = lab.down()
    assert seconds < 150  # half of its grace period
    assert start_time(agent) == 0
    assert not Path(f"/run/netlab/{lab.name}").exists()


def test_kill_9_of_the_agent_is_drift_that_up_mends(lab: Lab) -> None:
    pods = {"a": pod(run("sleep", "3600"))}
    lab.up(pods)
    os.kill(lab.agent(), signal.SIGKILL)
    lab.until(lambda: lab.pods()["a"] == ("0/1", "Unknown", "0"))
    assert lab.diff() == 1
    lab.up(pods)
    assert lab.pods()["a"] == ("1/1", "Running", "0")
    assert lab.diff() == 0


def test_a_namespace_deleted_by_hand_takes_its_processes_along(lab: Lab) -> None:
    pods = {"a": pod(run(*WEB, "80", ports=[{"containerPort": 80}])), "b": pod(run("sleep", "3600"))}
    lab.up(pods)
    subprocess.run(["ip", "netns", "del", f"{lab.name}-a"], check=True)
    lab.up(pods)
    address = lab.pod("a")["status"]["podIP"]
    assert "Directory" in lab.exec("b", "wget", "-qO-", f"http://{address}/").stdout
    assert lab.diff() == 0


def test_logs_know_when_a_line_was_written(lab: Lab) -> None:
    lab.up({"p": pod(sh("echo old; until [ -e /tmp/go ]; do sleep 0.1; done; echo new; sleep 3600"))})
    lab.until(lambda: "old" in lab.netlab("logs", "p").stdout)
    time.sleep(1)  # the option counts in whole seconds
    between = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    lab.exec("p", "touch", "/tmp/go")
    lab.until(lambda: "new" in lab.netlab("logs", "p").stdout)
    assert lab.netlab("logs", "p", f"--since-time={between}").stdout == "new\n"
    assert lab.netlab("logs", "p", "--since=1h").stdout == "old\nnew\n"
    rows = [line.split(" ", 1) for line in lab.netlab("logs", "p", "--timestamps").stdout.splitlines()]
    assert [row[1] for row in rows] == ["old", "new"]
    first, second = (time.mktime(time.strptime(row[0][:19], "%Y-%m-%dT%H:%M:%S")) for row in rows)
    assert first < second
    assert lab.netlab("logs", "p", "--since-time", rows[1][0], check=0).stdout == ""
    assert "not a duration such as 5s" in lab.netlab("logs", "p", "--since", "soon", check=2).stderr


def test_logs_follow_until_the_run_ends(lab: Lab) -> None:
    lab.up({"p": pod(sh("for i in 1 2 3 4 5 6; do echo line $i; sleep 0.2; done"), restartPolicy="Never")})
    following = lab.start("logs", "-f", "p")
    said, _ = following.communicate(timeout=120)
    assert said == "".join(f"line {number}\n" for number in range(1, 7))
    assert following.returncode == 0
    assert lab.netlab("logs", "p", "--tail", "2").stdout == "line 5\nline 6\n"
    assert lab.netlab("logs", "p", "--tail", "0").stdout == ""
    assert lab.netlab("logs", "p", "--tail", "99").stdout.count("\n") == 6


def test_a_log_without_end_has_a_bound(lab: Lab) -> None:
    lab.up({"noisy": pod(run("yes", "0123456789" * 10))})
    log = Path(f"/run/netlab/{lab.name}/logs/default_noisy_c.log")
    lab.until(lambda: log.stat().st_size > 64 << 20)
    lab.until(lambda: log.stat().st_blocks * 512 < 64 << 20)

    def tail() -> list[str]:
        return lab.netlab("logs", "noisy", "--tail", "3").stdout.splitlines()

    # The third line may be in the middle of being written; a reader that is slower than `yes` finds its place given back.
    lab.until(lambda: (last := tail())[:2] == ["0123456789" * 10] * 2 and len(last) == 3)
    lab.netlab("delete", "pod", "noisy")
    assert not log.exists()


def test_describe_a_node_counts_its_pods(lab: Lab) -> None:
    lab.up({"a": pod(run("sleep", "3600"), nodeName="node-1"), "b": pod(run("sleep", "3600"), nodeName="node-2")})
    told = lab.netlab("describe", "node", "node-1").stdout
    assert "(1 in total)" in told
    assert "InternalIP:" in told
    assert printed(lab.pod("a"))[:2] == ("1/1", "Running")


def test_a_lab_that_responds_runs_nothing(lab: Lab) -> None:
    lab.up({"a": pod(sh("exit 1", ports=[{"containerPort": 80}]))}, containers="respond")
    assert lab.pods()["a"] == ("1/1", "Running", "0")


@pytest.mark.parametrize("number", [3, 4, 5, 6])
def test_no_working_directory_leads_out_of_the_view(lab: Lab, number: int) -> None:
    """Descriptors that the agent has (its root directory among them) are no way to the host's files."""
    where = f"/proc/self/fd/{number}"
    marker = Path(f"/tmp/{lab.name}-marker")  # /tmp of the host is not in the view
    marker.touch()
    try:
        script = f"test -e tmp/{marker.name} -o -e ../tmp/{marker.name} && echo OUT; pwd -P"
        lab.up({"p": pod(sh(script, workingDir=where), restartPolicy="Never")})
        lab.until(lambda: lab.pods()["p"][1] in ("StartError", "Error", "Completed"))
        assert "OUT" not in lab.netlab("logs", "p").stdout
    finally:
        marker.unlink()


def test_a_stopped_process_is_drift_that_goes_on_by_hand_or_by_up(lab: Lab) -> None:
    """SIGSTOP leaves ports open and nobody answers: a hang that no table of the network shows."""
    pods = {"web": pod(run("sleep", "3600"))}
    lab.up(pods)
    for by_hand in (True, False):
        lab.exec("web", "sh", "-c", "kill -STOP $(pgrep -x sleep)")
        found = lab.until(lambda: (one := run_netlab("diff", lab.name, check=None)).status == 1 and one)
        assert "process default/web/c" in found.stdout
        assert "its process is stopped" in found.stdout
        line = next(one.split("mend by: ")[1] for one in found.stdout.splitlines() if "mend by: " in one)
        assert line.startswith("kill -CONT ")
        if by_hand:
            subprocess.run(["sh", "-c", line], check=True)
        else:
            lab.up(pods)
        lab.until(lambda: lab.diff() == 0)
        assert Path(f"/proc/{line.split()[2]}/stat").read_text().rpartition(")")[2].split()[0] == "S"
    assert lab.pods()["web"] == ("1/1", "Running", "0")


def test_a_stopped_agent_is_said_at_once_and_up_has_it_go_on(lab: Lab) -> None:
    pods = {"a": pod(run("sleep", "3600"))}
    lab.up(pods)
    agent = lab.agent()
    os.kill(agent, signal.SIGSTOP)
    lab.until(lambda: Path(f"/proc/{agent}/stat").read_text().rpartition(")")[2].split()[0] == "T")
    found = run_netlab("diff", lab.name, check=None)
    assert found.status == 4
    assert f"process {agent}, is stopped" in found.stderr
    lab.up(pods)
    assert lab.diff() == 0
    assert lab.agent() == agent


def test_several_kinds_labels_and_events_as_kubectl_shows_them(lab: Lab) -> None:
    lab.up({"b": pod(run("sleep", "3600")), "a": pod(sh("exit 3"), restartPolicy="Never")})
    lab.until(lambda: lab.pods()["a"][1] == "Error")
    shown = lab.netlab("get", "pods,svc,no").stdout
    assert [line.split()[0] for line in shown.splitlines() if line] == [
        "NAME", "pod/b", "pod/a", "NAME", "node/node-1", "node/node-2",
    ]  # fmt: skip
    assert lab.netlab("get", "all", "-o", "name").stdout.split() == ["pod/b", "pod/a"]
    assert len(lab.netlab("get", "po,no", "-o", "json").json["items"]) == 4
    assert (
        lab.netlab("get", "nodes", "--show-labels", "--no-headers")
        .stdout.split()[5]
        .startswith("beta.kubernetes.io/arch")
    )
    events = lab.netlab("get", "events").stdout.splitlines()
    assert events[0].split() == ["LAST", "SEEN", "TYPE", "REASON", "OBJECT", "MESSAGE"]
    assert any("Scheduled" in line and "pod/a" in line for line in events)
    assert sum("Started" in line for line in events) == 2
    refused = run_netlab("get", "pods,nft", "--lab", lab.name, check=None)
    assert refused.status == 2
    assert "which get lists alone" in refused.stderr
    described = lab.netlab("describe", "node", "node-1").stdout
    assert "CreationTimestamp:  " in described


def test_what_exec_left_in_a_pod_of_the_nodes_network_ends_with_the_pod(lab: Lab) -> None:
    """Its namespaces are its node's, which stay; the other Pod's and the node's own processes stay as well."""
    host = {"nodeName": "node-1", "hostNetwork": True, "containers": [{"name": "c", "image": "x"}]}
    lab.up({"agent": host, "other": host})

    def left(place: str) -> int:
        started = lab.exec(
            place, "sh", "-c", "setsid sleep 1000 >/dev/null 2>&1 </dev/null & readlink /proc/self/ns/pid"
        )
        space = started.stdout.strip()
        return lab.until(lambda: next(iter(_sleeping(space)), 0))

    agent, other, node = left("agent"), left("other"), left("node-1")
    lab.netlab("delete", "pod", "agent")
    lab.until(lambda: not Path(f"/proc/{agent}").exists())
    assert Path(f"/proc/{other}").exists() and Path(f"/proc/{node}").exists()
    run_netlab("down", lab.name)
    lab.until(lambda: not Path(f"/proc/{other}").exists() and not Path(f"/proc/{node}").exists())


def _sleeping(space: str) -> list[int]:
    """The processes ``sleep 1000`` in a PID namespace."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if (folder / "cmdline").read_bytes() == b"sleep\x001000\x00" and os.readlink(folder / "ns/pid") == space:
                found.append(int(folder.name))
        except OSError:
            continue
    return found
