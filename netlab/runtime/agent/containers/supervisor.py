"""Run the containers of Pods as a kubelet does: order, restarts, back-off, endings.

``_step`` inspects a Pod and starts all containers that are due.  It is called after every event of the Pod, so this is
the only decision point.

- Init containers run one after another until each has succeeded; a sidecar (an init container that always restarts)
  counts as done when it has begun.  Then all main containers start.
- A container that ends is started again as restartPolicy requires: at once, then after 10 s, 20 s ... 300 s
  (CrashLoopBackOff), and at once again after a run of 10 minutes.  Init containers of Always end like OnFailure's.
- When its process ends, the container's other processes are killed.
- Stopping is SIGTERM to the process, and SIGKILL to all after the grace period; sidecars end after the main containers.
- A killed sandbox ends its containers; they restart in a new one.
"""

from __future__ import annotations

import os
import signal
import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

from netlab.runtime.agent.changes import Changes
from netlab.runtime.agent.containers import daemons, launch
from netlab.runtime.agent.containers.logs import Logs
from netlab.runtime.agent.containers.sandbox import Sandboxes, SandboxKey
from netlab.runtime.agent.containers.streams import Streams
from netlab.runtime.agent.loop import Loop
from netlab.runtime.agent.podstate import Container, Pod, PodKey, duration
from netlab.runtime.agent.probing.probes import Probes, signal_to
from netlab.runtime.agent.statuses import Statuses

Message = dict[str, Any]
Reply = Callable[[Message, list[int]], None]
LATE = 1.0  # seconds of delay for a container on an earlier container's port, so that the earlier one gets it
STARTING_MAX = 8  # containers that start at a time: more would slow each other and the responders


