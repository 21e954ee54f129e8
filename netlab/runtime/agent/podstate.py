"""The state of Pods and containers: spec as sent, container state, events."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable
from typing import Any

from netlab.runtime.agent.containers.launch import Report
from netlab.runtime.agent.containers.logs import Log
from netlab.runtime.agent.containers.streams import Streams
from netlab.runtime.agent.loop import Loop, Timer
from netlab.tuples import NamedTuple

EVENTS_MAX = 64  # for each Pod; the oldest are dropped
_OWN_PORT = re.compile(r":\d+->")

# The kubelet's: the first restart at once, then 10 s, doubled up to 300 s; forgotten after a run of twice the longest.
BACKOFF_FIRST, BACKOFF_MAX = 10.0, 300.0
BACKOFF_FORGET = 2 * BACKOFF_MAX


class PodKey(NamedTuple):
    """Pods with hostNetwork share a namespace, so its path does not identify them."""

    netns: str
    namespace: str
    pod: str


class Container:
    """A container: ``state`` and ``last`` are Kubernetes' container states, with times in seconds of the epoch."""

    def __init__(self, spec: dict[str, Any]) -> None:
        self.spec = spec
        self.name, self.role, self.order = str(spec["name"]), str(spec["role"]), int(spec["order"])
        self.state: dict[str, Any] = {"waiting": {"reason": "ContainerCreating"}}
        self.last: dict[str, Any] = {}
        self.restarts = 0
        self.pid = 0
        self.space = -1
        self.log: Log | None = None
        self.report: Report | None = None
        self.streams: Streams | None = None
        self.pending = False  # queued to start
        self.backoff, self.failed_at = 0.0, 0.0
        self.timer: Timer | None = None
        self.held = False
        self.stopping = False  # it must end, and does not restart
        self.leaving = False  # its record goes as well
        self.killer: Timer | None = None
        self.successor: dict[str, Any] | None = None  # the next spec, once this process has ended
        self.env: dict[str, str] = {}  # of the present run
        kinds = {str(probe["kind"]) for probe in spec.get("probes", ())}
        self.startup, self.readiness = "startup" in kinds, "readiness" in kinds
        self.probed_started = self.probed_ready = False  # the probes' results in the present run
        self.has_started = False  # in this or an earlier run
        self.unhealthy = False  # ended by its liveness or startup probe

    def hang_up(self, loop: Loop) -> None:
        """Close its input, after the rest of its terminal's output."""
        if self.streams is not None:
            self.streams.end(loop)
            self.streams = None

    @property
    def terminated(self) -> dict[str, Any] | None:
        return self.state.get("terminated")

    @property
    def running(self) -> bool:
        return "running" in self.state

    @property
    def begun(self) -> bool:
        """Whether it has ever run; with a startup probe, whether that has ever succeeded."""
        if self.startup:
            return self.has_started
        return self.running or bool(self.last) or self.terminated is not None

    @property
    def started(self) -> bool:
        """Whether it runs and its startup probe, if any, has succeeded."""
        return self.running and (self.probed_started or not self.startup)

    @property
    def ready(self) -> bool:
        return self.started and (self.probed_ready or not self.readiness)

    def over(self, policy: str) -> bool:
        """Whether it has ended and will not restart."""
        end = self.terminated
        well = end is not None and end["exitCode"] == 0 and not self.unhealthy
        return end is not None and (policy == "Never" or (policy == "OnFailure" and well))

    def wait(self, reason: str, message: str = "") -> None:
        self.state = {"waiting": {"reason": reason, **({"message": message} if message else {})}}

    def next_backoff(self, now: float) -> float:
        """Seconds to wait before the next start, after an end at ``now`` (monotonic)."""
        if not self.failed_at or now - self.failed_at > BACKOFF_FORGET:
            self.backoff = 0.0
        self.failed_at = now
        wait = self.backoff
        self.backoff = min(max(2 * wait, BACKOFF_FIRST), BACKOFF_MAX)
        return wait

    @property
    def stopped(self) -> bool:
        """Whether its process is stopped (SIGSTOP); the wait status stays for other callers."""
        if not self.pid:
            return False
        try:
            status = os.waitid(os.P_PID, self.pid, os.WSTOPPED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return False
        return status is not None

    def shown(self) -> dict[str, Any]:
        return {
            **(self.successor or self.spec),  # the requested spec; the old process may still be ending
            "state": self.state,
            "last": self.last,
            "restarts": self.restarts,
            "pid": self.pid,
            "begun": self.begun,
            "started": self.started,
            "ready": self.ready,
            "stopped": self.stopped,
        }


class Pod:
    """A Pod's containers, in start order."""

    def __init__(self, key: PodKey, spec: dict[str, Any], inode: int, changed: Callable[[], None]) -> None:
        """``changed`` is called at each event."""
        self.key, self.inode, self.changed = key, inode, changed
        self.take(spec)
        self.containers: dict[str, Container] = {}
        self.events: list[dict[str, Any]] = []
        self.initialized = False
        self.leaving = 0  # the second of the epoch at which its grace period is over, once it was deleted
        self._served = False  # whether it was ready then

    def take(self, spec: dict[str, Any]) -> None:
        """Take the Pod's own fields."""
        self.hostname, self.etc = str(spec["hostname"]), str(spec["etc"])
        self.restart, self.grace = str(spec["restart"]), int(spec["grace"])
        self.daemon = str(spec.get("daemon", ""))  # of a node: the path of its kubeconfig

    def leave(self, until: int) -> None:
        """It was deleted: it serves until its processes have ended."""
        if not self.leaving:
            self._served = self.ready
        self.leaving = until

    @property
    def alive(self) -> bool:
        """Whether a container of it runs, or is about to."""
        return any(container.pid or container.pending for container in self.containers.values())

    def of(self, *roles: str) -> list[Container]:
        return sorted(
            (container for container in self.containers.values() if container.role in roles),
            key=lambda container: container.order,
        )

    @property
    def first_word(self) -> str:
        """The reason for which a container of it waits at first."""
        return "PodInitializing" if self.of("init", "sidecar") else "ContainerCreating"

    @property
    def ready(self) -> bool:
        """Whether every running container is ready; the responder serves containers whose program is missing."""
        if self.leaving:
            return self._served and self.alive
        return all(
            container.ready and not container.stopping
            for container in self.of("main", "sidecar")
            if not container.spec["missing"]
        )

    @property
    def ended(self) -> bool:
        """Whether no container will run again: Succeeded or Failed."""
        mains = self.of("main")
        if mains and all(container.over(self.restart) for container in mains):
            return True
        inits = [container.terminated for container in self.of("init")]
        return self.restart == "Never" and any(end and end["exitCode"] != 0 for end in inits)

    @property
    def failed(self) -> bool:
        """Whether it has ended, and a container of it badly."""
        ends = [container.terminated for container in self.of("init", "main")]
        return self.ended and any(end and end["exitCode"] != 0 for end in ends)

    @property
    def ended_at(self) -> float:
        """When its last container ended, in seconds of the epoch; 0 while it runs."""
        ends = [container.terminated for container in self.of("init", "main")]
        return max((float(end["finishedAt"]) for end in ends if end), default=0.0) if self.ended else 0.0

    @property
    def restarts(self) -> int:
        """How often its containers were started again for their failures (restartPolicy OnFailure alone)."""
        return sum(container.restarts for container in self.of("init", "main")) if self.restart == "OnFailure" else 0

    def event(self, kind: str, reason: str, message: str) -> None:
        """Record an event; a repetition, whatever its source port, is counted."""
        now = time.time()
        self.changed()
        for event in self.events:
            if event["reason"] == reason and _OWN_PORT.sub("->", event["message"]) == _OWN_PORT.sub("->", message):
                event["count"] += 1
                event["message"], event["last"] = message, now
                return
        self.events.append({"type": kind, "reason": reason, "message": message, "count": 1, "first": now, "last": now})
        del self.events[:-EVENTS_MAX]

    def shown(self, *, events: bool) -> dict[str, Any]:
        return {
            "netns": self.key.netns,
            "namespace": self.key.namespace,
            "pod": self.key.pod,
            "hostname": self.hostname,
            "etc": self.etc,
            "restart": self.restart,
            "grace": self.grace,
            **({"daemon": self.daemon} if self.daemon else {}),
            "containers": [
                container.shown()
                for container in sorted(self.containers.values(), key=lambda container: container.order)
            ],
            **({"events": self.events} if events else {}),
        }


def duration(seconds: float) -> str:
    """Go's form: 10s, 1m20s, 5m0s."""
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"
