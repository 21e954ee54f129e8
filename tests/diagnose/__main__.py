"""``invoke diagnose-test``: labs that strangers broke by hand; which of them ``diagnose`` names right, and how fast."""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.diagnose import shop
from tests.diagnose.strangers import STRANGERS
from tests.kernel.diagnose import breakages
from tests.kernel.diagnose.breakages import BREAKAGES, Breakage, sh

NETLAB = str(Path(sys.executable).with_name("netlab"))
WANTED = 0.95
LACKS = re.compile("TC classifier not found|qdisc kind is unknown|not supported")
Names = Callable[[str], dict[str, str]]
LACKING = "lacking"  # the kernel cannot be broken in this way
say = partial(print, flush=True)


def netlab(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([NETLAB, *words], capture_output=True, text=True, check=False, timeout=120)


def tried(breakage: Breakage, lab: str, file: Path, names: Names) -> tuple[str, float, str]:
    """The verdict on a breakage, the seconds of ``diagnose``, and what it names."""
    if (up := netlab("up", str(file), "--reset")).returncode:
        return "LAB", 0.0, up.stderr
    named = names(lab) | {"netlab": NETLAB}
    try:
        sh(breakage.lines.format(**named))
    except AssertionError as error:
        heal(named)
        return LACKING if LACKS.search(str(error)) else "LINES", 0.0, str(error)
    began = time.monotonic()
    done = netlab("diagnose", lab, "-o", "json")
    seconds = time.monotonic() - began
    heal(named)
    if "kill" in breakage.lines:
        netlab("down", lab)  # containers that crashed wait long before they start again
    if done.returncode not in (0, 1):
        return "CRASH", seconds, done.stderr[-2000:]
    document = json.loads(done.stdout)
    return verdict(breakage, document), seconds, text(document)


def verdict(breakage: Breakage, document: dict[str, Any]) -> str:
    """right; second: among the causes; clear: no cause though flows may fail; wrong."""
    if breakages.right(breakage, document):
        return "right"
    if not document["causes"]:
        return "clear"
    rest = ({**document, "causes": [cause]} for cause in document["causes"][1:])
    return "second" if any(breakages.right(breakage, each) for each in rest) else "wrong"


def text(document: dict[str, Any]) -> str:
    """The first causes, and how many flows are broken."""
    causes = [
        f"{each['kind']} {each['place']['name']} {each['interface']}: {each['says'][:110]}"
        for each in document["causes"][:2]
    ]
    return f"{document['broken']}/{document['probed']} broken; " + " | ".join(causes)


def heal(named: dict[str, str]) -> None:
    """Remove what ``up`` leaves alone."""
    breakages.heal(named)
    there = [named[word] for word in ("n1", "n2", "n3", "server", "front", "api", "db") if word in named]
    for netns in there:
        for family in ("ip", "inet", "ip6", "arp", "netdev"):
            for table in ("strange", "filter"):
                sh(f"ip netns exec {netns} nft delete table {family} {table} 2>/dev/null || true")


def run(plane: str, chosen: Sequence[Breakage], more: bool, rich: bool) -> Counter[str]:
    """Try these breakages on a data plane."""
    lab, counts = f"strange-{os.getpid()}", Counter[str]()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "lab.yaml"
        file.write_text((shop if rich else breakages).lab(plane, lab), encoding="utf-8")
        if (up := netlab("up", str(file))).returncode:
            say(f"{plane}: not here: {up.stderr.strip()}")
            return counts
        try:
            for each in chosen:
                result, seconds, causes = tried(each, lab, file, (shop if rich else breakages).names)
                counts[result] += 1
                shown = f": {causes}" if more or result != "right" else ""
                say(f"{result:6} {seconds:4.1f} s {plane:10} {each.name}{shown}")
        finally:
            netlab("down", lab)
    return counts


def main() -> int:
    """Exit status 1 below 95 of 100, or where a breakage that fails flows was given no cause."""
    parser = argparse.ArgumentParser(prog="invoke diagnose-test", description=__doc__)
    parser.add_argument(
        "--plane", action="append", help="only this data plane; repeatable (default: all that are named)"
    )
    parser.add_argument("--only", default="", help="only breakages with this in their names")
    parser.add_argument("--known", action="store_true", help="those that diagnose was written for, too")
    parser.add_argument("--half", choices=("tuned", "held-out"), help="one half: every other breakage")
    parser.add_argument("--set", choices=tuple(shop.SETS), help="a set of breakages of the lab of three nodes")
    parser.add_argument("--causes", action="store_true", help="print the causes of right answers, too")
    given = parser.parse_args()
    table = STRANGERS[{None: slice(None), "tuned": slice(0, None, 2), "held-out": slice(1, None, 2)}[given.half]]
    table = shop.SETS[given.set] if given.set else table + (BREAKAGES if given.known else ())
    counts = Counter[str]()
    for plane in given.plane or dict.fromkeys(plane for each in table for plane in each.planes):
        chosen = [each for each in table if plane in each.planes and given.only in each.name]
        if chosen:
            counts += run(plane, chosen, given.causes, bool(given.set))
    total = counts.total() - counts[LACKING]
    say(f"{counts['right']} of {total} right at the first try; {dict(counts)}")
    return int(counts["right"] < WANTED * total or counts["clear"] > 0)


if __name__ == "__main__":
    sys.exit(main())
