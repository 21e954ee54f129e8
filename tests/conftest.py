"""What every test can ask for, and what no run of the tests may do.

A run fails, whatever its tests say, when it leaves something behind (a namespace, an agent, run state) or when the
host's own network namespace is not what it was: links, addresses, routes, rules, nftables, sysctls below net.  Both are
looked at once a run, by pytest's own process, so the workers of pytest-xdist do not see each other's labs.

``NETLAB_TESTS_SHARED=1``: other people make namespaces on this machine at the same time; only this run's own names
(``t<run>...``) count as left behind then.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from netlab.errors import HostCannot
from netlab.objects.links import FALLBACKS
from netlab.runtime.host.requirements import has_br_netfilter
from tests import forks, kernel_features

ROOT = Path(__file__).resolve().parent.parent
NETNS = Path("/run/netns")
# Values that move by themselves: a count of connections, a key made when first read, fields of the neighbour table's gc.
RESTLESS = re.compile(r"nf_conntrack_count$|tcp_fastopen_key$|stable_secret$|/random/|nf_log/")


# -- the host, as a value ---------------------------------------------------------------------------------------------


def _ip(*argv: str, keep: tuple[str, ...] = ()) -> list[str]:
    done = subprocess.run(["ip", "-j", *argv], capture_output=True, text=True, check=False)
    rows = json.loads(done.stdout) if done.returncode == 0 and done.stdout.strip() else []
    return sorted(
        json.dumps({k: v for k, v in row.items() if (not keep or k in keep) and k != "expires"}, sort_keys=True)
        for row in rows
    )


def _addresses() -> list[str]:
    done = subprocess.run(["ip", "-j", "addr"], capture_output=True, text=True, check=False)
    rows = json.loads(done.stdout) if done.stdout.strip() else []
    return sorted(f"{r['ifname']} {a['local']}/{a['prefixlen']}" for r in rows for a in r["addr_info"] if "local" in a)


def _ruleset() -> list[str]:
    try:
        done = subprocess.run(["nft", "-s", "list", "ruleset"], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return []
    return done.stdout.splitlines()


def _sysctls() -> list[str]:
    found = []
    for folder, _names, files in os.walk("/proc/sys/net"):
        for name in files:
            path = f"{folder}/{name}"
            if RESTLESS.search(path):
                continue
            try:
                found.append(f"{path.removeprefix('/proc/sys/')} = {Path(path).read_text().strip()}")
            except (OSError, UnicodeDecodeError):  # write-only (route/flush), or not for this user
                continue
    return sorted(found)


def host() -> dict[str, list[str]]:
    """The host's own network namespace: each part as sorted lines that can be compared and printed."""
    return {
        "links": _ip("link", keep=("ifindex", "ifname", "address", "mtu", "master", "link_type", "qdisc")),
        "addresses": _addresses(),
        "routes": _ip("-4", "route", "show", "table", "all") + _ip("-6", "route", "show", "table", "all"),
        "rules": _ip("-4", "rule") + _ip("-6", "rule"),
        "nftables": _ruleset(),
        "sysctls": _sysctls(),
    }


def _names(folder: Path) -> set[str]:
    return {entry.name for entry in folder.iterdir()} if folder.is_dir() else set()


def _agents() -> set[str]:
    found = set()
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            try:
                words = (process / "cmdline").read_bytes().decode(errors="replace").split("\0")
                comm = (process / "comm").read_text().strip()
            except OSError:  # it ended meanwhile
                continue
            if comm in ("netlab-agent", "netlab-warm") or {"netlab-agent", "netlab.runtime.agent"} & set(words):
                found.add(f"{process.name} {' '.join(words).strip() or comm}")
    return found


def remains() -> dict[str, set[str]]:
    """What labs put on a host: namespaces, run state, files for namespaces, locks, agents."""
    return {
        "namespace": _names(NETNS),
        "run state": _names(Path("/run/netlab")) - {".lock"},
        "lock": _names(Path("/run/netlab/.lock")),
        "files in /etc/netns": _names(Path("/etc/netns")),
        "agent": _agents(),
    }


