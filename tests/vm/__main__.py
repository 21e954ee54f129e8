"""``invoke vm-test``: a part of the suite on kernels of Debian, in virtual machines on this host's own files.

The exit status is 0 when all passed and nothing was skipped that a kernel has; 1 when not; 2 for wrong words; 3 where
this host cannot run it; 4 when a machine was given up. ``--if-possible`` makes 0 of 3 and 4.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import shutil
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from compileall import compile_dir
from contextlib import contextmanager
from pathlib import Path
from xml.etree.ElementTree import ParseError

from tests.vm import verdict
from tests.vm.kernels import BUILD, ROOT, SUITES, Cannot, Kernel, kernel, machines, supported
from tests.vm.machine import Machine, accelerator, ends_with_its_parent, scratch
from tests.vm.marked import ALLOWED, Level, Marked, features, marked, shares
from tests.vm.report import PAGE, Case, cases, earlier, merged, tables, written
from tests.vm.verdict import Done, Job

TRIES = 3  # boots of one machine
_PYTEST = "-m pytest -p tests.vm.again -p no:cacheprovider -v --tb=short --junit-xml=/vm/junit.xml"


def _say(text: str) -> None:
    sys.stdout.write(f"vm-test: {text}\n")
    sys.stdout.flush()


def _command(tests: list[str], expression: str, limit: int) -> str:
    """Pytest in the guest, ended before the lane's own limit, so that it reports what it has."""
    words = [*([] if not expression else ["-k", expression]), *tests]
    return f"timeout -s INT -k 30 {limit} {shlex.quote(sys.executable)} {_PYTEST} {shlex.join(words)}"


class _Running:
    """A job and its machine; boots again where a machine does not come up."""

    def __init__(self, job: Job, command: str, within: Path) -> None:
        self.job, self.command, self.within, self.tries, self.read = job, command, within, 0, 0
        self.processor = 0.0
        self.began = time.monotonic()
        self._boot()

    def _boot(self) -> None:
        self.tries += 1
        self.read = 0
        self.machine = Machine(self.job.kernel, self.job.accel, self.within)
        self.machine.boot(self.command)

    def step(self, limit: float) -> Done | None:
        """Print what is new; the result, once there is one."""
        self.processor = max(self.processor, self.machine.processor())
        gone = self.machine.process is not None and self.machine.process.poll() is not None
        self._print()
        status = self.machine.text("status").strip()
        if status:
            return self._done(int(status), "")
        trouble = "it ended without a result" if gone else self.machine.trouble()
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
        last = text.strip().rpartition("\n")[2].strip("= ")
        spent = f"{took:.0f} s, {self.processor:.0f} s of a processor"
        _say(f"{self.job.label}: uname -r {release.strip()}: {last or 'no output'}; {spent}; log: {log}")
        self.machine.remove()
        if status is None:
            return Done(self.job, None, release.strip(), junit, trouble, took)
        return verdict.ended(self.job, status, release.strip(), junit, took)


def _run(jobs: list[Job], words: argparse.Namespace, within: Path) -> list[Done]:
    waiting, running, done = list(jobs), list[_Running](), list[Done]()
    try:
        while waiting or running:
            while waiting and len(running) < max(1, words.machines):
                job = waiting.pop(0)
                _say(f"{job.label}: {job.kernel.release} by {job.accel}: {len(job.tests)} files and labs")
                running.append(_Running(job, _command(job.tests, words.k, words.limit), within))
            time.sleep(0.3)
            for one in list(running):
                if ended := one.step(words.limit):
                    running.remove(one)
                    done.append(ended)
                    if words.junit:  # now, since a lane that is ended has what it has
                        Path(words.junit).write_bytes(merged(_texts(done)))
    finally:
        for one in running:
            one.machine.remove()
    return done


def _texts(done: list[Done]) -> list[tuple[str, str]]:
    return [(one.release, one.junit) for one in done if one.junit]


def _shell(one: Kernel, within: Path) -> int:
    accel = accelerator(one, within)
    _say(
        f"{one.release} by {accel}: a root shell; `exit` or Ctrl-D ends the machine; what you write stays in its memory"
    )
    columns, rows = shutil.get_terminal_size()
    size = f"stty rows {rows} cols {columns}; export TERM={shlex.quote(os.environ.get('TERM', 'dumb'))}"
    machine = Machine(one, accel, within)
    with _terminal_kept():
        try:
            machine.boot(f"( {size}; exec setsid -c bash ) </dev/ttyS0 >/dev/ttyS0 2>&1", terminal=True)
            assert machine.process is not None
            return machine.process.wait()
        finally:
            machine.remove()


