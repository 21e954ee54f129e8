"""The benchmarks of ``capture``: the highest rate at which no frame is lost, beside tcpdump's on the same load."""

from __future__ import annotations

import os
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from bed import ENV, ROOT, Failed, Size, lab_command, netlab, run, settle, spec, workshop
from rows import Row, ratios

if TYPE_CHECKING:
    from cases import Run

ONE, TEN = Size(1, 1), Size(1, 10)
FRAME = 98  # bytes: a ping's
SECONDS = 3.0  # of load at each rate
FIRST, STEP, STEPS = 40_000, 1.5, 9
BUFFER = 32  # MiB, for both
_FILTER = "udp port 9"


class Took(NamedTuple):
    """One load: frames sent, the rate that the sender reached, frames in the file, seconds of processor time."""

    sent: int
    rate: float
    kept: int
    busy: float


class Climb(NamedTuple):
    """The highest rate without a loss; the rate at which frames were lost (0: the sender reached no more); nanoseconds of
    processor time a frame.
    """

    best: float
    lost: float
    cost: float


def capturing(want: Run) -> Iterator[Row]:
    """One interface against ``tcpdump -w``, step by step on the same loads; then ten interfaces."""
    with workshop(want.lab) as folder:
        lab_command("up", "-f", str(_lab(folder, want.lab, ONE)))
        end = f"{want.lab}-p1-1:eth0"
        ways: dict[str, Callable[[float], Took]] = {
            "capture -w": lambda rate: _ours(want.lab, folder, ["p1-1:eth0"], [end], rate),
            "tcpdump -w": lambda rate: _theirs(folder, end, rate),
        }
        found = [_climb(ways) for _ in range(want.turns(2))]
    settle(want.lab)
    for name in ways:
        yield from _rows(name, "one interface", "1x1", [one[name] for one in found])
    ours, theirs = ([one[name].best for one in found] for name in ways)
    yield ratios("capture / tcpdump", "1x1", ours, theirs)
    with workshop(want.lab) as folder:
        lab_command("up", "-f", str(_lab(folder, want.lab, TEN)))
        pods = [f"p1-{number}" for number in range(1, 11)]
        places, ends = [f"{pod}:eth0" for pod in pods], [f"{want.lab}-{pod}:eth0" for pod in pods]
        ten = {"": lambda rate: _ours(want.lab, folder, places, ends, rate)}
        many = [_climb(ten)[""] for _ in range(want.turns(2))]
    settle(want.lab)
    yield from _rows("capture -w", "ten interfaces", "1x10", many)


def _rows(name: str, where: str, size: str, found: list[Climb]) -> Iterator[Row]:
    ends = [f"lost some at {one.lost:,.0f}" if one.lost else "lost none, the sender reached no more" for one in found]
    yield Row(f"{name}, {where}", size, tuple(one.best for one in found), "frames/s", "; ".join(dict.fromkeys(ends)))
    note = "user and system, less what the program's start takes"
    yield Row(f"{name}, processor time a frame", size, tuple(one.cost for one in found), "ns", note)


def _lab(folder: Path, lab: str, size: Size) -> Path:
    file = folder / "lab.yaml"
    file.write_text(spec(lab, size), encoding="utf-8")
    return file


def _climb(ways: dict[str, Callable[[float], Took]]) -> dict[str, Climb]:
    """Rates rise until each way has lost frames, or the sender is at its end."""
    best, lost = dict.fromkeys(ways, 0.0), dict.fromkeys(ways, 0.0)
    start = {name: way(10).busy for name, way in ways.items()}  # next to nothing to do
    longest: dict[str, Took] = {}
    climbing = list(ways)
    rate = float(FIRST)
    for _ in range(STEPS):
        for name in list(climbing):
            took = ways[name](rate)
            longest[name] = max(longest.get(name, took), took, key=lambda one: one.kept)
            if took.kept < took.sent:
                lost[name] = took.rate
            else:
                best[name] = max(best[name], took.rate)
            if took.kept < took.sent or took.rate < 0.6 * rate:
                climbing.remove(name)
        rate *= STEP
        climbing.reverse()
    cost = {name: max(0.0, took.busy - start[name]) * 1e9 / took.kept for name, took in longest.items()}
    return {name: Climb(best[name], lost[name], cost[name]) for name in ways}


def _ours(lab: str, folder: Path, places: list[str], ends: list[str], rate: float) -> Took:
    at = [word for place in places for word in ("--at", place)]
    file = folder / "netlab.pcapng"
    argv = [*netlab(), "capture", "--lab", lab, *at, "--filter", _FILTER, "-w", str(file), "--buffer", str(BUFFER)]
    return _load(argv, "capturing at", r"^([\d,]+) packets? in ", ends, rate, file)


def _theirs(folder: Path, end: str, rate: float) -> Took:
    netns, _, interface = end.partition(":")
    file = folder / "tcpdump.pcap"
    argv = ["ip", "netns", "exec", netns, "tcpdump", "-Z", "root", "-i", interface, "-B", str(BUFFER * 1024)]
    return _load([*argv, "-w", str(file), _FILTER], "listening on", r"^(\d+) packets? captured", [end], rate, file)


def _load(argv: list[str], begun: str, counted: str, ends: list[str], rate: float, file: Path) -> Took:
    """Start a capture, send, end it; what it took."""
    process = subprocess.Popen(argv, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, cwd=ROOT, env=ENV)
    assert process.stderr
    try:
        said = b""
        while begun.encode() not in said:
            if not select.select([process.stderr], [], [], 20)[0] or not (
                piece := os.read(process.stderr.fileno(), 4096)
            ):
                raise Failed(f"`{' '.join(argv[:6])} ...` did not begin: {said.decode()}")
            said += piece
        loader = str(Path(__file__).with_name("load.py"))
        sent, reached = run([sys.executable, loader, str(rate), str(SECONDS), str(FRAME), *ends]).stdout.split()
        time.sleep(1.3)  # tcpdump looks at a block that is not full after a second, and not when it is told to end
        process.send_signal(signal.SIGINT)
        said += process.stderr.read()
        _, _, used = os.wait4(process.pid, 0)
        process.returncode = 0
    finally:
        if process.returncode is None:
            process.kill()
            process.wait()
        process.stderr.close()
        file.unlink(missing_ok=True)
    found = re.search(counted, said.decode(), re.M)
    if found is None:
        raise Failed(f"`{argv[0]}` did not say what it captured: {said.decode()}")
    kept = int(found[1].replace(",", ""))
    return Took(int(sent), float(reached), kept, used.ru_utime + used.ru_stime)
