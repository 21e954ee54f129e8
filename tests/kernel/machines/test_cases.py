"""Sets that other machines test: two workers in worlds of their own, by the real engine over TLS."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import command, run_netlab

pytestmark = [pytest.mark.kernel, pytest.mark.xdist_group("machines")]

SET = """
apiVersion: v1
kind: Pod
metadata: {name: server, labels: {app: server}}
spec: {containers: [{name: c, image: i, ports: [{containerPort: PORT}]}]}
---
{apiVersion: v1, kind: Pod, metadata: {name: a, labels: {app: a}}, spec: {containers: [{name: c, image: i}]}}
---
{apiVersion: v1, kind: Pod, metadata: {name: b, labels: {app: b}}, spec: {containers: [{name: c, image: i}]}}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: one}
spec: {podSelector: {matchLabels: {app: server}}, ingress: [{from: [{podSelector: {matchLabels: {app: a}}}]}]}
"""


def sets(folder: Path, count: int) -> list[Path]:
    """Sets that differ in the port; the last one has an expectation that fails."""
    made = []
    for number in range(count):
        each = folder / f"set-{number}"
        each.mkdir()
        (each / "set.yaml").write_text(SET.replace("PORT", str(8000 + number)))
        expected = "deny" if number == count - 1 else "allow"
        (each / "expect.yaml").write_text(f"flows:\n- {{from: a, to: server, expect: {expected}}}\n")
        made.append(each)
    return made


def answers(text: str) -> list[tuple[str, int, int, int]]:
    return [(one["name"], one["status"], one["passed"], one["failed"]) for one in json.loads(text)["sets"]]


def test_two_machines_report_as_one_does(farm: Any, tmp_path: Path) -> None:
    farm.worker("m1")
    farm.worker("m2")
    given = sets(tmp_path, 4)
    spread = run_netlab("test", "--machines", farm.address, "-o", "json", *given, env=farm.env, check=1)
    here = run_netlab("test", "-o", "json", *given, check=1)
    assert answers(spread.stdout) == answers(here.stdout)
    assert [each[1] for each in answers(spread.stdout)] == [0, 0, 0, 1]


def test_a_machine_that_is_killed_in_the_middle_leaves_nothing_and_its_case_runs_again(
    farm: Any, tmp_path: Path
) -> None:
    from tests.kernel.machines.conftest import in_pid_namespace, until

    first, second = farm.worker("m1"), farm.worker("m2")
    given = sets(tmp_path, 8)
    words = ["test", "--machines", farm.address, "-o", "json", *map(str, given)]
    running = subprocess.Popen([*command(), *words], env=farm.env, stdout=subprocess.PIPE, text=True)
    until(first.has_a_lab, "a lab on m1")
    namespace = first.namespace
    os.kill(first.first, 9)
    out, _ = running.communicate(timeout=120)
    assert [each[1] for each in answers(out)] == [0] * 7 + [1]
    until(lambda: not in_pid_namespace(namespace), "all processes of the killed world gone")
    assert second.process.poll() is None


@pytest.mark.rest
def test_a_process_for_cases_that_dies_ends_its_worker(farm: Any, tmp_path: Path) -> None:
    """The worker stayed, and answered each further case with the error of a broken pool."""
    from tests.kernel.machines.conftest import until

    first, _ = farm.worker("m1"), farm.worker("m2")
    given = sets(tmp_path, 6)
    words = ["test", "--machines", farm.address, "-o", "json", *map(str, given)]
    running = subprocess.Popen([*command(), *words], env=farm.env, stdout=subprocess.PIPE, text=True)
    until(first.has_a_lab, "a lab on m1")
    worker = int(Path(f"/proc/{first.first}/task/{first.first}/children").read_text().split()[0])
    os.kill(int(Path(f"/proc/{worker}/task/{worker}/children").read_text().split()[0]), 9)
    out, _ = running.communicate(timeout=120)
    assert [each[1] for each in answers(out)] == [0] * 5 + [1]
    first.process.wait(60)


def test_nobody_reaches_the_machines_without_a_certificate(farm: Any, tmp_path: Path) -> None:
    farm.worker("m1")
    done = run_netlab("test", "--machines", farm.address, *sets(tmp_path, 1), check=3)
    assert "TLS needs a certificate on both sides" in done.stderr
    program = f"from distributed import Client; Client({farm.address!r}, timeout=5)"
    stranger = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert stranger.returncode
    assert "TLS" in stranger.stderr or "ssl" in stranger.stderr
    plain = farm.address.replace("tls:", "tcp:")
    program = f"from distributed import Client; Client({plain!r}, timeout=5)"
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, check=False).returncode


def test_machines_by_ssh_come_and_go_with_the_command(farm: Any, tmp_path: Path) -> None:
    """A stand-in for ssh: it has the two forwardings, and runs the command here."""
    stand_in = tmp_path / "bin" / "ssh"
    stand_in.parent.mkdir()
    stand_in.write_text(f"#!{sys.executable}\n{Path(__file__).with_name('standin_ssh.py').read_text()}")
    stand_in.chmod(0o755)
    env = {**os.environ, "PATH": f"{stand_in.parent}:{os.environ['PATH']}"}
    machines = f"ssh://one{sys.executable},ssh://two{sys.executable}"
    done = run_netlab("test", "--machines", machines, "-o", "json", *sets(tmp_path, 3), env=env, check=1)
    assert [each[1] for each in answers(done.stdout)] == [0, 0, 1]
    words = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if os.path.exists(path)]
    assert not [line for line in words if b"--given" in line]
