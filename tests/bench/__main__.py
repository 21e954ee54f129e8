"""``invoke bench``: measure netlab against its bars, print a Markdown table, write the same as JSON.

A bar that is missed is said, not failed: the machine may be busy.  The exit status is 0 when everything ran, 2 for
wrong words, 3 where this host cannot run labs, 4 when a command did not do what it should.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

from bed import ROOT, Failed, Size, machine
from cases import CASES, Run
from rows import Row, table


def _say(text: str) -> None:
    sys.stderr.write(f"bench: {text}\n")
    sys.stderr.flush()


def _sizes(text: str) -> tuple[Size, ...]:
    try:
        return tuple(map(Size.of, text.split(",")))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no list like 10x20,10x100 (nodes x Pods a node)") from None


def _cases(text: str) -> tuple[str, ...]:
    names = tuple(text.split(","))
    for name in names:
        if name not in CASES:
            raise argparse.ArgumentTypeError(f"there is no benchmark {name!r}: {', '.join(CASES)}")
    return names


def main() -> int:
    """Run the chosen benchmarks."""
    parser = argparse.ArgumentParser(prog="invoke bench", description="The benchmarks of netlab, on this machine.")
    parser.add_argument("--only", type=_cases, default=tuple(CASES), metavar="NAMES", help=", ".join(CASES))
    parser.add_argument("--sizes", type=_sizes, default=(Size(10, 20),), help="nodes x Pods a node: 10x20,10x100")
    parser.add_argument("--runs", type=int, default=0, help="rounds of each benchmark, instead of its own number")
    parser.add_argument("--json", type=Path, default=ROOT / "build" / "bench.json", help="where the JSON goes")
    parser.add_argument("--lab", default=f"bench{os.getpid()}", help="the labs' name while they are measured")
    chosen = parser.parse_args()
    if os.geteuid() != 0:
        _say("labs need root: sudo ./bootstrap.sh invoke bench")
        return 3
    about = machine()
    rows: list[Row] = []
    failures: dict[str, str] = {}
    for name in chosen.only:
        _say(name)
        try:
            rows.extend(CASES[name](Run(chosen.lab, chosen.sizes, chosen.runs)))
        except Failed as error:
            failures[name] = str(error)
            _say(f"{name} did not run to its end: {error}")
    chosen.json.parent.mkdir(parents=True, exist_ok=True)
    result = {"machine": about, "rows": [row.json() for row in rows], "failures": failures}
    chosen.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    sys.stdout.write(table(rows) + "\n")
    met = [row.met for row in rows if row.met is not None]
    _say(f"{met.count(True)} bars met, {met.count(False)} missed; {chosen.json}")
    return 4 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
