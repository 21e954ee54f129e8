"""kill -9 at every operation of ``up`` and of ``down``: ``up`` then converges, and ``down`` leaves nothing.

A child of fork does the work; each of its system calls that changes something is counted, and the n-th is its last.
"""

from __future__ import annotations

import os
import signal
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from netlab.kernel.host import netns as ns
from netlab.kernel.host import threads
from netlab.kernel.rtnetlink.socket import NetlinkSocket
from netlab.libc import libc
from netlab.runtime import lab as labs
from netlab.runtime.client import agentclient
from tests import tables

pytestmark = [pytest.mark.kernel, pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")]

SLICES = 6  # tests, to be shared among the workers of pytest-xdist
MOST = 60  # points of a run that are tried; of more, every second or third


class _Fuse:
    """Counts calls in one process, and kills it before the n-th."""

    def __init__(self, last: int) -> None:
        self.left, self.pid, self.calls = last, os.getpid(), 0

    def wrap(self, place: Any, name: str) -> None:
        original = getattr(place, name)

        def counted(*args: Any, **kwargs: Any) -> Any:
            if os.getpid() == self.pid:  # not in the agent, which is forked off
                self.calls += 1
                if self.calls == self.left:
                    os.kill(self.pid, signal.SIGKILL)
            return original(*args, **kwargs)

        setattr(place, name, counted)

    def light(self) -> None:
        for name in ("open", "write", "unlink", "rename", "replace", "mkdir", "rmdir", "fork", "link"):
            self.wrap(os, name)
        self.wrap(NetlinkSocket, "batch")
        self.wrap(ns, "unshare_net")
        for name in ("mount", "umount2", "linkat"):
            self.wrap(libc, name)


def run(action: Callable[[], Any], last: int = 0) -> int | None:
    """Do it in a child that dies before its ``last``-th call; None if it died, else how many calls it made."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        status = 3
        try:
            fuse = _Fuse(last)
            fuse.light()
            action()
            fuse.left = 0
            os.write(write, str(fuse.calls).encode())
            status = 0
        except BaseException:  # noqa: BLE001 - a child of fork must end here
            traceback.print_exc()
        finally:
            os._exit(status)
    os.close(write)
    with open(read, "rb") as stream:
        said = stream.read()
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return None
    assert os.WEXITSTATUS(status) == 0, "the child failed; see stderr"
    return int(said)


def points(calls: int, part: int) -> list[int]:
    every = range(1, calls + 1, -(-calls // MOST))
    return list(every)[part::SLICES]


def assert_healthy(kit: Any, lab: str, where: str) -> None:
    _, drifted = labs.diff(lab)
    assert not drifted.operations, f"{where}: {[op.obj.key for op in drifted.operations]}"
    assert kit.ping(f"{lab}-client", "10.244.2.2"), where


@pytest.mark.parametrize("part", tables.part(range(SLICES), lambda number: number % 2))
def test_up_that_is_killed_anywhere_can_be_finished_or_removed(kit: Any, lab: str, part: int) -> None:
    text = kit.spec(lab)
    calls = run(lambda: kit.up(text))
    assert calls
    kit.down(lab)
    for last in points(calls, part):
        where = f"killed before call {last} of {calls}"
        run(lambda: kit.up(text), last)
        kit.up(text)
        assert_healthy(kit, lab, where)
        kit.down(lab)
        assert not kit.remains(lab), where
        run(lambda: kit.up(text), last)
        kit.down(lab)
        assert not kit.remains(lab), f"{where}, then down"


def test_an_agent_that_is_still_being_started_when_up_is_killed_goes_with_down(
    kit: Any, lab: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = kit.spec(lab)
    forked, gate, execve = tmp_path / "forked", tmp_path / "gate", os.execve

    def late(*arguments: Any) -> None:
        forked.with_suffix(".new").write_text(os.readlink("/proc/self"))
        forked.with_suffix(".new").rename(forked)
        while not gate.exists():
            time.sleep(0.01)
        execve(*arguments)

    child = os.fork()
    if child == 0:
        monkeypatch.setattr(os, "execve", late)
        kit.up(text)
        os._exit(0)
    while not forked.exists():
        time.sleep(0.01)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    down = threading.Thread(target=kit.down, args=(lab,))
    down.start()
    down.join(1)
    gate.touch()
    down.join()
    agent = int(forked.read_text())
    while agentclient.start_time(agent) and agent not in agentclient.find(lab):
        time.sleep(0.01)
    assert not kit.remains(lab)


@pytest.mark.parametrize("part", range(2))
def test_down_that_is_killed_anywhere_can_be_finished(kit: Any, lab: str, part: int) -> None:
    text = kit.spec(lab)
    kit.up(text)
    calls = run(lambda: kit.down(lab))
    assert calls
    for last in points(calls, 0)[part::2]:
        where = f"killed before call {last} of {calls}"
        kit.up(text)
        run(lambda: kit.down(lab), last)
        kit.down(lab)
        assert not kit.remains(lab), where
        kit.up(text)
        run(lambda: kit.down(lab), last)
        kit.up(text)
        assert_healthy(kit, lab, f"{where}, then up")
    kit.down(lab)


@pytest.mark.parametrize("part", range(2))
def test_a_change_that_is_killed_anywhere_can_be_finished(kit: Any, lab: str, part: int) -> None:
    """Another data plane, a Pod more, a Pod less: half of it done, the lab is still the old one's or the new one's."""
    before = kit.spec(lab)
    after = kit.spec(
        lab,
        [("server", "node-2"), ("third", "node-1"), ("client", "node-1")],
        dataplane="host-gw",
        ipFamilies=["IPv4", "IPv6"],
    )
    kit.up(before)
    calls = run(lambda: kit.up(after))
    assert calls
    kit.down(lab)
    for last in points(calls, 0)[part::6]:
        kit.up(before)
        run(lambda: kit.up(after), last)
        kit.up(after)
        assert_healthy(kit, lab, f"killed before call {last} of {calls}")
        kit.down(lab)
        assert not kit.remains(lab)


def test_a_worker_whose_start_was_interrupted_serves_and_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C came when its thread had started and was not known yet: the next thread got no end."""
    start = threads.start

    def interrupted(work: Callable[[], object], name: str) -> threading.Thread:
        start(work, name)
        raise KeyboardInterrupt

    worker = ns.Worker()
    with monkeypatch.context() as patch:
        patch.setattr(threads, "start", interrupted)
        with pytest.raises(KeyboardInterrupt):
            worker.run(os.getpid)
    before = threading.active_count()
    assert worker.run(os.getpid) == os.getpid()
    closing = threading.Thread(target=worker.close, daemon=True)
    closing.start()
    closing.join(30)
    assert not closing.is_alive() and threading.active_count() <= before
