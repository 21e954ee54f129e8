"""``invoke vm-test``: a part of the suite on kernels of Debian, in virtual machines on this host's own files.

The exit status is 0 when all passed and nothing was skipped that a kernel has; 1 when not; 2 for wrong words; 3 where
this host cannot run it (0 with ``--if-possible``); 4 when a machine was given up.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import signal
import sys
import time
from compileall import compile_dir
from pathlib import Path
from typing import NamedTuple

from tests.vm.kernels import BUILD, ROOT, SUITES, Cannot, Kernel, kernel, supported
from tests.vm.machine import Machine, accelerator
from tests.vm.marked import ALLOWED, Level, features, marked, shares
from tests.vm.report import PAGE, Case, cases, merged, tables, untried, written, wrong_skips

TRIES = 3  # boots of one machine
_PYTEST = "-m pytest -p no:cacheprovider -v --tb=short --junit-xml=/vm/junit.xml"


class Job(NamedTuple):
    """The tests of one machine."""

    kernel: Kernel
    label: str
    tests: list[str]
    accel: str


class Done(NamedTuple):
    """How a job ended: pytest's exit status (None: the machine was given up, ``trouble`` says why), JUnit's text."""

    job: Job
    status: int | None
    release: str
    junit: str
    trouble: str
    seconds: float


def _say(text: str) -> None:
    sys.stdout.write(f"vm-test: {text}\n")
    sys.stdout.flush()


def _command(tests: list[str], expression: str, limit: int) -> str:
    """Pytest in the guest, ended before the lane's own limit, so that it reports what it has."""
    words = [*([] if not expression else ["-k", expression]), *tests]
    return f"timeout -s INT -k 30 {limit} {shlex.quote(sys.executable)} {_PYTEST} {shlex.join(words)}"


class _Running:
    """A job and its machine; boots again where a machine does not come up."""

    def __init__(self, job: Job, command: str) -> None:
        self.job, self.command, self.tries, self.read = job, command, 0, 0
        self.began = time.monotonic()
        self._boot()

    def _boot(self) -> None:
        self.tries += 1
        self.read = 0
        self.machine = Machine(self.job.kernel, self.job.label, self.job.accel)
        self.machine.boot(self.command)

    def step(self, limit: float) -> Done | None:
        """Print what is new; the result, once there is one."""
        ended = self.machine.process is not None and self.machine.process.poll() is not None
        self._print()
        status = self.machine.text("status").strip()
        if status:
            return self._done(int(status), "")
        trouble = "it ended without a result" if ended else self.machine.trouble()
        if not trouble and time.monotonic() - self.began > limit + 60:
            trouble = f"it is not done after {limit:.0f} s"
        if not trouble:
            return None
        if not self.machine.text("release") and self.tries < TRIES:
            _say(f"{self.job.label}: {trouble}; booted again")
            self.machine.remove()
            self._boot()
            return None
        return self._done(None, f"{trouble}; {self._last()}")

    def _last(self) -> str:
        tests = re.findall(r"^(tests/\S+) *$|^(tests/\S+) \w+ +\[", self.machine.text("out"), re.M)
        console = (self.machine.text("console") + self.machine.text("qemu")).strip().splitlines()
        last = f"the test was {''.join(tests[-1])}" if tests else "no test had begun"
        return f"{last}; the console's last line: {console[-1].strip() if console else 'none'}"

    def _print(self) -> None:
        """Tests that did not pass, as they end; the whole text is in the log."""
        text = self.machine.text("out")
        upto = text.rfind("\n") + 1
        for line in text[self.read : upto].splitlines():
            if re.search(r"^tests/.* (FAILED|ERROR|SKIPPED)\b", line):
                _say(f"{self.job.label}: {line}")
        self.read = upto

    def _done(self, status: int | None, trouble: str) -> Done:
        took = time.monotonic() - self.began
        text, junit, release = (self.machine.text(name) for name in ("out", "junit.xml", "release"))
        log = BUILD / f"{self.job.label.replace('/', '-')}.log"
        log.write_text(text if not trouble else f"{text}\n{trouble}\n{self.machine.text('console')}")
        if trouble:
            _say(f"{self.job.label}: given up: {trouble}")
        last = text.strip().rpartition("\n")[2].strip("= ")
        _say(f"{self.job.label}: uname -r {release.strip()}: {last or 'no output'}; {took:.0f} s; log: {log}")
        self.machine.remove()
        return Done(self.job, status, release.strip(), junit, trouble, took)


