"""Labs larger than a machine's usual limits; and those that do not fit, refused before anything is built."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from netlab.errors import HostCannot
from netlab.kernel.host import netns as ns
from netlab.kernel.host.limits import OpenFiles
from netlab.model import build
from netlab.objects import State
from netlab.plan import desired
from netlab.runtime.host import capacity
from netlab.spec import Text, load_texts

pytestmark = pytest.mark.kernel


def spec(lab: str, pods: int) -> str:
    node = {
        "apiVersion": "netlab/v1",
        "kind": "Lab",
        "metadata": {"name": lab},
        "spec": {"nodes": [{"name": "node-1"}]},
    }
    port = [{"name": "c", "image": "x", "ports": [{"containerPort": 80}]}]
    many = (
        {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": f"p{n}"}, "spec": {"containers": port}}
        for n in range(pods)
    )
    return "\n---\n".join(json.dumps(one) for one in (node, *many))


def netlab(*words: str, files: tuple[int, int]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "netlab", *words],
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, files),
    )


def test_a_lab_with_more_namespaces_than_a_shell_may_open_files(tmp_path: Path) -> None:
    """Most systems let a process open 1,024 files unless it asks for more: `up` ended with "Too many open files"."""
    lab = f"many{os.getpid()}"
    (tmp_path / "lab.yaml").write_text(spec(lab, 40))
    files = 64, resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    try:
        up = netlab("up", str(tmp_path / "lab.yaml"), files=files)
        assert up.returncode == 0, up.stderr
        diff = netlab("diff", lab, files=files)
        assert diff.returncode == 0, diff.stdout + diff.stderr
        told = netlab("exec", "--lab", lab, "p1", "--", "sh", "-c", "ulimit -n", files=files)
        assert told.stdout == "64\n", told.stderr  # what runs in a Pod has the caller's limit
    finally:
        netlab("down", lab, files=files)


def test_the_limit_is_put_back() -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    with OpenFiles() as files:
        assert files.limit == resource.getrlimit(resource.RLIMIT_NOFILE)[0] >= before[0]
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == before


def test_no_hard_limit_stays_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who is not root could lower it and never put it back."""
    asked: list[tuple[int, int]] = []
    none = resource.RLIM_INFINITY
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1024, none))
    monkeypatch.setattr(resource, "setrlimit", lambda _, limits: asked.append(limits))
    with OpenFiles() as files:
        assert files.limit > 1024
    assert asked == [(files.limit, none), (1024, none)]


@pytest.fixture
def want() -> State:
    return desired(build(load_texts([Text("lab.yaml", spec("never-built", 30))])).cluster)


def test_memory(want: State, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capacity, "available", lambda: 14_000_000)
    capacity.require(want)
    monkeypatch.setattr(capacity, "available", lambda: 12_000_000)
    with pytest.raises(
        HostCannot, match=r"32 new namespaces take about 11 MB of memory, and 12 MB are free"
    ) as refused:
        capacity.require(want)
    assert refused.value.hint.endswith("this machine has room for about 29 more Pods")


def test_what_is_there_already_takes_no_more(want: State, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(capacity, "available", lambda: 0)
    monkeypatch.setattr(capacity, "RUN_NETNS", tmp_path)
    for netns in want.netns():
        (tmp_path / netns).touch()
    capacity.require(want)


def test_open_files(want: State, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("netlab.kernel.host.limits.raise_open_files", lambda: 256)
    with pytest.raises(
        HostCannot, match=r"32 namespaces and 30 ports that Pods serve take about 264 open files"
    ) as refused:
        capacity.require(want)
    assert "ulimit -n 264" in str(refused.value.hint)


def test_available_memory_is_said_by_this_kernel() -> None:
    found = capacity.available()
    assert found is not None and 0 < found < 1 << 50


def test_a_worker_that_was_interrupted_as_it_began_can_be_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C in that moment was told as a defect of netlab."""
    import threading

    worker = ns.Worker()

    def interrupted(_: threading.Thread) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(threading.Thread, "start", interrupted)
    with pytest.raises(KeyboardInterrupt):
        worker.run(int)
    worker.close()