@contextmanager
def _terminal_kept() -> Iterator[None]:
    """The terminal is as before, however qemu ends."""
    before = termios.tcgetattr(sys.stdin)
    try:
        yield
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)


class _Unreadable(Exception):
    """What no test is called, or what pytest or the tables cannot read."""


def _chosen(rows: list[Marked], expression: str) -> list[Marked]:
    """The rows that have a test of this name. The same run of pytest leaves the bytecode that the guests import."""
    compile_dir(ROOT / "netlab", quiet=1)
    env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    words = [
        "-m",
        "pytest",
        "-p",
        "no:cacheprovider",
        "--collect-only",
        "-q",
        *(["-k", expression] if expression else []),
    ]
    argv = [sys.executable, *words, *(row.path for row in rows)]
    shown = subprocess.run(argv, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    if shown.returncode in (2, 3, 4):
        raise _Unreadable((shown.stdout + shown.stderr).strip())
    tests = {line for line in shown.stdout.splitlines() if "::" in line}
    chosen = [row for row in rows if any(f"{test}::".startswith(f"{row.path}::") for test in tests)]
    if not chosen:
        raise _Unreadable(f"no test of this run matches -k {expression!r} (--all has more tests)")
    return chosen


def _test(kernels: list[Kernel], words: argparse.Namespace, within: Path) -> int:
    level = Level.PART if words.part else Level.ALL if words.all else Level.PLAIN
    rows = _chosen(marked(level), words.k)
    accel = accelerator(kernels[0], within)
    parts = 1 if words.k or (accel == "kvm" and len(kernels) > 1) else 2
    jobs = [
        Job(one, f"{one.name}/{number}", tests, accel)
        for one in kernels
        for number, tests in enumerate(shares(rows, parts), 1)
    ]
    began = time.monotonic()
    done = _run(jobs, words, within)
    ran = [case for release, text in _texts(done) for case in cases(release, text)]
    if words.table:
        _to_page(ran)
    faults = verdict.faults(done, ran, ALLOWED, () if words.k else features(level))
    troubles = verdict.troubles(done)
    flaky = verdict.flaky(ran)
    for line in [*flaky, *troubles, *faults]:
        _say(line)
    counts = {word: sum(case.result == word for case in ran) for word in ("passed", "failed", "skipped")}
    counts |= {"flaky": len(flaky)} if flaky else {}
    summary = ", ".join(f"{count} {word}" for word, count in counts.items())
    word = "failed" if faults else "not run whole" if troubles else "passed"
    _say(f"{word}: {summary} on {len(kernels)} kernels in {time.monotonic() - began:.0f} s")
    return verdict.exit_status(faults, troubles, if_possible=words.if_possible)


def _to_page(ran: list[Case]) -> None:
    PAGE.write_text(written(PAGE.read_text(), tables(ran)))


def _words() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="invoke vm-test")
    parser.add_argument("--kernel", action="append", choices=list(SUITES))
    parser.add_argument("-k", default="")
    parser.add_argument("--shell", action="store_true")
    parser.add_argument("--junit", default="")
    parser.add_argument("--part", action="store_true")
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--table", action="store_true")
    parser.add_argument("--read", action="append", type=Path)
    parser.add_argument("--if-possible", action="store_true")
    parser.add_argument("--machines", type=int, default=machines())
    parser.add_argument("--limit", type=int, default=1200)
    return parser.parse_args()


def main() -> int:
    """Run the lane."""
    words = _words()
    ends_with_its_parent()
    if words.shell and not (sys.stdin.isatty() and sys.stdout.isatty()):
        _say("--shell needs a terminal; `-k EXPR` runs tests without one")
        return 2
    if words.read:
        try:
            _to_page(earlier(words.read))
        except (OSError, ParseError) as why:
            raise _Unreadable(f"--read: {why}") from why
        return 0
    names = words.kernel or (["6.1"] if words.part or words.shell else list(SUITES))
    try:
        supported()
        kernels = [kernel(name) for name in names]
    except Cannot as why:
        _say(f"not run: {why}")
        return 0 if words.if_possible else 3
    with scratch() as within:
        return _shell(kernels[0], within) if words.shell else _test(kernels, words, within)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except _Unreadable as why:
        _say(str(why))
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