@dataclass(frozen=True)
class Before:
    """The host when the run began."""

    host: dict[str, list[str]]
    remains: dict[str, set[str]]

    def _by_a_module(self, what: str, line: str) -> bool:
        """Whether a line came with a module that the kernel loaded by itself: its sysctls, its fallback device."""
        if what == "sysctls":
            name = line.partition(" = ")[0]
            return not any(known.startswith(f"{name} = ") for known in self.host[what])
        return what == "links" and json.loads(line)["ifname"] in FALLBACKS

    def complaints(self) -> list[str]:
        """What differs now, a line each."""
        shared = os.environ.get("NETLAB_TESTS_SHARED") == "1"
        said = []
        for what, now in remains().items():
            new = sorted(now - self.remains[what])
            new = [name for name in new if not shared or f"t{RUN}w" in name]
            said += [f"left behind: {what} {name}" for name in new]
        today = host()
        devices = {json.loads(row)["ifname"] for row in set(today["links"]) ^ set(self.host["links"])}
        for what, lines in today.items():
            was, is_now = Counter(self.host[what]), Counter(lines)
            for how, changed in (("lost", was - is_now), ("gained", is_now - was)):
                # A link's own sysctls come and go with it, a hundred lines each.
                told = (line for line in changed.elements() if what != "sysctls" or not devices & set(line.split("/")))
                if how == "gained":
                    told = (line for line in told if not self._by_a_module(what, line))
                said += [f"the host's {what} {how}: {line}" for line in told]
        return said


def _base36(number: int) -> str:
    digits = ""
    while number:
        number, digit = divmod(number, 36)
        digits = "0123456789abcdefghijklmnopqrstuvwxyz"[digit] + digits
    return digits


# The run's own mark in all its names; workers inherit it.
RUN = os.environ.setdefault("NETLAB_TESTS_RUN", _base36(os.getpid()))
# Tests that need a processor for longest.
LONGEST = ("tests/house/test_lints.py", "tests/pure/plan/test_kept.py")
BEFORE = pytest.StashKey[Before]()
COMPLAINTS = pytest.StashKey[list[str]]()


