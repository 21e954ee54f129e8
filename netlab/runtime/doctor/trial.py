"""Tries the probes in a child process with namespaces of its own, each within a bound of time.

The child is killed when a probe takes too long, and another child goes on with the next probe.  The namespaces end with
the child; it ends with this process, and by an alarm of its own in any case.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import time
from collections.abc import Callable, Sequence

from netlab.errors import NetlabError
from netlab.kernel.ebpf.drops import Unavailable
from netlab.kernel.nftables.libnft import NftFailed
from netlab.libc import die_with_parent
from netlab.runtime.doctor.probes import Probe
from netlab.tuples import NamedTuple

BOUND = 10.0  # seconds for a probe: the slowest takes 0.05 s, and fifty times as long in an emulated, busy machine
LOADING = 60.0  # seconds for a probe that may load modules


class Finding(NamedTuple):
    """``works``: None where nothing was tried, or where no answer came in time; ``code``: the errno of a refusal."""

    works: bool | None
    detail: str = ""
    code: int = 0


def tried(enter: Callable[[], None], probes: Sequence[Probe], bound: float = BOUND) -> dict[str, Finding]:
    """The finding of each probe, after ``enter`` in the child; all fail with its error where it raises OSError."""
    findings: dict[str, Finding] = {}
    while left := [probe for probe in probes if probe.name not in findings]:
        before = len(findings)
        try:
            child, read = _start(enter, left, bound)
        except OSError as error:  # no more processes or files
            return findings | dict.fromkeys(
                (probe.name for probe in left), Finding(None, os.strerror(error.errno or 0))
            )
        try:
            silent = _listen(read, findings, bound)
        finally:
            os.close(read)
            _end(child)
        if len(findings) < len(probes):
            stuck = left[len(findings) - before]
            detail = f"no answer within {bound:g} s" if silent else "the kernel ended the process that tried it"
            findings[stuck.name] = Finding(None, detail)
    return findings


def outcome(action: Callable[[], str]) -> Finding:
    """What an attempt gives: never an exception."""
    try:
        return Finding(True, action())
    except OSError as error:
        return Finding(False, error.strerror or os.strerror(error.errno or 0), error.errno or 0)
    except (NetlabError, NftFailed, Unavailable) as error:
        return Finding(False, str(error).splitlines()[0])
    except Exception as error:  # noqa: BLE001 - a failure of a probe is a row of the table
        return Finding(False, type(error).__name__)


def _start(enter: Callable[[], None], probes: Sequence[Probe], bound: float) -> tuple[int, int]:
    """Start a child that writes a line for each finding; returns its pid and where to read."""
    alarm = int(2 * bound) + 1  # seconds for a probe, after which a child ends by itself
    read, write = os.pipe2(os.O_CLOEXEC)
    parent = os.getpid()
    try:
        child = os.fork()
    except OSError:
        os.close(read)
        os.close(write)
        raise
    if child:
        os.close(write)
        return child, read
    try:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(alarm)
        os.setpgid(0, 0)  # programs that a probe starts are killed with it
        _quiet()
        die_with_parent(signal.SIGKILL)
        if os.getppid() == parent:
            _work(enter, probes, write, alarm)
    finally:
        os._exit(0)


def _quiet() -> None:
    null = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(null, number)


def _work(enter: Callable[[], None], probes: Sequence[Probe], write: int, alarm: int) -> None:
    def into() -> str:
        enter()
        die_with_parent(signal.SIGKILL)  # a user namespace takes the first setting away
        return ""

    entered = outcome(into)
    for probe in probes:
        signal.alarm(alarm)
        finding = outcome(probe.attempt) if entered.works else entered
        os.write(write, json.dumps([probe.name, *finding]).encode() + b"\n")


def _listen(read: int, findings: dict[str, Finding], bound: float) -> bool:
    """Take the child's lines until it ends; True where it was silent for too long."""
    rest = b""
    until = time.monotonic() + bound
    while select.select([read], [], [], max(0.0, until - time.monotonic()))[0]:
        data = os.read(read, 1 << 16)
        if not data:
            return False
        *lines, rest = (rest + data).split(b"\n")
        for line in lines:
            name, *fields = json.loads(line)
            findings[name] = Finding(*fields)
        if lines:
            until = time.monotonic() + bound
    return True


def _end(child: int) -> None:
    """Kill the child and what it started.  One that the kernel does not let go is not waited for."""
    for kill in (os.killpg, os.kill):
        with contextlib.suppress(OSError):  # it has ended, or leads no group yet
            kill(child, signal.SIGKILL)
    for _ in range(100):
        if os.waitpid(child, os.WNOHANG)[0]:
            return
        time.sleep(0.01)
