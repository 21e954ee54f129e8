"""Probes as a kubelet runs them: schedule, thresholds, and effects.

A container without a readiness probe is ready while it runs.  Until a startup probe has succeeded, no other probe runs
and the container is not ready.  A result takes effect after as many repetitions as its threshold.  A failed liveness or
startup probe ends the container, and restartPolicy starts it again.  An attempt that could not be made (a missing
program or port name) is discarded, with an event.

Limits: a kubelet begins at the first tick of its period after initialDelaySeconds; here it begins after the delay.
An attempt that could not be made is not repeated at once.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from typing import Any

from netlab.runtime.agent.containers.execs import ExecAttempt, Execs
from netlab.runtime.agent.containers.sandbox import Sandboxes, SandboxKey
from netlab.runtime.agent.loop import Loop, Timer
from netlab.runtime.agent.podstate import Container, Pod
from netlab.runtime.agent.probing.attempts import FAILURE, SUCCESS, UNKNOWN, WARNING, Attempt, HttpAttempt, TcpAttempt
from netlab.runtime.agent.probing.dial import Dialer

Changed = Callable[[Pod, Container], None]
STARTUP, READINESS = "startup", "readiness"


class Prober:
    """A probe in one run of a container."""

    def __init__(self, probes: Probes, pod: Pod, container: Container, spec: dict[str, Any]) -> None:
        self.probes, self.pod, self.container, self.spec = probes, pod, container, spec
        self.kind = str(spec["kind"])
        self.last, self.run = "", 0
        self.attempt: Attempt | ExecAttempt | None = None
        self.timer: Timer | None = None
        self.over = False
        self.began = 0.0

    def later(self, seconds: float) -> None:
        if not self.over:
            self.timer = self.probes.loop.later(max(0.0, seconds), self.fire)

    def stop(self) -> None:
        """End the attempts."""
        self.over = True
        if self.timer is not None:
            self.timer.cancel()
        if self.attempt is not None:
            self.attempt.stop()
            self.attempt = None

    def fire(self) -> None:
        """Make an attempt, if due: startup precedes the others and ends with its success."""
        self.timer = None
        if self.over or (self.kind == STARTUP) == self.container.started:
            return
        self.began = time.monotonic()
        attempt = self.probes.start(self)
        if attempt is not None and not attempt.ended:
            self.attempt = attempt

    def done(self, result: str, message: str) -> None:
        """An attempt has ended."""
        self.attempt = None
        name, message = self.kind.capitalize(), message.strip()
        if result == UNKNOWN:
            self.pod.event("Warning", "Unhealthy", f"{name} probe errored and resulted in unknown state: {message}")
        elif result == FAILURE:
            self.pod.event("Warning", "Unhealthy", f"{name} probe failed: {message}")
        elif result == WARNING:
            self.pod.event("Warning", "ProbeWarning", f"{name} probe warning: {message}")
        if result != UNKNOWN:
            self._count(SUCCESS if result == WARNING else result)
        self.later(self.began + float(self.spec["period"]) - time.monotonic())

    def _count(self, result: str) -> None:
        self.run = self.run + 1 if result == self.last else 1
        self.last = result
        if self.run < int(self.spec["successes" if result == SUCCESS else "failures"]):
            return
        if self.kind == READINESS:
            self.container.probed_ready = result == SUCCESS
            self.probes.changed(self.pod, self.container)
        elif result == FAILURE:
            self.probes.kill(self)
        elif self.kind == STARTUP and not self.container.started:
            self.container.probed_started = self.container.has_started = True
            self.stop()
            self.probes.begun(self.container)
            self.probes.changed(self.pod, self.container)


class Probes:
    """All probes of a lab.  ``changed`` is called when a container's readiness or start changes."""

    def __init__(self, loop: Loop, sandboxes: Sandboxes, changed: Changed) -> None:
        self.loop, self.changed = loop, changed
        self.dialer = Dialer(loop, sandboxes.endpoints.root)
        self.execs = Execs(sandboxes)
        self.by_container: dict[Container, list[Prober]] = {}

    def watch(self, pod: Pod, container: Container) -> None:
        """Start the probes of a running container."""
        container.probed_started = container.probed_ready = False
        specs = container.spec.get("probes", ())
        if specs:
            self.by_container[container] = [Prober(self, pod, container, spec) for spec in specs]
            self.begun(container)

    def begun(self, container: Container) -> None:
        """Schedule the probes that are due, counted from the container's start."""
        for prober in self.by_container.get(container, ()):
            if (prober.kind == STARTUP) != container.started and prober.timer is None and not prober.over:
                passed = time.time() - float(container.state["running"]["startedAt"])
                prober.later(float(prober.spec["delay"]) - passed)

    def forget(self, container: Container) -> None:
        """Stop the probes of a container that has ended or will end."""
        for prober in self.by_container.pop(container, ()):
            prober.stop()

    def start(self, prober: Prober) -> Attempt | ExecAttempt | None:
        """Start an attempt."""
        spec, action = prober.spec, prober.spec["action"]
        if action == "httpGet":
            return HttpAttempt(self.dialer, spec, prober.done)
        if action == "tcpSocket":
            return TcpAttempt(self.dialer, spec, prober.done)
        if action == "grpc":
            from netlab.runtime.agent.probing.grpc import GrpcAttempt  # few containers speak it

            return GrpcAttempt(self.dialer, spec, prober.done)
        container, pod = prober.container, prober.pod
        where = SandboxKey(pod.key.netns, pod.etc)
        target = {
            "sandbox": where,
            "hostname": pod.hostname,
            "env": container.env,
            "workdir": str(container.spec["workdir"]),
        }
        argv = [str(word) for word in spec.get("argv", ())]
        return self.execs.start(target, argv, float(spec["timeout"]), prober.done)

    def kill(self, prober: Prober) -> None:
        """End a container with a failed liveness or startup probe, within the grace period."""
        pod, container, grace = prober.pod, prober.container, float(prober.spec["grace"])
        self.forget(container)
        again = (
            "will be restarted" if pod.restart != "Never" or container.role == "sidecar" else "will not be restarted"
        )
        pod.event("Normal", "Killing", f"Container {container.name} failed {prober.kind} probe, {again}")
        container.unhealthy = True
        signal_to(container, signal.SIGTERM)
        if container.killer is None:
            patience = grace if grace >= 0 else pod.grace
            container.killer = self.loop.later(patience, lambda: signal_to(container, signal.SIGKILL))


def signal_to(container: Container, number: int) -> None:
    """Send a signal to the container's process."""
    if container.pid:
        try:
            os.kill(container.pid, number)  # a child that was not waited for: its number is still its own
        except ProcessLookupError:
            pass
