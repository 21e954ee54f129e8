"""Ctrl-C, and a host that has run out of something: a sentence, the right status, nothing half-made, no hang."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT, Result, run_netlab

pytestmark = pytest.mark.kernel

LAB = """\
apiVersion: netlab/v1
kind: Lab
metadata: {name: NAME}
spec: {dataplane: vxlan, nodes: [{name: node-1}, {name: node-2}]}
---
apiVersion: v1
kind: Pod
metadata: {name: client}
spec: {nodeName: node-1, containers: [{name: c, image: x}]}
---
apiVersion: v1
kind: Pod
metadata: {name: server}
spec: {nodeName: node-2, containers: [{name: c, image: x, ports: [{containerPort: 80}]}]}
"""
# What the host would do, done to the command: a preamble before its entry point.
NO_THREADS = """
import _thread, threading
def refuse(*_, **__): raise RuntimeError("can't start new thread")
_thread.start_new_thread = threading._start_new_thread = refuse
"""
NO_PROCESSES = """
import os
def refuse(): raise BlockingIOError(11, "Resource temporarily unavailable")
os.fork = refuse
"""


@pytest.fixture
def lab(lab_name: str, tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "lab.yaml"
    path.write_text(LAB.replace("NAME", lab_name))
    yield path
    run_netlab("down", lab_name, check=None)


def without(preamble: str, *words: str) -> Result:
    code = f"{preamble}\nimport sys\nfrom netlab.cli.entry import main\nmain(sys.argv[1:])\n"
    done = subprocess.run(
        [sys.executable, "-c", code, *words], capture_output=True, text=True, timeout=120, check=False
    )
    return Result(done.returncode, done.stdout, done.stderr)


def nothing_is_left(name: str) -> bool:
    names = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=True).stdout
    return (
        name not in names
        and not Path(f"/run/netlab/{name}").exists()
        and not Path(f"/run/netlab/.lock/{name}").exists()
    )


@pytest.mark.parametrize("preamble", [NO_THREADS, NO_PROCESSES], ids=["threads", "processes"])
def test_up_on_an_exhausted_host_says_so_and_registers_nothing(preamble: str, lab: Path, lab_name: str) -> None:
    up = without(preamble, "up", str(lab))
    assert up.status == 3, up
    assert "Traceback" not in up.stderr and len(up.stderr.splitlines()) <= 3, up.stderr
    assert nothing_is_left(lab_name)
    run_netlab("up", str(lab))


@pytest.mark.parametrize("verb", ["diff", "reach", "check", "trace", "plan"])
def test_verbs_without_threads_end_in_a_sentence(verb: str, lab: Path, lab_name: str) -> None:
    run_netlab("up", str(lab))
    words = {"trace": ["trace", "--lab", lab_name, "client", "server"], "plan": ["plan", str(lab)]}
    done = without(NO_THREADS, *words.get(verb, [verb, lab_name]))
    assert "Traceback" not in done.stderr, done.stderr
    assert done.status == 3 and "starts no more threads" in done.stderr, done
    assert run_netlab("diff", lab_name).status == 0


def test_a_first_up_that_cannot_write_registers_nothing(lab: Path, lab_name: str, tmp_path: Path) -> None:
    """/etc cannot be written, /etc/netns is a file, files may have one block: each is the host's, and nothing stays."""
    entry = f"{sys.executable} -m netlab up {lab}"
    worlds = {
        # Without a folder netns: on one that a lab of another test has made, netlab mounts its tmpfs, read-only or not.
        "read-only": "cp -a /etc R && rm -rf R/netns && mount --bind R /etc && mount -o remount,bind,ro /etc",
        "a file": "cp -a /etc E && rm -rf E/netns && touch E/netns && mount --bind E /etc",
        "small files": "ulimit -f 1",
    }
    lab.write_text(lab.read_text() + "# " + "x" * 4000 + "\n")
    for name, prepare in worlds.items():
        line = f"mount --make-rprivate /; cd {tmp_path}; {prepare}; umount /etc/netns 2>/dev/null; {entry}"
        done = subprocess.run(["unshare", "-m", "bash", "-c", line], capture_output=True, text=True, check=False)
        assert done.returncode in (3, 4) and "Traceback" not in done.stderr, (name, done)
        assert nothing_is_left(lab_name), name


def test_a_run_netns_that_is_a_link_is_named(lab: Path, lab_name: str) -> None:
    line = "mount --make-rprivate /; mount -t tmpfs t /run; mkdir /run/elsewhere; ln -s elsewhere /run/netns; "
    line += f"{sys.executable} -m netlab up {lab}"
    done = subprocess.run(["unshare", "-m", "bash", "-c", line], capture_output=True, text=True, check=False)
    assert done.returncode == 3 and "/run/netns is a symbolic link" in done.stderr, done


def test_ctrl_c_at_any_moment_prints_no_traceback() -> None:
    """From the first line of netlab's own: what comes before it is Python's start."""
    program = "import sys; sys.stdout.write('.'); sys.stdout.flush(); from netlab.cli.entry import main; main(['labs'])"
    statuses = set()
    for step in range(24):
        process = subprocess.Popen(
            [sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        process.stdout.read(1)
        time.sleep(step * 0.01)
        process.send_signal(signal.SIGINT)
        said = process.communicate()[1]
        if f"{ROOT}/netlab/" in said or "Traceback" not in said:
            statuses.add(process.returncode)
            assert "Traceback" not in said, said
    assert statuses and statuses <= {0, 130, -signal.SIGINT}


def test_down_goes_on_where_pid_1_does_not_reap(lab: Path, lab_name: str, tmp_path: Path) -> None:
    """In a container whose first process reaps nobody, the killed agent waits for a zombie; the lab goes all the same."""
    script = f"""
        mount --make-rprivate /; mount -t tmpfs t /run; mkdir /run/netns; ip link set lo up
        {sys.executable} -m netlab up {lab} >/dev/null || exit 90
        {sys.executable} -m netlab exec --lab {lab_name} client -- sleep 300 &
        until pgrep -xf "sleep 300" >/dev/null; do sleep 0.05; done
        pkill -9 -f "netlab exec"; sleep 0.2
        {sys.executable} -m netlab down {lab_name}; echo "status $?"; ls /run/netns | grep -c {lab_name}
    """
    file = tmp_path / "script.sh"  # a file: pkill would find the words in a process's arguments
    file.write_text(script)
    first = "import subprocess, sys; sys.exit(subprocess.call(['bash', sys.argv[1]]))"
    words = ["unshare", "-m", "-n", "-p", "-f", "--mount-proc", sys.executable, "-c", first, str(file)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=120, check=False)
    assert "was killed and is not gone" in done.stdout and "status 0" in done.stdout, done
    assert done.stdout.splitlines()[-1] == "0", done