# No test fails by time or by luck: the same examples in each run.  `--hypothesis-profile=default` draws others.
settings.register_profile("suite", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("suite")

# A shell starts what runs in its background deaf to Ctrl-C, and so would be each command that a test interrupts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def _is_worker(config: pytest.Config) -> bool:
    return hasattr(config, "workerinput")


def pytest_sessionstart(session: pytest.Session) -> None:
    if not _is_worker(session.config):
        session.config.stash[BEFORE] = Before(host(), remains())


def pytest_sessionfinish(session: pytest.Session) -> None:
    before = session.config.stash.get(BEFORE, None)
    if before is None:
        return
    # An agent that was told to go needs a moment to go.
    for _ in range(20):
        complaints = before.complaints()
        if not complaints:
            break
        time.sleep(0.1)
    session.config.stash[COMPLAINTS] = complaints
    if complaints and session.exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def _slowest(stats: dict[str, list[Any]]) -> Iterator[str]:
    """The ten tests that took longest, with their fixtures."""
    seconds: dict[str, float] = {}
    for reports in stats.values():
        for report in reports:
            if isinstance(report, pytest.TestReport):
                seconds[report.nodeid] = seconds.get(report.nodeid, 0.0) + report.duration
    if len(seconds) > 20:
        yield "the slowest ten:"
        yield from (
            f"{took:6.1f} s  {nodeid.partition('@')[0]}"
            for nodeid, took in sorted(seconds.items(), key=lambda item: -item[1])[:10]
        )


def _without_br_netfilter(says: str) -> bool:
    """Whether a lab was refused since this host has no br_netfilter, which netlab never loads."""
    return "br_netfilter" in says and not has_br_netfilter()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Iterator[None]:
    for feature in needs(item):
        item.user_properties.append(("needs", feature))  # into JUnit's file
        if why := kernel_features.lacks(feature):
            pytest.skip(why)
    with _skipping():
        yield


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Iterator[None]:
    with _skipping():
        yield


def needs(item: pytest.Item) -> list[str]:
    """The features of the kernel that a test is marked to need."""
    return [feature for mark in item.iter_markers("needs") for feature in mark.args]


@contextlib.contextmanager
def _skipping() -> Iterator[None]:
    try:
        yield
    except HostCannot as refused:
        if not _without_br_netfilter(str(refused)):
            raise
        pytest.skip("this host has no br_netfilter (modprobe br_netfilter)")


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    reasons = Counter(
        report.longrepr[2].removeprefix("Skipped: ") if isinstance(report.longrepr, tuple) else str(report.longrepr)
        for report in terminalreporter.stats.get("skipped", ())
    )
    if reasons:
        terminalreporter.section("skips by reason")
        for reason, count in reasons.most_common():
            terminalreporter.line(f"{count:5}  {reason}")
    for line in _slowest(terminalreporter.stats):
        terminalreporter.line(line)
    complaints = config.stash.get(COMPLAINTS, [])
    if complaints:
        terminalreporter.section("the run did not leave the host as it found it", red=True)
        for line in complaints[:60]:
            terminalreporter.line(line)
        if len(complaints) > 60:
            terminalreporter.line(f"... and {len(complaints) - 60} more")


def _group(item: pytest.Item) -> str:
    """The tests that one worker runs, one after the other: those marked so, and those of a module that share a lab."""
    named = sorted({str(mark.args[0]) for mark in item.iter_markers("xdist_group")})
    known = getattr(item, "_fixtureinfo", None)
    shared = known is not None and any(each[-1].scope == "module" for each in known.name2fixturedefs.values() if each)
    return "_".join(named) or (item.nodeid.partition("::")[0] if shared and "kernel" in item.keywords else "")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if getattr(config.option, "loadgroup", False):  # a worker: xdist 3.8 says it in a way that pytest 9.2 does not read
        for item in items:
            if (group := _group(item)) and not item.nodeid.endswith(f"@{group}"):
                item._id = type(item.id).parse(f"{item.nodeid}@{group}")  # type: ignore[attr-defined]
    items.sort(key=lambda item: not item.nodeid.startswith(LONGEST))  # they run while others wait, and nobody for them
    if os.geteuid() == 0:
        return
    skip = pytest.mark.skip(reason="needs root: run it as `sudo ./bootstrap.sh invoke test`")
    for item in items:
        if "kernel" in item.keywords:
            item.add_marker(skip)


# -- fixtures ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Result:
    """What a command did: its exit status and its two streams as text."""

    status: int
    stdout: str
    stderr: str

    @property
    def json(self) -> Any:
        """Stdout as the one JSON document that ``-o json`` promises."""
        return json.loads(self.stdout)


def command() -> list[str]:
    """The console command of the interpreter that runs the tests, or the module where there is none beside it."""
    script = Path(sys.executable).parent / "netlab"
    return [str(script)] if script.exists() else [sys.executable, "-m", "netlab"]


def run_netlab(
    *args: str | Path,
    input: str | None = None,  # noqa: A002  # as subprocess.run calls it
    check: int | None = 0,
    cwd: str | Path = ROOT,
    env: dict[str, str] | None = None,
    timeout: float = 120,
) -> Result:
    """Run ``netlab ARGS``.  ``check`` is the exit status that it must end with; None: any.  ``timeout`` in seconds."""
    words = [*map(str, args)]
    whole = {**os.environ, "PYTHONPATH": str(ROOT), "NO_COLOR": "1", **(env or {})}
    done = forks.run(words, input=input, cwd=cwd, env=whole, timeout=timeout) or subprocess.run(
        [*command(), *words],
        input=input,
        stdin=subprocess.DEVNULL if input is None else None,
        capture_output=True,
        text=True,
        cwd=cwd,
        env=whole,
        timeout=timeout,
        check=False,
    )
    if check not in (None, 3) and done.returncode == 3 and _without_br_netfilter(done.stderr):
        pytest.skip("this host has no br_netfilter (modprobe br_netfilter)")
    if check is not None:
        line = " ".join(["netlab", *map(str, args)])
        assert done.returncode == check, (
            f"`{line}` ended with {done.returncode}, not {check}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
        )
    return Result(done.returncode, done.stdout, done.stderr)


@pytest.fixture(scope="session")
def netlab() -> Callable[..., Result]:
    """The console command in a process of its own: ``netlab("get", "pods", "-o", "json", check=0).json``."""
    return run_netlab


_serial = itertools.count(1)


@pytest.fixture
def lab_name() -> Iterator[str]:
    """A lab name that nobody else has, at most 20 characters; the test must take the lab down itself."""
    worker = os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")
    name = f"t{RUN}w{worker}n{next(_serial)}"
    yield name
    left = sorted(netns for netns in _names(NETNS) if netns.startswith(f"{name}-"))
    if left:
        run_netlab("down", name, check=None)
        for netns in _names(NETNS) & set(left):
            subprocess.run(["ip", "netns", "del", netns], check=False, capture_output=True)
        pytest.fail(f"the test left {', '.join(left)} behind (removed now)")
