"""Probes as a kubelet runs them: when, how often, and what their results do.

A container without a readiness probe is ready while it runs; one with a startup probe is asked nothing else, and is not
ready, until that has succeeded.  A result counts when it has come as often in a row as its threshold says.  A liveness or
startup probe that fails ends the container, and restartPolicy starts it again.  Tries that could not be made at all (a
program or a port's name that is not there) are thrown away, with an event.

Limits: a kubelet begins at the first tick of its period after initialDelaySeconds, here it is after the delay itself;
a try that could not be made is not repeated at once.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from typing import Any

from netlab.runtime.agent.containers.execs import ExecAttempt, Execs
from netlab.runtime.agent.containers.sandbox import Place, Sandboxes
from netlab.runtime.agent.loop import Loop, Timer
from netlab.runtime.agent.probing.attempts import FAILURE, SUCCESS, UNKNOWN, WARNING, Attempt, HttpAttempt, TcpAttempt
from netlab.runtime.agent.probing.dial import Dialer
from netlab.runtime.agent.records import Container, Pod

Changed = Callable[[Pod, Container], None]
STARTUP, LIVENESS, READINESS = "startup", "liveness", "readiness"


class Prober:
    """One probe of one run of a container."""

    def __init__(self, probes: Probes, pod: Pod, one: Container, spec: dict[str, Any]) -> None:
        self.probes, self.pod, self.one, self.spec = probes, pod, one, spec
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
        """No more tries."""
        self.over = True
        if self.timer is not None:
            self.timer.cancel()
        if self.attempt is not None:
            self.attempt.stop()
            self.attempt = None

    def fire(self) -> None:
        """One try, now, unless it is not its time: startup goes before the others, and is over once it was."""
        self.timer = None
        if self.over or (self.kind == STARTUP) == self.one.started:
            return
        self.began = time.monotonic()
        attempt = self.probes.start(self)
        if attempt is not None and not attempt.ended:
            self.attempt = attempt

    def done(self, result: str, said: str) -> None:
        """A try has ended."""
        self.attempt = None
        name, said = self.kind.capitalize(), said.strip()
        if result == UNKNOWN:
            self.pod.event("Warning", "Unhealthy", f"{name} probe errored and resulted in unknown state: {said}")
        elif result == FAILURE:
            self.pod.event("Warning", "Unhealthy", f"{name} probe failed: {said}")
        elif result == WARNING:
            self.pod.event("Warning", "ProbeWarning", f"{name} probe warning: {said}")
        if result != UNKNOWN:
            self._count(SUCCESS if result == WARNING else result)
        self.later(self.began + float(self.spec["period"]) - time.monotonic())

    def _count(self, result: str) -> None:
        self.run = self.run + 1 if result == self.last else 1
        self.last = result
        if self.run < int(self.spec["successes" if result == SUCCESS else "failures"]):
            return
        if self.kind == READINESS:
            self.one.probed_ready = result == SUCCESS
            self.probes.changed(self.pod, self.one)
        elif result == FAILURE:
            self.probes.kill(self)
        elif self.kind == STARTUP and not self.one.started:
            self.one.probed_started = self.one.has_started = True
            self.stop()
            self.probes.begun(self.one)
            self.probes.changed(self.pod, self.one)


class Probes:
    """All probes of a lab.  ``changed`` is told when a container becomes ready, or started, or is so no more."""

    def __init__(self, loop: Loop, sandboxes: Sandboxes, changed: Changed) -> None:
        self.loop, self.changed = loop, changed
        self.dialer = Dialer(loop, sandboxes.endpoints.root)
        self.execs = Execs(sandboxes)
        self.by_container: dict[Container, list[Prober]] = {}

    def watch(self, pod: Pod, one: Container) -> None:
        """The container runs: begin."""
        one.probed_started = one.probed_ready = False
        specs = one.spec.get("probes", ())
        if specs:
            self.by_container[one] = [Prober(self, pod, one, spec) for spec in specs]
            self.begun(one)

    def begun(self, one: Container) -> None:
        """Have those begin whose time it is, counted from the container's own start."""
        for prober in self.by_container.get(one, ()):
            if (prober.kind == STARTUP) != one.started and prober.timer is None and not prober.over:
                passed = time.time() - float(one.state["running"]["startedAt"])
                prober.later(float(prober.spec["delay"]) - passed)

    def forget(self, one: Container) -> None:
        """It has ended, or is told to."""
        for prober in self.by_container.pop(one, ()):
            prober.stop()

    def start(self, prober: Prober) -> Attempt | ExecAttempt | None:
        """A try."""
        spec, action = prober.spec, prober.spec["action"]
        if action == "httpGet":
            return HttpAttempt(self.dialer, spec, prober.done)
        if action == "tcpSocket":
            return TcpAttempt(self.dialer, spec, prober.done)
        if action == "grpc":
            from netlab.runtime.agent.probing.grpc import GrpcAttempt  # few containers speak it

            return GrpcAttempt(self.dialer, spec, prober.done)
        one, pod = prober.one, prober.pod
        where = Place(pod.key.netns, pod.etc)
        place = {"sandbox": where, "hostname": pod.hostname, "env": one.env, "workdir": str(one.spec["workdir"])}
        argv = [str(word) for word in spec.get("argv", ())]
        return self.execs.start(place, argv, float(spec["timeout"]), prober.done)

    def kill(self, prober: Prober) -> None:
        """What fails its liveness or startup probe is ended, as gently as the Pod or the probe says."""
        pod, one, grace = prober.pod, prober.one, float(prober.spec["grace"])
        self.forget(one)
        again = "will be restarted" if pod.restart != "Never" or one.role == "sidecar" else "will not be restarted"
        pod.event("Normal", "Killing", f"Container {one.name} failed {prober.kind} probe, {again}")
        one.unhealthy = True
        signal_to(one, signal.SIGTERM)
        if one.killer is None:
            patience = grace if grace >= 0 else pod.grace
            one.killer = self.loop.later(patience, lambda: signal_to(one, signal.SIGKILL))


def signal_to(one: Container, number: int) -> None:
    """Send the container's process a signal."""
    if one.pid:
        try:
            os.kill(one.pid, number)  # a child that was not waited for: its number is still its own
        except ProcessLookupError:
            pass
