"""``invoke faults-test``: every fault on every data plane that this kernel has, and the table in docs/faults.md."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from netlab.errors import HostCannot
from netlab.planes import ROWS
from netlab.runtime import lab as labs
from tests.kit import faultrun
from tests.kit.faulttable import NOT_RUN, PAGE, PLACE, SHOWN, Marks, known_marks, rewritten

say = partial(print, flush=True)


def diagnosed(lab: str) -> tuple[str, float]:
    """What ``netlab diagnose`` names first: a fault by its id, any other cause by its kind."""
    done = subprocess.run(
        [sys.executable, "-m", "netlab", "diagnose", lab, "-o", "json"], capture_output=True, text=True, check=False
    )
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


def run(planes: Sequence[str], only: Sequence[str], marks: Marks) -> int:
    """Try the faults on these data planes; how many failed."""
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
                marks[result.fault.id, plane] = _mark(result)
                marks.setdefault((result.fault.id, PLACE), result.at)
                text = result.wrong or f"{result.before} -> {result.after}; {result.seconds:.1f} s: {result.named}"
                say(f"{'ok' if good else 'FAIL':4} {plane} {result.fault.id} at {result.at}: {text}")
        finally:
            labs.down(name)
        say(f"{plane}: {number} faults in {time.monotonic() - began:.0f} s")
    return failed


def main() -> int:
    """Exit status 1 where a fault did not show, or did not heal."""
    parser = argparse.ArgumentParser(prog="invoke faults-test", description=__doc__)
    parser.add_argument("--plane", action="append", choices=list(ROWS), help="only this data plane; repeatable")
    parser.add_argument("--fault", action="append", default=[], help="only this fault; repeatable")
    parser.add_argument("--table", action="store_true", help="only write the table, with the marks that it has")
    given = parser.parse_args()
    page = PAGE.read_text(encoding="utf-8")
    marks = known_marks(page)
    failed = 0 if given.table else run(given.plane or list(ROWS), given.fault, marks)
    PAGE.write_text(rewritten(page, marks), encoding="utf-8")
    return int(failed > 0)


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    os._exit(code)  # idle threads are not waited for
