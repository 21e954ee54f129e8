"""What the benchmarks run on: generated labs, commands with a stop-watch, and a kernel that has come to rest."""

from __future__ import annotations

import json
import os
import platform
import re
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[2]
NETNS = Path("/run/netns")
REST = 120.0  # seconds in which a kernel frees 5,000 namespaces, and then some


class Size(NamedTuple):
    """A lab of ``nodes`` times ``pods`` (Pods a node)."""

    nodes: int
    pods: int

    def __str__(self) -> str:
        return f"{self.nodes}x{self.pods}"

    @property
    def total(self) -> int:
        """All Pods."""
        return self.nodes * self.pods

    @classmethod
    def of(cls, text: str) -> Size:
        """``10x20``; raises ValueError."""
        nodes, pods = text.lower().split("x")
        return cls(int(nodes), int(pods))


def spec(lab: str, size: Size, dataplane: str = "vxlan") -> str:
    """A lab's YAML: every Pod serves 80/TCP, no policies."""
    nodes = "".join(f"  - {{name: node-{n}}}\n" for n in range(1, size.nodes + 1))
    head = f"apiVersion: netlab/v1\nkind: Lab\nmetadata: {{name: {lab}}}\nspec:\n  dataplane: {dataplane}\n  nodes:\n"
    return (
        head + nodes + "".join(pod(f"p{n}-{p}", n) for n in range(1, size.nodes + 1) for p in range(1, size.pods + 1))
    )


def pod(name: str, node: int) -> str:
    """A Pod's YAML, as charts render them."""
    return (
        f"---\napiVersion: v1\nkind: Pod\nmetadata:\n  name: {name}\n  labels:\n    app: web\nspec:\n"
        f"  nodeName: node-{node}\n  containers:\n  - name: web\n    image: nginx:1.25\n"
        "    ports:\n    - containerPort: 80\n"
    )


def netlab() -> list[str]:
    """The console command beside this interpreter, or the module where there is none."""
    script = Path(sys.executable).parent / "netlab"
    return [str(script)] if script.exists() else [sys.executable, "-m", "netlab"]


ENV = {**os.environ, "NO_COLOR": "1"}
if len(netlab()) > 1:
    ENV["PYTHONPATH"] = str(ROOT)
ENV.pop("NETLAB_LAB", None)


class Failed(Exception):
    """A command of a benchmark did not do what it should; carries its line and what it said."""


class Ran(NamedTuple):
    """A command's wall clock and processor time in seconds, its children's included, and its stdout.

    Wall clock is from before the fork until the end; processor time is what a busy machine changes less.
    """

    seconds: float
    processor: float
    stdout: str

    @property
    def json(self) -> Any:
        """Stdout as one JSON document."""
        return json.loads(self.stdout)


def run(argv: Sequence[str], *, status: Sequence[int] = (0,), timeout: float = 900) -> Ran:
    """Run a command to its end with a stop-watch.  Raises Failed for any other exit status."""
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        began = time.perf_counter()
        process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=out, stderr=err, env=ENV, cwd=ROOT)
        ended, processor = _waited(process, timeout)
        seconds = ended - began
        code = process.returncode
        out.seek(0)
        err.seek(0)
        said = out.read()
        if code not in status:
            raise Failed(f"`{' '.join(argv[-6:])}` ended with {code}: {(err.read() or said)[-1500:].strip()}")
    return Ran(seconds, processor, said)


def _waited(process: subprocess.Popen[bytes], timeout: float) -> tuple[float, float]:
    """Wait for the end: when it was, and the processor's seconds.

    subprocess's own wait with a timeout sleeps in steps of up to 50 ms.
    """
    pidfd = os.pidfd_open(process.pid)
    try:
        ended = bool(select.select([pidfd], [], [], timeout)[0])
        when = time.perf_counter()
        if not ended:
            process.kill()
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    finally:
        os.close(pidfd)
    if not ended:
        raise Failed(f"a command was stopped after {timeout:.0f} s")
    return when, used.ru_utime + used.ru_stime


