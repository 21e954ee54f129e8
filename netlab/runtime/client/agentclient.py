"""Find, stop and talk to a lab's agent; ``client.spawn`` starts it."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from netlab.errors import NeedsRoot, StateError
from netlab.runtime.agent import COMM, POD_COMM, VERSION
from netlab.runtime.state.rundir import RUN
from netlab.tuples import NamedTuple

SOCKET, PID_FILE, LOG = "agent.sock", "agent.pid", "agent.log"


class Process(NamedTuple):
    """A process by its host pid and its start time (clock ticks since boot, field 22 of /proc/PID/stat)."""

    pid: int
    start: int


class Sandbox(NamedTuple):
    """A Pod's sandbox: ``pidfd`` (the caller closes it) leads to its namespaces.

    ``view`` is ``overlay``, or ``read-only`` where the kernel refuses one for some directory; ``notes`` say what is
    different and why.
    """

    pidfd: int
    hostname: str
    view: str
    notes: tuple[str, ...]


class Attached(NamedTuple):
    """A container that runs: a pidfd of its process, its input (-1: none), its log; the caller closes both descriptors."""

    process: int
    input: int
    log: str
    tty: bool
    pid: int


class Statuses(NamedTuple):
    """(ready, ended) by ``namespace/name``; those that ``moved`` since the ``acknowledged`` version may be as they were.

    ``ends`` are of the same Pods: whether and how each has ended, when, and its restarts (``model.workloads.jobs.Seen``).
    """

    version: int
    acknowledged: int
    pods: dict[str, tuple[int, ...]]
    moved: frozenset[str]
    ends: dict[str, tuple[bool, bool, float, int]]


# -- its process ------------------------------------------------------------------------------------------------------


def start_time(pid: int) -> int:
    """Field 22 of /proc/PID/stat; 0 where there is no such process, or only a zombie that its parent leaves."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
        return int(fields[19]) if fields[0] not in (b"Z", b"X") else 0
    except (OSError, IndexError):
        return 0


def recorded(rundir: Path) -> Process | None:
    """The agent that the pid file names, if that process still runs (its start time tells it from a namesake)."""
    try:
        pid, start = map(int, (rundir / PID_FILE).read_text(encoding="ascii").split())
    except (OSError, ValueError):
        return None
    return Process(pid, start) if start and start_time(pid) == start else None


def _is_stopped(agent: Process) -> bool:
    """Whether the agent is stopped (SIGSTOP)."""
    try:
        return Path(f"/proc/{agent.pid}/stat").read_bytes().rpartition(b")")[2].split()[0] in (b"T", b"t")
    except (OSError, IndexError):
        return False


def resume(agent: Process) -> None:
    """Continue an agent that was stopped (SIGCONT)."""
    if _is_stopped(agent):
        with contextlib.suppress(ProcessLookupError):
            os.kill(agent.pid, signal.SIGCONT)


def host_pids(rundir: Path) -> dict[int, int]:
    """The processes that the agent started, by the number that it knows each by: this host's number."""
    agent = recorded(rundir)
    pids = {}
    if agent is not None:
        with contextlib.suppress(OSError):
            for word in Path(f"/proc/{agent.pid}/task/{agent.pid}/children").read_text(encoding="ascii").split():
                with contextlib.suppress(OSError, StopIteration, IndexError):
                    status = Path(f"/proc/{word}/status").read_text(encoding="utf-8", errors="replace").splitlines()
                    numbers = next(line for line in status if line.startswith("NSpid:")).split()[1:]
                    here = _level(agent.pid)
                    pids[int(numbers[here])] = int(word)
    return pids