def _run(jobs: list[Job], expression: str, limit: int, side_by_side: int) -> list[Done]:
    waiting, running, done = list(jobs), list[_Running](), list[Done]()
    try:
        while waiting or running:
            while waiting and len(running) < side_by_side:
                job = waiting.pop(0)
                _say(f"{job.label}: {job.kernel.release} by {job.accel}: {len(job.tests)} files and labs")
                running.append(_Running(job, _command(job.tests, expression, limit)))
            time.sleep(0.3)
            for one in list(running):
                if ended := one.step(limit):
                    running.remove(one)
                    done.append(ended)
    finally:
        for one in running:
            one.machine.remove()
    return done


def _judged(done: list[Done], ran: list[Case], *, whole: bool) -> list[str]:
    """What makes the lane fail."""
    faults = [f"{one.job.label}: {one.trouble}" for one in done if one.trouble]
    faults += [f"{one.job.label}: pytest ended with {one.status}" for one in done if one.status not in (None, 0, 5)]
    faults += [f"{one.kernel}: failed: {one.group}::{one.name}: {one.why}" for one in ran if one.result == "failed"]
    faults += wrong_skips(ran, ALLOWED)
    faults += [] if ran else ["no test has run"]
    return faults + (untried(ran, features()) if whole else [])


def _shell(one: Kernel) -> int:
    accel = accelerator(one)
    _say(f"{one.release} by {accel}: a root shell; `exit` ends the machine; what you write stays in its memory")
    machine = Machine(one, "shell", accel)
    try:
        machine.boot("setsid -c bash </dev/ttyS0 >/dev/ttyS0 2>&1", terminal=True)
        assert machine.process is not None
        return machine.process.wait()
    finally:
        machine.remove()


def _test(kernels: list[Kernel], words: argparse.Namespace) -> int:
    compile_dir(ROOT / "netlab", quiet=1)
    accel = accelerator(kernels[0])
    parts = 1 if words.k or (accel == "kvm" and len(kernels) > 1) else 2
    level = Level.PART if words.part else Level.ALL if words.all else Level.PLAIN
    jobs = [
        Job(one, f"{one.name}/{number}", tests, accel)
        for one in kernels
        for number, tests in enumerate(shares(marked(level), parts), 1)
    ]
    began = time.monotonic()
    done = _run(jobs, words.k, words.limit, max(1, min(2, words.machines)))
    texts = [(one.release, one.junit) for one in done if one.junit]
    ran = [case for release, text in texts for case in cases(release, text)]
    if words.junit:
        Path(words.junit).write_bytes(merged(texts))
    faults = _judged(done, ran, whole=not (words.k or words.part))
    if words.table:
        PAGE.write_text(written(PAGE.read_text(), tables(ran)))
    for fault in faults:
        _say(fault)
    counts = {word: sum(case.result == word for case in ran) for word in ("passed", "failed", "skipped")}
    summary = ", ".join(f"{count} {word}" for word, count in counts.items())
    _say(f"{'failed' if faults else 'passed'}: {summary} on {len(kernels)} kernels in {time.monotonic() - began:.0f} s")
    return 4 if any(one.trouble for one in done) else 1 if faults else 0


def _words() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="invoke vm-test")
    parser.add_argument("--kernel", action="append", choices=list(SUITES))
    parser.add_argument("-k", default="")
    parser.add_argument("--shell", action="store_true")
    parser.add_argument("--junit", default="")
    parser.add_argument("--part", action="store_true")
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--table", action="store_true")
    parser.add_argument("--if-possible", action="store_true")
    parser.add_argument("--machines", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--limit", type=int, default=1200)
    return parser.parse_args()


def _end(number: int, _frame: object) -> None:
    raise SystemExit(128 + number)


def main() -> int:
    """Run the lane."""
    words = _words()
    signal.signal(signal.SIGTERM, _end)
    names = words.kernel or (["6.1"] if words.part or words.shell else list(SUITES))
    try:
        supported()
        kernels = [kernel(name) for name in names]
    except Cannot as why:
        _say(f"not run: {why}")
        return 0 if words.if_possible else 3
    return _shell(kernels[0]) if words.shell else _test(kernels, words)


try:
    sys.exit(main())
except KeyboardInterrupt:
    sys.exit(130)
