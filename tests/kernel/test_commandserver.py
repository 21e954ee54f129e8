"""Large labs have a process that stays with all of it in memory; nobody may see that, but by the time that it saves."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

# In one worker: its large lab is brought up once.
pytestmark = [pytest.mark.kernel, pytest.mark.xdist_group("commandserver")]

COLD = [sys.executable, "-c", "import sys; from netlab.cli.main import main; main(sys.argv[1:])"]
WARM = [sys.executable, "-m", "netlab"]


def policies(count: int) -> str:
    """Policies that make a lab large, and that select its server."""
    return "\n---\n".join(
        json.dumps(
            {
                "apiVersion": "networking.k8s.io/v1",
                "kind": "NetworkPolicy",
                "metadata": {"name": f"np-{number}"},
                "spec": {
                    "podSelector": {"matchLabels": {"app": "server"}},
                    "ingress": [{"from": [{"podSelector": {"matchLabels": {"may": f"m{number}"}}}]}],
                },
            }
        )
        for number in range(count)
    )


def run(command: list[str], *words: str, cwd: Path | None = None, stdin: str = "", **env: str) -> Any:
    return subprocess.run(
        [*command, *words], cwd=cwd, input=stdin, capture_output=True, text=True, env={**os.environ, **env}, check=False
    )


def staying(lab: str) -> list[int]:
    """The processes that stay behind a lab, as ps shows them; not the forks of theirs that have just begun to work."""
    found: dict[int, int] = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                words = Path(f"/proc/{entry}/cmdline").read_bytes()
                parent = int(Path(f"/proc/{entry}/stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
            if words.startswith(f"netlab: {lab} ".encode()):
                found[int(entry)] = parent
    return [pid for pid, parent in found.items() if parent not in found]


@pytest.fixture(scope="module")
def large(kit: Any, tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Iterator[str]:
    run_mark = os.environ.get("NETLAB_TESTS_RUN", "x")
    lab = f"t{run_mark}{worker_id}warm".replace("master", "w")[:20]
    folder = tmp_path_factory.mktemp("warm")
    (folder / "lab.yaml").write_text(f"{kit.spec(lab)}\n---\n{policies(500)}")
    done = run(WARM, "up", str(folder / "lab.yaml"))
    assert done.returncode == 0, done.stderr
    yield lab
    run(WARM, "down", lab)


def test_a_large_lab_leaves_one_process_with_nothing_open(large: str) -> None:
    (pid,) = staying(large)
    held = {os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")}
    assert not {one for one in held if "net:[" in one or "/run/" in one or ".lock" in one}, held
    assert os.readlink(f"/proc/{pid}/cwd") == "/"


@pytest.mark.parametrize(
    "words",
    [
        ("get", "pods", "-o", "json"),
        ("get", "networkpolicies"),
        ("diff", "LAB"),
        ("explain", "client", "server:80"),
        ("describe", "pod", "server"),
        ("get", "pods", "nosuch"),
        ("get", "--nosuch"),
        ("explain", "client", "nosuch:80"),
    ],
    ids=" ".join,
)
def test_a_command_says_the_same_with_and_without_it(large: str, words: tuple[str, ...]) -> None:
    words = tuple(large if one == "LAB" else one for one in words)
    there = {} if words[0] == "diff" else {"NETLAB_LAB": large}
    before = staying(large)
    warm, cold = run(WARM, *words, **there), run(COLD, *words, **there)
    assert (warm.returncode, warm.stderr) == (cold.returncode, cold.stderr), f"{warm.stdout}\n--\n{cold.stdout}"
    # Ages go on from one command to the next, and the columns beside them.
    same = [re.sub(r"\b\d+s\b| +", " ", one.stdout) for one in (warm, cold)]
    assert same[0] == same[1]
    assert staying(large) == before, "reading changes nothing, so the process is the same one"


def test_a_traced_packet_meets_the_same(large: str) -> None:
    """A fork opens sockets and BPF programs of its own, and leaves none."""
    (parent,) = staying(large)
    before = sorted(os.listdir(f"/proc/{parent}/fd"))
    told = []
    for command in (WARM, COLD):
        done = run(command, "trace", "client", "server", "-o", "json", NETLAB_LAB=large)
        document = json.loads(done.stdout)
        found = [(one["kind"], one["netns"], one["policy"]) for one in document["findings"]]
        sources = [(one["name"], one["on"], one["lost"]) for one in document["sources"]]
        told.append((done.returncode, done.stderr, document["outcome"], found, sources))
    assert told[0] == told[1]
    assert told[0][0] == 1 and told[0][3][0][0] == "policy"
    assert sorted(os.listdir(f"/proc/{parent}/fd")) == before


def test_a_label_is_in_force_when_the_command_returns(large: str, kit: Any) -> None:
    """A label that no text says changed nothing in the kernel, since only texts were compared."""
    said = run(WARM, "explain", "client", "server:80", NETLAB_LAB=large)
    assert said.returncode == 1, said.stdout
    for value, status in (("m7", 0), ("other", 1), ("m499", 0)):
        before = staying(large)
        assert run(WARM, "label", "pod", "client", f"may={value}", "--overwrite", "--lab", large).returncode == 0
        assert staying(large) != before, "the process that changed the lab takes the former one's place"
        until = time.monotonic() + 60  # the former one may not have ended yet
        while len(staying(large)) != 1 and time.monotonic() < until:
            time.sleep(0.05)
        assert len(staying(large)) == 1
        for command in (WARM, COLD):
            assert run(command, "explain", "client", "server:80", NETLAB_LAB=large).returncode == status
        got = subprocess.run(
            ["ip", "netns", "exec", f"{large}-client", "wget", "-qO-", "-T", "1", "-t", "1", "http://10.244.2.2"],
            capture_output=True,
            check=False,
        )
        assert (got.returncode == 0) == (status == 0)


def test_what_somebody_did_to_the_kernel_is_seen(large: str, kit: Any) -> None:
    kit.sh(f"ip -n {large}-node-1 route del 10.244.2.0/24")
    done = run(WARM, "diff", large)
    assert done.returncode == 1 and "route 10.244.2.0/24" in done.stdout
    kit.sh(f"ip -n {large}-node-1 route add 10.244.2.0/24 via 10.244.2.0 dev vxlan0 onlink")
    assert run(WARM, "diff", large).returncode == 0


def test_folder_and_standard_input_are_those_of_who_typed(large: str, tmp_path: Path) -> None:
    pod = '{"apiVersion":"v1","kind":"Pod","metadata":{"name":"%s"},"spec":{"containers":[{"name":"c","image":"x"}]}}'
    (tmp_path / "here.json").write_text(pod % "here")
    assert "pod/here created" in run(WARM, "apply", "--lab", large, "-f", "here.json", cwd=tmp_path).stdout
    assert "pod/typed created" in run(WARM, "apply", "--lab", large, "-f", "-", stdin=pod % "typed").stdout
    bad = run(WARM, "apply", "--lab", large, "-f", "here.json", cwd=tmp_path.parent)
    assert bad.returncode == 2 and "here.json" in bad.stderr
    for name in ("here", "typed"):
        assert run(WARM, "delete", "pod", name, "--lab", large).returncode == 0
    left = json.loads(run(COLD, "get", "pods", "-o", "json", "--lab", large).stdout)["items"]
    assert sorted(one["metadata"]["name"] for one in left) == ["client", "server"]


def test_whoever_is_asked_to_stop_stops(large: str) -> None:
    (parent,) = staying(large)
    for number, status in ((signal.SIGINT, 130), (signal.SIGTERM, -signal.SIGTERM), (signal.SIGKILL, -signal.SIGKILL)):
        # Reading from a pipe that stays open: the command is in the middle of its work for as long as that.
        there = subprocess.Popen(
            [*WARM, "apply", "--lab", large, "-f", "-"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        deadline = time.monotonic() + 60
        while not (working := _forks(parent)) and time.monotonic() < deadline:
            time.sleep(0.02)
        assert working, "the command was not handed over"
        there.send_signal(number)
        # Interrupted before it had begun, a command ends by the signal; a shell calls both 130.
        assert there.wait(60) in (status, -number)
        while _forks(parent) and time.monotonic() < deadline:
            time.sleep(0.02)
        assert not _forks(parent), "the work went on after its command had gone"
        there.stdin.close()  # type: ignore[union-attr]
        there.stderr.close()  # type: ignore[union-attr]
    assert run(WARM, "get", "pods", "--lab", large).returncode == 0


@pytest.mark.parametrize("number", [None, signal.SIGINT, signal.SIGTERM])
def test_one_that_does_not_begin_holds_nobody_up(large: str, number: signal.Signals | None) -> None:
    """Stopped, it still took connections, and whoever typed a command could not even interrupt it."""
    (parent,) = staying(large)
    os.kill(parent, signal.SIGSTOP)
    try:
        there = subprocess.Popen([*WARM, "get", "pods", "--lab", large], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        if number is not None:
            while not _has_a_socket(there.pid):
                assert there.poll() is None
                time.sleep(0.02)
            there.send_signal(number)
        said, wrong = there.communicate(timeout=60)
    finally:
        os.kill(parent, signal.SIGCONT)
    assert (there.returncode, wrong) == (0 if number is None else -number, b"")
    assert (b"server" in said) == (number is None)
    deadline = time.monotonic() + 60
    while _forks(parent) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not _forks(parent), "what was given up must not begin later"


def _has_a_socket(pid: int) -> bool:
    """Whether the process has come as far as to ask a server; before, a signal meets Python's own start."""
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed meanwhile
            if str(link.readlink()).startswith("socket:"):
                return True
    return False


