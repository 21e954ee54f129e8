"""``invoke faults-test``: every fault on every data plane that this kernel has, and the table in docs/faults.md."""

from __future__ import annotations

import argparse
import json
import os
import shlex
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from netlab.errors import HostCannot
from netlab.planes import ROWS
from netlab.runtime import lab as labs
from tests import forks
from tests.kit import faultrun
from tests.kit.faulttable import NOT_RUN, PAGE, PLACE, SHOWN, Marks, known_marks, rewritten
from tests.vm import command
from tests.vm.kernels import BUILD, ROOT, SUITES, Cannot

say = partial(print, flush=True)


def diagnosed(lab: str) -> tuple[str, float]:
    """What ``netlab diagnose`` names first: a fault by its id, any other cause by its kind."""
    words = ["diagnose", lab, "-o", "json"]
    done = forks.run(words, input=None, cwd=ROOT, env=os.environ, timeout=900)
    assert done is not None
    if done.returncode not in (0, 1):
        return done.stderr.strip()[-300:], 0.0
    document = json.loads(done.stdout)
    first = next(iter(document["causes"]), None)
    named = "nothing" if first is None else first["fault"] or f"{first['kind']} {first['netns']}: {first['says'][:90]}"
    return named, float(document["seconds"])


def _mark(result: faultrun.Result) -> str:
    if result.wrong:
        return NOT_RUN
    return f"{SHOWN} {result.seconds:.1f}" if result.is_named else SHOWN


def run(planes: Sequence[str], only: Sequence[str], keep: Callable[[Marks], None]) -> int:
    """Try the faults on these data planes; ``keep`` is given each one's marks; how many failed."""
    failed = 0
    for plane in planes:
        began, number, name = time.monotonic(), 0, f"faults-{os.getpid()}"
        try:
            lab = faultrun.up(plane, name)
        except HostCannot as lacking:
            say(f"{plane}: not here: {lacking}")
            continue
        try:
            for result in faultrun.tried(lab, only, diagnosed):
                number += 1
                good = not result.wrong and result.is_named
                failed += not good
                keep({(result.fault.id, plane): _mark(result), (result.fault.id, PLACE): result.at})
                text = result.wrong or f"{result.before} -> {result.after}; {result.seconds:.1f} s: {result.named}"
                say(f"{'ok' if good else 'FAIL':4} {plane} {result.fault.id} at {result.at}: {text}")
        finally:
            labs.down(name)
        say(f"{plane}: {number} faults in {time.monotonic() - began:.0f} s")
    return failed


def in_guest(kernel: str, planes: Sequence[str], only: Sequence[str]) -> int:
    """The same in a virtual machine: exit status as of `invoke vm-test`."""
    marks = BUILD / "faults.json"
    marks.unlink(missing_ok=True)
    words = [*(w for name in planes for w in ("--plane", name)), *(w for name in only for w in ("--fault", name))]
    line = shlex.join([sys.executable, "tests/faults", "--marks", f"/vm/{marks.name}", *words])
    try:
        return command.run(kernel, line, marks)
    except Cannot as why:
        say(f"not run: {why}")
        return 3
    finally:
        if marks.exists():
            to_page({(fault, column): mark for fault, column, mark in json.loads(marks.read_text())})


def to_page(marks: Marks) -> None:
    """Write the table anew, with these marks; the place of a fault is the first that was known."""
    page = PAGE.read_text(encoding="utf-8")
    known = known_marks(page)
    places = {key: mark for key, mark in known.items() if key[1] == PLACE and mark}
    PAGE.write_text(rewritten(page, known | marks | places), encoding="utf-8")


def main() -> int:
    """Exit status 1 where a fault did not show, or did not heal."""
    parser = argparse.ArgumentParser(prog="invoke faults-test", description=__doc__)
    parser.add_argument("--plane", action="append", choices=list(ROWS), help="only this data plane; repeatable")
    parser.add_argument("--fault", action="append", default=[], help="only this fault; repeatable")
    parser.add_argument("--table", action="store_true", help="only write the table, with the marks that it has")
    parser.add_argument("--kernel", choices=list(SUITES), help="in a virtual machine on this kernel of Debian")
    parser.add_argument("--marks", help="write what was seen here, as JSON, and not to the page")
    given = parser.parse_args()
    if given.kernel:
        return in_guest(given.kernel, given.plane or [], given.fault)
    marks: Marks = {}

    def keep(new: Marks) -> None:
        marks.update(new)
        if given.marks:
            Path(given.marks).write_text(json.dumps([(*key, mark) for key, mark in marks.items()]), encoding="utf-8")

    try:
        return int(not given.table and run(given.plane or list(ROWS), given.fault, keep) > 0)
    finally:
        if not given.marks:
            to_page(marks)


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    os._exit(code)  # idle threads are not waited for
