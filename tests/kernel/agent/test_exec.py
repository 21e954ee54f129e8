from __future__ import annotations

import os
import pty
import re
import select
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from netlab.errors import StateError
from netlab.runtime.client import agentclient
from netlab.runtime.client.enter import EnterTarget, run
from netlab.runtime.client.sandbox import PATH
from netlab.runtime.host.programs import has_program, is_single_user
from tests.kernel_features import owners

if TYPE_CHECKING:
    from conftest import Lab

ROOT = Path(__file__).resolve().parents[3]


def test_a_commands_exit_status_is_passed_on(lab: Lab) -> None:
    assert lab.exec("true").returncode == 0
    assert lab.exec("sh", "-c", "exit 7").returncode == 7
    assert lab.exec("sh", "-c", "kill -9 $$").returncode == 128 + 9
    missing = lab.exec("no-such-command")
    assert (missing.returncode, missing.stderr) == (127, "netlab: no-such-command: command not found\n")
    assert lab.exec("/etc").returncode == 126
    assert lab.exec("/no/such").returncode == 127


def test_standard_input_is_passed_only_if_asked_for(lab: Lab) -> None:
    assert lab.exec("cat", flags="i", input="hello\n").stdout == "hello\n"
    assert lab.exec("cat", input="hello\n").stdout == ""


def test_the_pod_has_its_own_names_files_and_processes(lab: Lab) -> None:
    assert lab.exec("hostname").stdout == "client\n"
    assert lab.exec("cat", "/etc/hosts").stdout == "127.0.0.1 localhost\n10.244.9.1 client\n"
    assert lab.exec("cat", "/etc/resolv.conf").stdout == "search default.svc.cluster.local\n"
    assert lab.exec("cat", "/etc/hostname").stdout == "client\n"
    assert "10.244.9.1/24" in lab.exec("ip", "-4", "addr", "show", "eth0").stdout
    numbers = [name for name in lab.exec("ls", "/proc").stdout.split() if name.isdigit()]
    assert len(numbers) == 2, "its first process and ls"
    wrappers = {"netlab-bin"} if is_single_user() else set()
    assert set(lab.exec("ls", "/run").stdout.split()) == {"busybox", "lock"} | wrappers
    assert lab.exec("ls", "-A", "/tmp").stdout == ""
    assert lab.exec("sh", "-c", "echo $HOME $HOSTNAME").stdout == "/root client\n"


def test_the_names_follow_when_they_are_written_again(lab: Lab) -> None:
    lab.exec("true")
    hosts = Path(f"/etc/netns/{lab.client}/hosts")
    hosts.with_suffix(".new").write_text("10.244.9.9 newer\n")
    hosts.with_suffix(".new").rename(hosts)
    assert lab.exec("cat", "/etc/hosts").stdout == "10.244.9.9 newer\n"
    lab.exec("sh", "-c", "echo 1.2.3.4 mine >> /etc/hosts")
    assert "mine" in lab.exec("cat", "/etc/hosts").stdout, "only a newer file is copied"


@pytest.fixture
def applet() -> str:
    """An applet of the host's busybox that the host has no program for."""
    if not shutil.which("busybox"):
        pytest.skip("no busybox here")
    return next(name for name in ("telnet", "unix2dos", "ftpget", "wget") if not shutil.which(name))


@pytest.mark.parametrize("line", ["{}", "sh -c '{} --help'", "timeout 9 {} --help", "env {} --help"])
def test_a_command_that_path_lacks_runs_as_busyboxs_applet_for_children_too(lab: Lab, applet: str, line: str) -> None:
    argv = shlex.split(line.format(applet))
    assert "BusyBox" in lab.exec(*argv, *([] if "--help" in line else ["--help"])).stderr


def test_applets_hide_no_program_of_the_host(lab: Lab) -> None:
    for name in ("ip", "ping", "sh", "ls"):
        assert lab.exec("sh", "-c", f"command -v {name}").stdout.strip() in (f"{d}/{name}" for d in PATH.split(":"))


def test_a_containers_path_without_busybox_has_no_applets(applet: str) -> None:
    assert has_program(applet, PATH) and not has_program(applet, "/usr/share/none")