class Supervisor:
    """All Pods of a lab with running commands."""

    def __init__(self, loop: Loop, sandboxes: Sandboxes, logs: Logs, statuses: Statuses) -> None:
        self.loop, self.sandboxes, self.logs, self.statuses = loop, sandboxes, logs, statuses
        self.probes = Probes(loop, sandboxes, self._probed)
        self.pods: dict[PodKey, Pod] = {}
        self.by_pid: dict[int, tuple[Pod, Container]] = {}
        self.queue: deque[tuple[Pod, Container]] = deque()
        self.starting, self.pumping = 0, False
        self.settling: list[Reply] = []
        self.leaving: list[tuple[set[Container], Reply]] = []
        self.changes = Changes(loop)
        sandboxes.exited = self.exited

    # -- requests -----------------------------------------------------------------------------------------------------

    def run(self, specs: Iterable[Message]) -> list[str]:
        """Start containers, restart those with a changed spec; return error messages."""
        errors = []
        self.statuses.silence()
        for spec in specs:
            key = PodKey(str(spec["netns"]), str(spec["namespace"]), str(spec["pod"]))
            inode = self.sandboxes.endpoints.inode(key.netns)
            if not inode:
                errors.append(f"Pod {key.namespace}/{key.pod} cannot run: {key.netns} is not there")
                continue
            pod = self.pods.get(key)
            if pod is not None and pod.inode != inode:  # a new Pod with the old name
                self.drop(key.netns)
                pod = None
            if pod is None:
                pod = self.pods[key] = Pod(key, spec, inode, self.changes.add)
            pod.take(spec)
            for container in spec["containers"]:
                self._want(pod, container)
            for made in pod.containers.values():
                if made.state == {"waiting": {"reason": "ContainerCreating"}}:
                    made.wait(pod.first_word)
            self._step(pod)
            self.look(pod)
        return errors

    def _want(self, pod: Pod, spec: Message) -> None:
        container = pod.containers.get(str(spec["name"]))
        if container is not None and pod.leaving and not container.leaving:
            container.spec = spec  # it starts nothing any more
            return
        if container is not None and container.spec == spec and not container.leaving:
            if container.stopped:  # by SIGSTOP; it must run
                os.kill(container.pid, signal.SIGCONT)
            return
        if container is not None and container.pid:
            container.successor, container.leaving = spec, False
            self.end(pod, container)
            return
        if container is not None and container.timer:
            container.timer.cancel()
        pod.containers[str(spec["name"])] = Container(spec)
        if spec["role"] == "init":
            pod.initialized = False

    def drop(self, netns: str) -> None:
        """Forget the Pods of a namespace; their processes end with their sandbox, which the caller drops."""
        for key in [key for key in self.pods if key.netns == netns]:
            pod = self.pods[key]
            for container in list(pod.containers.values()):
                container.stopping, container.leaving, container.successor = True, True, None
                if container.pid:
                    self.kill(container)
                else:
                    self.forget(pod, container)

    def settle(self, timeout: float, reply: Reply) -> None:
        """Reply when no container is starting, or after ``timeout`` seconds."""

        def now(_message: Message, _fds: list[int]) -> None:
            timer.cancel()
            if now in self.settling:
                self.settling.remove(now)
                reply({"pending": self._pending()}, [])

        timer = self.loop.later(timeout, lambda: now({}, []))
        self.settling.append(now)
        self._settled()

    def shown(self, *, events: bool) -> list[Message]:
        """All Pods whose namespace is still the original."""
        return [
            pod.shown(events=events)
            for key, pod in self.pods.items()
            if self.sandboxes.endpoints.inode(key.netns) == pod.inode
        ]

    # -- events -------------------------------------------------------------------------------------------------------

    def _step(self, pod: Pod) -> None:
        """Start the containers that are due."""
        if self.pods.get(pod.key) is not pod:
            return
        for container in pod.of("init", "sidecar"):
            if container.role == "sidecar":
                self._keep(pod, container, "Always")
                if not container.begun and not container.spec["missing"]:
                    return
            elif not pod.initialized:
                if container.spec["missing"]:
                    self._skip(pod, container)
                elif container.terminated is None or container.terminated["exitCode"] != 0:
                    self._keep(pod, container, "Never" if pod.restart == "Never" else "OnFailure")
                    return
        pod.initialized = True
        mains = pod.of("main")
        for container in mains:
            self._keep(pod, container, pod.restart)
        if mains and all(container.over(pod.restart) for container in mains):
            for container in pod.of("sidecar"):
                if container.pid and not container.stopping:
                    self.end(pod, container)

    def _skip(self, pod: Pod, container: Container) -> None:
        if container.terminated is None:
            program = container.spec["argv"][0]
            pod.event(
                "Warning", "Skipped", f"init container {container.name} is skipped: this host has no program {program}"
            )
            now = time.time()
            container.state = {
                "terminated": {"exitCode": 0, "reason": "Completed", "startedAt": now, "finishedAt": now}
            }

    def _keep(self, pod: Pod, container: Container, policy: str) -> None:
        """Start the container, unless it runs, waits, or has ended for good."""
        if container.pid or container.pending or container.timer or container.stopping or container.over(policy):
            return
        if container.spec["missing"]:
            if container.state["waiting"]["reason"] != "CreateContainerError":
                message = f'exec: "{container.spec["argv"][0]}": executable file not found in $PATH'
                container.wait("CreateContainerError", message)
                pod.event("Warning", "Failed", f"Error: {message}")
            return
        end = container.terminated
        if end is None:
            if container.spec["late"] and not container.held:
                container.held = True
                container.timer = self.loop.later(LATE, lambda: self._again(pod, container))
            else:
                self._start(pod, container)
            return
        wait = container.next_backoff(time.monotonic())
        container.last = container.state
        if wait == 0:
            self._restart(pod, container)
            return
        name = f"{pod.key.pod}_{pod.key.namespace}"
        message = f"back-off {duration(wait)} restarting failed container={container.name} pod={name}"
        container.wait("CrashLoopBackOff", message)
        pod.event("Warning", "BackOff", f"Back-off restarting failed container {container.name} in pod {name}")
        container.timer = self.loop.later(wait, lambda: self._restart(pod, container))

    def _restart(self, pod: Pod, container: Container) -> None:
        container.timer = None
        container.restarts += 1
        self._start(pod, container)

    def _start(self, pod: Pod, container: Container) -> None:
        """Queue the container; it never starts within the message that requests it."""
        container.pending, container.unhealthy = True, False
        self.queue.append((pod, container))
        self._turn()
        if not container.last:
            container.wait(pod.first_word)

    def _turn(self) -> None:
        if self.queue and not self.pumping:
            self.pumping = True
            self.loop.later(0, self._pump)

    def _pump(self) -> None:
        self.pumping = False
        while self.queue and self.starting < STARTING_MAX:
            self.starting += 1
            self._prepare(*self.queue.popleft())

    def _started(self, container: Container) -> None:
        """A container runs or failed: in both cases the next container can start."""
        container.pending = False
        self.starting -= 1
        self._turn()
        self._settled()

    def _prepare(self, pod: Pod, container: Container) -> None:
        """Request the sandbox, then launch the process."""

        def ready(reply: Message, fds: list[int]) -> None:
            if pod.containers.get(container.name) is not container or container.stopping:
                self._started(container)
                self.look(pod)
            elif "error" in reply:
                self._refused(pod, container, "FailedCreatePodSandBox", str(reply["error"]))
            else:
                self._launch(pod, container, fds[0])

        if pod.daemon:
            self._launch(pod, container, -1)
            return
        try:
            self.sandboxes.get(SandboxKey(pod.key.netns, pod.etc), pod.hostname, ready)
        except OSError as refusal:
            self._refused(pod, container, "FailedCreatePodSandBox", str(refusal))

    def _launch(self, pod: Pod, container: Container, sandbox: int) -> None:
        spec = container.spec
        try:
            log = container.log = self.logs.start(str(spec["log"]), str(spec["previous"]))
            env = {str(name): str(value) for name, value in (*spec.get("links", ()), *spec["env"])}
            streams = container.streams = Streams(log.fd, str(spec.get("input", "")))
            env = container.env = {"TERM": "xterm", **env} if streams.tty else env
            host = self.sandboxes, self.statuses.mounts
            container.pid, channel = daemons.start(host, sandbox, streams, pod, spec, env)
            streams.started()
        except OSError as refusal:
            self._refused(pod, container, "Failed", f"Error: {refusal}")
            return
        self.by_pid[container.pid] = (pod, container)
        report = container.report = launch.Report(channel)
        pod.event("Normal", "Created", f"Created container: {container.name}")

        def read_report(_mask: int) -> None:
            report.read()
            if report.over:
                self._begun(pod, container)

        self.loop.add(channel.fileno(), read_report)
        streams.follow(self.loop)

    def _refused(self, pod: Pod, container: Container, reason: str, message: str) -> None:
        """The process could not be made: retry later, as after a crash."""
        container.hang_up(self.loop)
        if container.log:
            self.logs.end(container.log)
            container.log = None
        container.wait("CreateContainerError", message)
        pod.event("Warning", reason, message)
        wait = container.next_backoff(time.monotonic()) or 1.0
        container.timer = self.loop.later(wait, lambda: self._again(pod, container))
        self._started(container)

    def _again(self, pod: Pod, container: Container) -> None:
        container.timer = None
        self._step(pod)

    def _begun(self, pod: Pod, container: Container) -> None:
        """The report is over: the program runs, or could not be executed (then its end follows)."""
        report = container.report
        if report is None:
            return
        container.report = None
        container.space = report.space
        self.loop.remove(report.channel.fileno())
        report.channel.close()
        if report.status:
            container.wait("RunContainerError", report.message)
            pod.event("Warning", "Failed", f"Error: {report.message}")
        else:
            container.state = {"running": {"startedAt": time.time()}}
            pod.event("Normal", "Started", f"Started container {container.name}")
            self.probes.watch(pod, container)
        if container.role == "sidecar":
            self._step(pod)
        self.look(pod)
        self._started(container)

    def _probed(self, pod: Pod, container: Container) -> None:
        """A probe's result changed; a Pod may wait for its sidecar's start."""
        if container.role == "sidecar":
            self._step(pod)
        self.look(pod)

    def look(self, pod: Pod) -> None:
        """Its status may have changed."""
        self.changes.add()
        if self.pods.get(pod.key) is pod:
            self.statuses.look(pod)

    def exited(self, pid: int, status: int) -> None:
        """A child has ended."""
        if self.probes.execs.exited(pid, status) or self.statuses.exited(pid):
            return
        pod, container = self.by_pid.pop(pid, (None, None))
        if pod is None or container is None:
            return
        if container.report is not None:  # it ended before its report was read
            container.report.read()
            self._begun(pod, container)
        code = os.waitstatus_to_exitcode(status)
        began = container.state["running"]["startedAt"] if container.running else time.time()
        end: Message = {"exitCode": code if code >= 0 else 128 - code, "startedAt": began, "finishedAt": time.time()}
        if code < 0:
            end["signal"] = -code
        refused = container.state.get("waiting", {}).get("reason") == "RunContainerError"
        end["reason"] = "StartError" if refused else "Completed" if code == 0 else "Error"
        if refused:
            end |= {"exitCode": 128, "message": container.state["waiting"].get("message", "")}
        container.state = {"terminated": end}
        self._clear(container)
        self._gone(container)
        if container.leaving:
            self.forget(pod, container)
        elif container.successor is not None:
            self._replace(pod, container)
        elif pod.leaving:
            self._end_sidecars(pod)
        self._step(pod)
        self.look(pod)

    def _clear(self, container: Container) -> None:
        """Clean up after a process: its container's other processes, log and timers."""
        container.pid = 0
        self.probes.forget(container)
        if container.killer:
            container.killer.cancel()
            container.killer = None
        if container.space >= 0:
            launch.kill_all(container.space)
            os.close(container.space)
            container.space = -1
        container.hang_up(self.loop)
        if container.log:
            self.logs.end(container.log)
            container.log = None

    # -- endings ------------------------------------------------------------------------------------------------------

    def end(self, pod: Pod, container: Container) -> None:
        """Ask its process to end; what is left of it after the grace period is killed."""
        container.stopping = True
        pod.event("Normal", "Killing", f"Stopping container {container.name}")
        self.probes.forget(container)
        self.look(pod)
        if not container.pid:
            return
        signal_to(container, signal.SIGTERM if container.running else signal.SIGKILL)
        if container.killer is None:
            container.killer = self.loop.later(pod.grace, lambda: self.kill(container))

    def kill(self, container: Container) -> None:
        """End its process at once."""
        signal_to(container, signal.SIGKILL)

    def _replace(self, pod: Pod, container: Container) -> None:
        """Start with a new spec; a changed init container restarts the Pod's initialization."""
        assert container.successor is not None
        new = pod.containers[container.name] = Container(container.successor)
        new.restarts = container.restarts + 1
        if new.role == "init":
            pod.initialized = False

    def _gone(self, container: Container) -> None:
        """Notify those who wait for its end."""
        for waiting in list(self.leaving):
            group, reply = waiting
            group.discard(container)
            if not group:
                self.leaving.remove(waiting)
                reply({}, [])

    def forget(self, pod: Pod, container: Container) -> None:
        """Drop its record, with its log."""
        if container.timer:
            container.timer.cancel()
            container.timer = None
        self.changes.add()
        if pod.containers.get(container.name) is container:
            del pod.containers[container.name]
        if self.pods.get(pod.key) is pod:  # else the logs are a newer Pod's
            self.logs.remove(str(container.spec["log"]), str(container.spec["previous"]))
        if not pod.containers and self.pods.get(pod.key) is pod:
            del self.pods[pod.key]
            self.statuses.forget(pod.key)
        self._end_sidecars(pod)

    def _end_sidecars(self, pod: Pod) -> None:
        """They end after the main containers."""
        if not any(container.pid for container in pod.of("main", "init")):
            for sidecar in pod.of("sidecar"):
                if sidecar.stopping and sidecar.pid:
                    self.end(pod, sidecar)

    # -- helpers -----------------------------------------------------------------------------------------------------

    def _pending(self) -> int:
        return self.starting + len(self.queue)

    def _settled(self) -> None:
        if self.settling and not self._pending():
            for reply in list(self.settling):
                reply({}, [])