def _forks(parent: int) -> list[int]:
    return [int(one) for one in Path(f"/proc/{parent}/task/{parent}/children").read_text().split()]


def test_killed_it_is_missed_by_nobody(large: str) -> None:
    for pid in staying(large):
        os.kill(pid, signal.SIGKILL)
    assert run(WARM, "get", "pods", "--lab", large).returncode == 0
    assert run(WARM, "label", "pod", "client", "again=1", "--lab", large).returncode == 0
    assert len(staying(large)) == 1, "the next change leaves one again"


def test_a_small_lab_leaves_none(lab: str, kit: Any, tmp_path: Path) -> None:
    (tmp_path / "lab.yaml").write_text(kit.spec(lab))
    assert run(WARM, "up", str(tmp_path / "lab.yaml")).returncode == 0
    assert staying(lab) == []


def test_another_labs_change_does_not_take_its_place(large: str, lab: str, kit: Any, tmp_path: Path) -> None:
    before = staying(large)
    (tmp_path / "lab.yaml").write_text(f"{kit.spec(lab)}\n---\n{policies(500)}")
    assert run(WARM, "up", str(tmp_path / "lab.yaml")).returncode == 0
    assert len(staying(lab)) == 1
    assert staying(large) == before


@pytest.mark.parametrize("lost", [False, True], ids=["as it was", "run state lost"])
def test_down_takes_it_along(lab: str, kit: Any, tmp_path: Path, *, lost: bool) -> None:
    (tmp_path / "lab.yaml").write_text(f"{kit.spec(lab)}\n---\n{policies(500)}")
    assert run(WARM, "up", str(tmp_path / "lab.yaml")).returncode == 0
    assert len(staying(lab)) == 1
    if lost:
        shutil.rmtree(f"/run/netlab/{lab}")
    assert run(WARM, "down", lab).returncode == 0
    assert kit.remains(lab) == []