def lab_command(*words: str, status: Sequence[int] = (0,)) -> Ran:
    """``netlab WORDS`` as a whole command."""
    return run([*netlab(), *words], status=status)


def inside(*words: str) -> Any:
    """What ``inside.py`` answers."""
    return run([sys.executable, str(Path(__file__).parent / "inside.py"), *words]).json


def settle(tag: str) -> float:
    """Wait until the kernel has freed every namespace whose name is gone; returns the seconds that it took.

    Namespaces die in a work queue that takes them in batches, one batch after another, under the locks that building
    needs: an ``up`` right after a ``down`` measures the ``down``.  No counter tells when it is done (the slab's is not
    exact), so two markers are sent after them, each a namespace with one end of a veth whose other end we hold: when
    the first's end has gone, its batch is being worked on; when the second's has, that batch is finished.
    """
    began = time.monotonic()
    keep = f"{tag}-settle"
    _quiet("ip", "netns", "del", keep)
    _must("ip", "netns", "add", keep)
    try:
        for turn in ("first", "second"):
            marker = f"{keep}-{turn}"
            _must("ip", "netns", "add", marker)
            _must("ip", "-n", keep, "link", "add", "name", turn, "type", "veth", "peer", "name", turn, "netns", marker)
            _must("ip", "netns", "del", marker)
            while _quiet("ip", "-n", keep, "link", "show", "dev", turn) == 0:
                if time.monotonic() - began > REST:
                    raise Failed(f"the kernel has not freed its dead namespaces after {REST:.0f} s")
                time.sleep(0.02)
    finally:
        _quiet("ip", "netns", "del", keep)
    time.sleep(0.1)
    return time.monotonic() - began


def _quiet(*argv: str) -> int:
    return subprocess.run(argv, capture_output=True, check=False).returncode


def _must(*argv: str) -> None:
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Failed(f"`{' '.join(argv)}`: {done.stderr.strip()}")


def rounds(times: int, ways: Mapping[str, Callable[[], dict[str, float]]]) -> Iterator[dict[str, float]]:
    """A B A B: each round goes through all ways, every other one backwards, so that a slow minute hits all alike."""
    for turn in range(times):
        found: dict[str, float] = {}
        for name in list(ways)[:: 1 if turn % 2 == 0 else -1]:
            found |= {f"{name} {what}".strip(): value for what, value in ways[name]().items()}
        yield found


@contextmanager
def workshop(lab: str) -> Iterator[Path]:
    """A folder for the files of one lab; whatever way it is left, the lab and all its namespaces go."""
    with tempfile.TemporaryDirectory(prefix="netlab-bench-") as folder:
        try:
            yield Path(folder)
        finally:
            run([*netlab(), "down", lab], status=range(256))
            left = [f"netns del {path.name}\n" for path in NETNS.glob(f"{lab}-*")] if NETNS.is_dir() else []
            subprocess.run(["ip", "-force", "-batch", "-"], input="".join(left), text=True, check=False)


def machine() -> dict[str, object]:
    """What the numbers were measured on: kinds, never names."""
    cpu = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(encoding="utf-8"), re.M)
    memory = re.search(r"^MemTotal:\s*(\d+) kB", Path("/proc/meminfo").read_text(encoding="ascii"), re.M)
    version = subprocess.run(["ip", "-V"], capture_output=True, text=True, check=False).stdout.strip()
    return {
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "kernel": platform.release().split("-")[0],
        "cpu": cpu[1] if cpu else platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(int(memory[1]) / 2**20, 1) if memory else None,
        "python": platform.python_version(),
        "iproute2": version.rpartition("-")[2].partition(",")[0] or version,
        "load": [round(value, 2) for value in os.getloadavg()],
        "command": "console script" if len(netlab()) == 1 else "python -m netlab",
    }