@pytest.mark.parametrize(
    "line",
    [
        "ip link set lo mtu 60000",
        "ping -c1 -W2 10.244.9.2",
        "nft list ruleset",
        "nft add table inet t",
        "sysctl -w net.ipv4.ip_forward=1",
        "tcpdump -i lo -c1 & sleep 0.5; ping -c3 127.0.0.1 >/dev/null; wait $!",
        "ip link add br9 type bridge && echo 1 > /sys/class/net/br9/bridge/stp_state",
        "unshare --help >/dev/null && echo x > /root/x && echo x > /run/x",
        pytest.param("echo x > /usr/bin/x", marks=owners),
    ],
)
def test_network_tools_work(lab: Lab, line: str) -> None:
    if not shutil.which(line.split(maxsplit=1)[0]):
        pytest.skip(f"{line.split(maxsplit=1)[0]} is not installed")
    done = lab.exec("sh", "-c", line)
    assert done.returncode == 0, done.stderr


def test_sysctls_of_the_pod_are_its_own(lab: Lab) -> None:
    path = Path("/proc/sys/net/ipv4/ip_default_ttl")
    before = path.read_text()
    assert lab.exec("sysctl", "-qw", "net.ipv4.ip_default_ttl=33").returncode == 0
    assert path.read_text() == before
    assert lab.exec("cat", str(path)).stdout == "33\n"


def test_background_processes_stay_until_the_agent_goes(lab: Lab) -> None:
    lab.exec("sh", "-c", "sleep 4242 >/dev/null 2>&1 &")
    assert "sleep 4242" in lab.exec("ps", "axww").stdout
    pids = subprocess.run(["pgrep", "-xf", "sleep 4242"], capture_output=True, text=True, check=False).stdout.split()
    assert len(pids) == 1
    agentclient.kill(lab.name, lab.rundir)
    assert not Path(f"/proc/{pids[0]}").exists()


def test_a_signal_to_exec_reaches_the_command(lab: Lab) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        process = _start(
            lab, "sh", "-c", "trap 'exit 40' INT; trap 'exit 41' TERM; echo on; while :; do sleep .05; done"
        )
        assert process.stdout is not None
        assert process.stdout.readline() == b"on\n"
        process.send_signal(number)
        assert process.wait(60) == (40 if number == signal.SIGINT else 41)
        process.stdout.close()


def _start(lab: Lab, *argv: str) -> subprocess.Popen[bytes]:
    program = (
        "import sys; from pathlib import Path; from netlab.runtime.client.enter import EnterTarget, run;"
        "lab, rundir, netns, *argv = sys.argv[1:];"
        "sys.exit(run(EnterTarget(lab, Path(rundir), netns, 'client'), argv))"
    )
    line = [sys.executable, "-c", program, lab.name, str(lab.rundir), lab.path(lab.client), *argv]
    return subprocess.Popen(line, stdout=subprocess.PIPE, env=os.environ | {"PYTHONPATH": str(ROOT)})


def test_a_terminal(lab: Lab) -> None:
    pid, master = pty.fork()
    if pid == 0:
        status = 99
        try:
            target = EnterTarget(lab.name, lab.rundir, lab.path(lab.client), "client")
            status = run(target, ["sh"], tty=True, stdin=True)
        finally:
            os._exit(status)
    try:
        _expect(master, rb"client:/# $")
        os.write(master, b"tty; stty size\n")
        assert b"/dev/pts/0" in _expect(master, rb"\d+ \d+\r\n")
        os.write(master, b"sleep 60\n")
        time.sleep(0.3)
        os.write(master, b"\x03")  # the Pod's terminal makes SIGINT of it
        _expect(master, rb"client:/# $")
        os.write(master, b"exit 9\n")
        _expect(master, rb"exit 9\r\n")
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 9
    finally:
        os.close(master)


def _expect(master: int, pattern: bytes) -> bytes:
    seen, deadline = b"", time.monotonic() + 60
    while not re.search(pattern, seen):
        assert time.monotonic() < deadline, seen
        if select.select([master], [], [], 0.5)[0]:
            try:
                seen += os.read(master, 4096)
            except OSError:
                return seen
    return seen


def test_without_an_agent_the_hint_restarts_it(lab: Lab) -> None:
    agentclient.kill(lab.name, lab.rundir)
    with pytest.raises(StateError) as caught:
        run(EnterTarget(lab.name, lab.rundir, lab.path(lab.client), "client"), ["true"])
    assert f"netlab up {lab.name}" in caught.value.hint