def _level(pid: int) -> int:
    """The index of this process's PID namespace in a child's numbers (NSpid, outermost first)."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8", errors="replace").splitlines()
    return len(next(line for line in status if line.startswith("NSpid:")).split()) - 2


def serving(rundir: Path, timeout: float = 5.0) -> bool:
    """Whether the agent of the pid file serves; one that was killed is on its way out for as long as its Pods' processes
    are, and is waited for.  One that somebody stopped counts: it can go on.
    """
    agent = recorded(rundir)
    deadline = time.monotonic() + timeout
    while agent is not None and time.monotonic() < deadline:
        if _is_stopped(agent):
            return True
        try:
            connect(rundir, "").close()
        except StateError:
            time.sleep(0.02)
            agent = recorded(rundir)
        else:
            return True
    return False


def find(lab: str | None = None) -> list[int]:
    """Host pids of the agents of a lab (None: of all labs), told by their command line: works without run state."""
    return [pid for pid, name in find_all() if lab is None or name == lab]


def find_all() -> Iterator[tuple[int, str]]:
    """(pid, lab) of every agent that this user may stop."""
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            lab = _lab_of(int(entry))
            if lab is not None:
                yield int(entry), lab


def _lab_of(pid: int) -> str | None:
    """The lab whose agent that process is; None for any other, a Pod's first process (its fork) included.

    An agent with another /run belongs to a namesake in another mount namespace (a container's lab, seen from its host).
    """
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        if COMM.encode() not in words or os.stat(f"/proc/{pid}").st_uid not in (0, os.geteuid()):
            return None
        if not os.path.samefile(f"/proc/{pid}/root{RUN.parent}", RUN.parent):
            return None
        at = words.index(COMM.encode())
        script = words[at - 1].decode(errors="replace")
        ours = script.endswith("netlab/runtime/agent/__main__.py") or script == "netlab.runtime.agent"
        if not ours or Path(f"/proc/{pid}/comm").read_text(encoding="utf-8", errors="replace").strip() == POD_COMM:
            return None
        return words[at + 1].decode(errors="replace")
    except (OSError, IndexError):
        return None


def kill(lab: str, rundir: Path | None = None, timeout: float = 2.0) -> tuple[int, ...]:
    """End the lab's agent and with it every process in its Pods; the pids that are not gone after ``timeout`` seconds.

    Those can do no harm: they got SIGKILL, and wait until PID 1 of this machine reaps a child of theirs.  Removes the
    agent's socket and pid file.
    """
    lingering: list[int] = []
    pidfds: dict[int, int] = {}
    try:
        for pid in find(lab):
            try:
                pidfd = os.pidfd_open(pid)
            except ProcessLookupError:
                continue
            pidfds[pid] = pidfd
            if _lab_of(pid) == lab:  # asked again: the number may have gone to another process meanwhile
                try:
                    signal.pidfd_send_signal(pidfd, signal.SIGKILL)
                except ProcessLookupError:
                    pass
        deadline = time.monotonic() + timeout
        for pid, pidfd in pidfds.items():
            poll = select.poll()
            poll.register(pidfd, select.POLLIN)
            if not poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
                lingering.append(pid)
    finally:
        for pidfd in pidfds.values():
            os.close(pidfd)
    if rundir is not None:
        for name in (SOCKET, PID_FILE):
            (rundir / name).unlink(missing_ok=True)
    return tuple(lingering)


# -- talking to it ----------------------------------------------------------------------------------------------------


class AgentClient:
    """One connection to an agent; not for several threads at once.  Every method raises StateError when it dies."""

    def __init__(self, sock: socket.socket, lab: str) -> None:
        self.sock, self.lab = sock, lab
        self._buffer = b""
        self._fds: list[int] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self.sock.close()
        for fd in self._fds:
            os.close(fd)
        self._fds.clear()

    def call(self, op: str, **fields: Any) -> dict[str, Any]:
        """Send one message and wait for its reply; StateError with the agent's sentence where it refuses."""
        self.send(op, **fields)
        return self.receive()

    def send(self, op: str, **fields: Any) -> None:
        """Send without waiting: the agent works meanwhile, and ``receive`` takes the reply."""
        try:
            self.sock.sendall(json.dumps({"v": VERSION, "op": op, **fields}).encode() + b"\n")
        except OSError as failure:
            raise self._gone(failure) from failure

    def receive(self) -> dict[str, Any]:
        while b"\n" not in self._buffer:
            try:
                data, fds, _flags, _address = socket.recv_fds(self.sock, 1 << 20, 16)
            except OSError as failure:
                raise self._gone(failure) from failure
            self._fds += fds
            if not data:
                raise self._gone(None)
            self._buffer += data
        line, _, self._buffer = self._buffer.partition(b"\n")
        reply: dict[str, Any] = json.loads(line)
        if not reply.get("ok"):
            hint = f"netlab down {self.lab}, then netlab up {self.lab}" if reply.get("code") == "version" else ""
            raise StateError(f"the agent of lab {self.lab}: {reply.get('error')}", hint=hint)
        return reply

    def _gone(self, failure: OSError | None) -> StateError:
        why = "gave no answer in time" if isinstance(failure, TimeoutError) else "has gone"
        return StateError(f"the agent of lab {self.lab} {why}", hint=f"netlab up {self.lab} restarts it")

    def hello(self) -> dict[str, Any]:
        """lab, version, since (seconds of the epoch), rss (bytes), listeners, sandboxes, served."""
        return self.call("hello")

    def listen(self, endpoints: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Open the endpoints' ports; the errors, one a port that is not open.

        An endpoint: netns (path), kind (pod|node|external), pod, namespace, node, addresses, families (IPv4, IPv6),
        ports (each port, protocol, container).  Ports that are open already stay as they are.
        """
        return list(self.call("listen", endpoints=list(endpoints))["errors"])

    def unlisten(self, ports: Iterable[tuple[str, int, str]]) -> int:
        """Close ports given as (netns, port, protocol); how many were open."""
        wanted = [{"netns": netns, "port": port, "protocol": protocol} for netns, port, protocol in ports]
        return int(self.call("unlisten", ports=wanted)["closed"])

    def report(self, ports: Iterable[Mapping[str, Any]]) -> None:
        """Give the ports that report ready endpoints (``netns``, ``port``) their numbers by family (``counts``)."""
        self.call("report", ports=list(ports))

    def listeners(self) -> list[dict[str, Any]]:
        return list(self.call("listeners")["listeners"])

    def drop(self, netns: Iterable[str], etc: Iterable[str] = ()) -> int:
        """Before Pods go, those in a node's network by the folders of their files: close listeners, end processes."""
        return int(self.call("drop", netns=list(netns), etc=list(etc))["closed"])

    def sandbox(self, netns: str, hostname: str = "", etc: str = "") -> Sandbox:
        """The sandbox of the Pod behind that namespace and with the files of ``etc``, made now if need be."""
        reply = self.call("sandbox", netns=netns, hostname=hostname, etc=etc)
        pidfd = self._fds.pop(0)
        return Sandbox(pidfd, reply["hostname"], reply["view"], tuple(reply["notes"]))

    def run(self, pods: Iterable[Mapping[str, Any]]) -> list[str]:
        """Have containers started or, where their spec changed, restarted; what cannot be, as sentences.

        A Pod: netns (path), namespace, pod, hostname, etc, restart, grace (seconds), containers (each name, role, order,
        argv, env, workdir, missing, log, previous).  Does not wait: ``settle`` does.
        """
        return list(self.call("run", pods=list(pods))["errors"])

    def stop(self, pods: Iterable[Mapping[str, Any]]) -> None:
        """End the containers of these Pods; returns when they are gone."""
        self.call("stop", pods=list(pods))

    def terminate(self, pods: Iterable[Mapping[str, Any]]) -> None:
        """Begin to end these Pods (each netns, namespace, pod, ``seconds`` of grace, ``leaving``: when that is over).

        Returns at once; the records of their containers stay until ``stop``.
        """
        self.call("terminate", pods=list(pods))

    def processes(self, *, events: bool = False) -> list[dict[str, Any]]:
        """The Pods, as ``run`` takes them, each container with its ``state``; with ``events`` what happened to them."""
        return list(self.call("processes", events=events)["pods"])

    def attach(self, key: tuple[str, str, str], container: str, *, stdin: bool) -> Attached | None:
        """A container that runs, by the path of its netns, its Pod's namespace and name; None where it does not run."""
        fields = dict(zip(("netns", "namespace", "pod"), key, strict=True))
        reply = self.call("attach", **fields, container=container, stdin=stdin)
        if not reply["running"]:
            return None
        process = self._fds.pop(0)
        return Attached(
            process, self._fds.pop(0) if reply["input"] else -1, reply["log"], bool(reply["tty"]), reply["pid"]
        )

    def statuses(self) -> Statuses:
        """Of the Pods in which commands run."""
        reply = self.call("statuses")
        pods: dict[str, tuple[int, ...]] = {
            f"{pod['namespace']}/{pod['pod']}": (
                pod["ready"],
                pod["ended"],
                *((pod["leaving"],) if pod.get("leaving") else ()),
            )
            for pod in reply["pods"]
        }
        ends = {
            f"{pod['namespace']}/{pod['pod']}": (pod["ended"], pod["failed"], pod["ended_at"], pod["restarts"])
            for pod in reply["pods"]
            if "failed" in pod  # an older agent does not say
        }
        return Statuses(int(reply["version"]), int(reply["acknowledged"]), pods, frozenset(reply["moved"]), ends)

    def acknowledge(self, version: int, again: float | None = None) -> None:
        """Say that the lab follows that version of the statuses; ``again``: when the agent is to ask for a step even so.

        That is in so many seconds, or never (below 0); None leaves it as it was.
        """
        self.call("acknowledge", version=version, again=again)

    def times(self, log: str) -> list[tuple[float, int]]:
        """When a log had which length: (seconds of the epoch, bytes), in order, to a quarter of a second."""
        return [(float(when), int(length)) for when, length in self.call("times", log=log)["marks"]]

    def settle(self, timeout: float) -> int:
        """Wait until no container is being started, at most ``timeout`` seconds; how many still are."""
        return int(self.call("settle", timeout=timeout)["pending"])

    def quit(self) -> None:
        """Ask it to end; ``kill`` waits until it has."""
        self.call("quit")


def connect(rundir: Path, lab: str, timeout: float = 60.0) -> AgentClient:
    """A connection to the agent that serves ``rundir``; ``timeout`` seconds bound each later reply.

    An agent that has ended or is stopped is known at once.  One that runs may be slow: of three that started on the one
    starved processor of a virtual machine, two took more than ten seconds to answer.

    Raises StateError where none answers.
    """
    agent = recorded(rundir)
    if agent is not None and _is_stopped(agent):
        raise StateError(
            f"the agent of lab {lab}, process {agent.pid}, is stopped", hint=f"netlab up {lab} has it go on"
        )
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.settimeout(timeout)
    try:
        directory = os.open(rundir, os.O_PATH | os.O_DIRECTORY)
        try:
            sock.connect(f"/proc/self/fd/{directory}/{SOCKET}")
        finally:
            os.close(directory)
    except PermissionError as failure:
        sock.close()
        raise NeedsRoot(f"this needs root: lab {lab} runs, and its agent answers root alone") from failure
    except OSError as failure:
        sock.close()
        raise StateError(
            f"the agent of lab {lab} does not run ({failure.strerror or failure})", hint=f"netlab up {lab} restarts it"
        ) from failure
    return AgentClient(sock, lab)


__all__ = [
    "AgentClient",
    "Process",
    "Sandbox",
    "Statuses",
    "connect",
    "find",
    "find_all",
    "kill",
    "recorded",
    "start_time",
]
