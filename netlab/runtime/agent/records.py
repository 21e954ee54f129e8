"""What the agent keeps of Pods and containers: their spec as it was sent, their state, their events."""

from __future__ import annotations

import os
import re
import time
from typing import Any, NamedTuple

from netlab.runtime.agent.containers.launch import Report
from netlab.runtime.agent.containers.logs import Log
from netlab.runtime.agent.loop import Timer

EVENTS_MAX = 64  # a Pod; the oldest go
_OWN_PORT = re.compile(r":\d+->")

# The kubelet's: the first restart at once, then 10 s, doubled up to 300 s; forgotten after a run of twice the longest.
BACKOFF_FIRST, BACKOFF_MAX = 10.0, 300.0
BACKOFF_FORGET = 2 * BACKOFF_MAX


class PodKey(NamedTuple):
    """Pods of the host's network share a namespace, so its path is not enough."""

    netns: str
    namespace: str
    pod: str


class Container:
    """One container: ``state`` and ``last`` are Kubernetes' container states, with times in seconds of the epoch."""

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
        self.pending = False  # asked to start, and it has neither begun nor failed
        self.backoff, self.failed_at = 0.0, 0.0
        self.timer: Timer | None = None
        self.held = False
        self.stopping = False  # it was told to end, and is not started again
        self.leaving = False  # nor kept when it has ended
        self.killer: Timer | None = None
        self.successor: dict[str, Any] | None = None  # the spec to start with once this one has ended
        self.env: dict[str, str] = {}  # of the present run
        kinds = {str(probe["kind"]) for probe in spec.get("probes", ())}
        self.startup, self.readiness = "startup" in kinds, "readiness" in kinds
        self.probed_started = self.probed_ready = False  # what these probes found in the present run
        self.has_started = False  # in this run or an earlier one
        self.unhealthy = False  # its liveness or startup probe had it ended

    @property
    def terminated(self) -> dict[str, Any] | None:
        return self.state.get("terminated")

    @property
    def running(self) -> bool:
        return "running" in self.state

    @property
    def begun(self) -> bool:
        """Whether it ever ran; with a startup probe, whether that ever succeeded."""
        if self.startup:
            return self.has_started
        return self.running or bool(self.last) or self.terminated is not None

    @property
    def started(self) -> bool:
        """Whether it runs and its startup probe, if it has one, has succeeded."""
        return self.running and (self.probed_started or not self.startup)

    @property
    def ready(self) -> bool:
        return self.started and (self.probed_ready or not self.readiness)

    def over(self, policy: str) -> bool:
        """Whether it has ended for good."""
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
        """Whether somebody stopped its process (SIGSTOP); asked without taking the news from anybody."""
        if not self.pid:
            return False
        try:
            found = os.waitid(os.P_PID, self.pid, os.WSTOPPED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return False
        return found is not None

    def shown(self) -> dict[str, Any]:
        return {
            **(self.successor or self.spec),  # what it was asked to be; the old one may take its time to end
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
    """One Pod's containers, in the order in which they start."""

    def __init__(self, key: PodKey, spec: dict[str, Any], inode: int) -> None:
        self.key, self.inode = key, inode
        self.take(spec)
        self.containers: dict[str, Container] = {}
        self.events: list[dict[str, Any]] = []
        self.initialized = False

    def take(self, spec: dict[str, Any]) -> None:
        """What is said of the Pod as a whole."""
        self.hostname, self.etc = str(spec["hostname"]), str(spec["etc"])
        self.restart, self.grace = str(spec["restart"]), int(spec["grace"])

    def of(self, *roles: str) -> list[Container]:
        return sorted((one for one in self.containers.values() if one.role in roles), key=lambda one: one.order)

    @property
    def ready(self) -> bool:
        """Whether every container is that really runs; those whose program is missing are served by the responder."""
        return all(one.ready and not one.stopping for one in self.of("main", "sidecar") if not one.spec["missing"])

    @property
    def ended(self) -> bool:
        """Whether nothing of it will run again: Succeeded or Failed."""
        mains = self.of("main")
        if mains and all(one.over(self.restart) for one in mains):
            return True
        inits = [one.terminated for one in self.of("init")]
        return self.restart == "Never" and any(end and end["exitCode"] != 0 for end in inits)

    def event(self, kind: str, reason: str, message: str) -> None:
        """Write down what happened; the same again, whatever port it was asked from, is counted."""
        now = time.time()
        for one in self.events:
            if one["reason"] == reason and _OWN_PORT.sub("->", one["message"]) == _OWN_PORT.sub("->", message):
                one["count"] += 1
                one["message"], one["last"] = message, now
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
            "containers": [one.shown() for one in sorted(self.containers.values(), key=lambda one: one.order)],
            **({"events": self.events} if events else {}),
        }
