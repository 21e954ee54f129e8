"""Running the containers of Pods as a kubelet does: order, restarts, back-off, endings.

``_step`` looks at one Pod and starts whatever should run now; it is called after everything that happens to the Pod and
does nothing where nothing is due, so there is one place that decides.

- Init containers run one after another until each has ended well; a sidecar (an init container that restarts always)
  counts as done when it has begun.  Then all main containers start.
- A container that ends is started again as restartPolicy says: at once, then after 10 s, 20 s ... 300 s
  (CrashLoopBackOff), and at once again after it has run for 10 minutes.  Init containers of Always end like OnFailure's.
- When its process ends, whatever else the container left running is killed.
- Stopping is SIGTERM to the process, after the grace period SIGKILL to all; sidecars end after the main containers.
- A sandbox that somebody killed takes its containers with it; they restart in a new one.
"""

from __future__ import annotations

import os
import signal
import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

from netlab.runtime.agent.containers import launch
from netlab.runtime.agent.containers.logs import Logs
from netlab.runtime.agent.containers.sandbox import Place, Sandboxes
from netlab.runtime.agent.loop import Loop
from netlab.runtime.agent.probing.probes import Probes, signal_to
from netlab.runtime.agent.records import Container, Pod, PodKey
from netlab.runtime.agent.statuses import Statuses

Message = dict[str, Any]
Answer = Callable[[Message, list[int]], None]
LATE = 1.0  # seconds that a container on an earlier one's port waits, so that always the same of the two has it
STARTING_MAX = 8  # containers in the making at a time: more would only make each other, and the responders, slower


class Supervisor:
    """All Pods of a lab in which commands run."""

    def __init__(self, loop: Loop, sandboxes: Sandboxes, logs: Logs, statuses: Statuses) -> None:
        self.loop, self.sandboxes, self.logs, self.statuses = loop, sandboxes, logs, statuses
        self.probes = Probes(loop, sandboxes, self._probed)
        self.pods: dict[PodKey, Pod] = {}
        self.by_pid: dict[int, tuple[Pod, Container]] = {}
        self.queue: deque[tuple[Pod, Container]] = deque()
        self.starting, self.pumping = 0, False
        self.settling: list[Answer] = []
        self.leaving: list[tuple[set[Container], Answer]] = []
        sandboxes.exited = self.exited

    # -- what is asked ------------------------------------------------------------------------------------------------

    def run(self, specs: Iterable[Message]) -> list[str]:
        """Start containers, restart those whose spec is another; sentences on what cannot be."""
        errors = []
        self.statuses.silence()
        for spec in specs:
            key = PodKey(str(spec["netns"]), str(spec["namespace"]), str(spec["pod"]))
            inode = self._inode(key.netns)
            if not inode:
                errors.append(f"Pod {key.namespace}/{key.pod} cannot run: {key.netns} is not there")
                continue
            pod = self.pods.get(key)
            if pod is not None and pod.inode != inode:  # made anew under its old name
                self.drop(key.netns)
                pod = None
            if pod is None:
                pod = self.pods[key] = Pod(key, spec, inode)
            pod.take(spec)
            for one in spec["containers"]:
                self._want(pod, one)
            for made in pod.containers.values():
                if made.state == {"waiting": {"reason": "ContainerCreating"}}:
                    made.wait(_first_word(pod))
            self._step(pod)
            self._look(pod)
        return errors

    def _want(self, pod: Pod, spec: Message) -> None:
        known = pod.containers.get(str(spec["name"]))
        if known is not None and known.spec == spec and not known.leaving:
            if known.stopped:  # by somebody's SIGSTOP: it is to run
                os.kill(known.pid, signal.SIGCONT)
            return
        if known is not None and known.pid:
            known.successor, known.leaving = spec, False
            self._stop(pod, known)
            return
        if known is not None and known.timer:
            known.timer.cancel()
        pod.containers[str(spec["name"])] = Container(spec)
        if spec["role"] == "init":
            pod.initialized = False

    def stop(self, specs: Iterable[Message], answer: Answer) -> None:
        """End containers; answers when they are gone."""
        leaving: set[Container] = set()
        for spec in specs:
            pod = self.pods.get(PodKey(str(spec["netns"]), str(spec["namespace"]), str(spec["pod"])))
            if pod is None:
                continue
            names = {str(one["name"]) for one in spec["containers"]}
            chosen = [one for name, one in pod.containers.items() if name in names]
            first = [one for one in chosen if one.role != "sidecar" and one.pid]
            for one in chosen:
                one.stopping, one.leaving, one.successor = True, True, None
                if one.pid:
                    leaving.add(one)
                    if one in first or not first:
                        self._stop(pod, one)
                    else:  # after the main ones, in what is left of the same grace period
                        one.killer = self.loop.later(pod.grace, lambda one=one: self._kill(one))  # type: ignore[misc]
                else:
                    self._forget(pod, one)
        if leaving:
            self.leaving.append((leaving, answer))
        else:
            answer({}, [])

    def drop(self, netns: str) -> None:
        """Forget the Pods of a namespace; their processes end with their sandbox, which the caller drops."""
        for key in [key for key in self.pods if key.netns == netns]:
            pod = self.pods[key]
            for one in list(pod.containers.values()):
                one.stopping, one.leaving, one.successor = True, True, None
                if one.pid:
                    self._kill(one)
                else:
                    self._forget(pod, one)

    def settle(self, timeout: float, answer: Answer) -> None:
        """Answer when no container is being started, or in ``timeout`` seconds."""

        def now(_message: Message, _fds: list[int]) -> None:
            timer.cancel()
            if now in self.settling:
                self.settling.remove(now)
                answer({"pending": self._pending()}, [])

        timer = self.loop.later(timeout, lambda: now({}, []))
        self.settling.append(now)
        self._settled()

    def shown(self, *, events: bool) -> list[Message]:
        """All Pods whose namespace is still the one that they were started in."""
        return [pod.shown(events=events) for key, pod in self.pods.items() if self._inode(key.netns) == pod.inode]

    # -- what happens -------------------------------------------------------------------------------------------------

    def _step(self, pod: Pod) -> None:
        """Start what should run now."""
        if self.pods.get(pod.key) is not pod:
            return
        for one in pod.of("init", "sidecar"):
            if one.role == "sidecar":
                self._keep(pod, one, "Always")
                if not one.begun and not one.spec["missing"]:
                    return
            elif not pod.initialized:
                if one.spec["missing"]:
                    self._skip(pod, one)
                elif one.terminated is None or one.terminated["exitCode"] != 0:
                    self._keep(pod, one, "Never" if pod.restart == "Never" else "OnFailure")
                    return
        pod.initialized = True
        mains = pod.of("main")
        for one in mains:
            self._keep(pod, one, pod.restart)
        if mains and all(one.over(pod.restart) for one in mains):
            for one in pod.of("sidecar"):
                if one.pid and not one.stopping:
                    self._stop(pod, one)

    def _skip(self, pod: Pod, one: Container) -> None:
        if one.terminated is None:
            program = one.spec["argv"][0]
            pod.event("Warning", "Skipped", f"init container {one.name} is skipped: this host has no program {program}")
            now = time.time()
            one.state = {"terminated": {"exitCode": 0, "reason": "Completed", "startedAt": now, "finishedAt": now}}

    def _keep(self, pod: Pod, one: Container, policy: str) -> None:
        """Start the container, unless it runs, waits for its time, or has ended for good."""
        if one.pid or one.pending or one.timer or one.stopping or one.over(policy):
            return
        if one.spec["missing"]:
            if one.state["waiting"]["reason"] != "CreateContainerError":
                said = f'exec: "{one.spec["argv"][0]}": executable file not found in $PATH'
                one.wait("CreateContainerError", said)
                pod.event("Warning", "Failed", f"Error: {said}")
            return
        end = one.terminated
        if end is None:
            if one.spec["late"] and not one.held:
                one.held = True
                one.timer = self.loop.later(LATE, lambda: self._again(pod, one))
            else:
                self._start(pod, one)
            return
        wait = one.next_backoff(time.monotonic())
        one.last = one.state
        if wait == 0:
            self._restart(pod, one)
            return
        who = f"{pod.key.pod}_{pod.key.namespace}"
        says = f"back-off {_duration(wait)} restarting failed container={one.name} pod={who}"
        one.wait("CrashLoopBackOff", says)
        pod.event("Warning", "BackOff", f"Back-off restarting failed container {one.name} in pod {who}")
        one.timer = self.loop.later(wait, lambda: self._restart(pod, one))

    def _restart(self, pod: Pod, one: Container) -> None:
        one.timer = None
        one.restarts += 1
        self._start(pod, one)

    def _start(self, pod: Pod, one: Container) -> None:
        """Have it started when its turn comes; never within the message that asks for it."""
        one.pending, one.unhealthy = True, False
        self.queue.append((pod, one))
        self._turn()
        if not one.last:
            one.wait(_first_word(pod))

    def _turn(self) -> None:
        if self.queue and not self.pumping:
            self.pumping = True
            self.loop.later(0, self._pump)

    def _pump(self) -> None:
        self.pumping = False
        while self.queue and self.starting < STARTING_MAX:
            self.starting += 1
            self._prepare(*self.queue.popleft())

    def _started(self, one: Container) -> None:
        """It runs, or it does not: either way the next can have its turn."""
        one.pending = False
        self.starting -= 1
        self._turn()
        self._settled()

    def _prepare(self, pod: Pod, one: Container) -> None:
        """Ask for the sandbox, then for the process."""

        def ready(reply: Message, fds: list[int]) -> None:
            if pod.containers.get(one.name) is not one or one.stopping:
                self._started(one)
            elif "error" in reply:
                self._refused(pod, one, "FailedCreatePodSandBox", str(reply["error"]))
            else:
                self._launch(pod, one, fds[0])

        try:
            self.sandboxes.get(Place(pod.key.netns, pod.etc), pod.hostname, ready)
        except OSError as refusal:
            self._refused(pod, one, "FailedCreatePodSandBox", str(refusal))

    def _launch(self, pod: Pod, one: Container, sandbox: int) -> None:
        spec = one.spec
        try:
            log = one.log = self.logs.start(str(spec["log"]), str(spec["previous"]))
            home = self.sandboxes.pid_namespace
            env = {str(name): str(value) for name, value in (*spec.get("links", ()), *spec["env"])}
            one.env = env
            one.pid, channel = launch.launch(sandbox, home, log.fd, spec["argv"], env, str(spec["workdir"]))
        except OSError as refusal:
            self._refused(pod, one, "Failed", f"Error: {refusal}")
            return
        self.by_pid[one.pid] = (pod, one)
        report = one.report = launch.Report(channel)
        pod.event("Normal", "Created", f"Created container: {one.name}")

        def said(_mask: int) -> None:
            report.read()
            if report.over:
                self._begun(pod, one)

        self.loop.add(channel.fileno(), said)

    def _refused(self, pod: Pod, one: Container, reason: str, said: str) -> None:
        """It could not even be made: again later, as with a crash."""
        if one.log:
            self.logs.end(one.log)
            one.log = None
        one.wait("CreateContainerError", said)
        pod.event("Warning", reason, said)
        wait = one.next_backoff(time.monotonic()) or 1.0
        one.timer = self.loop.later(wait, lambda: self._again(pod, one))
        self._started(one)

    def _again(self, pod: Pod, one: Container) -> None:
        one.timer = None
        self._step(pod)

    def _begun(self, pod: Pod, one: Container) -> None:
        """The report is over: the program runs, or could not be executed (then its end follows)."""
        report = one.report
        if report is None:
            return
        one.report = None
        one.space = report.space
        self.loop.remove(report.channel.fileno())
        report.channel.close()
        if report.status:
            one.wait("RunContainerError", report.said)
            pod.event("Warning", "Failed", f"Error: {report.said}")
        else:
            one.state = {"running": {"startedAt": time.time()}}
            pod.event("Normal", "Started", f"Started container {one.name}")
            self.probes.watch(pod, one)
        if one.role == "sidecar":
            self._step(pod)
        self._look(pod)
        self._started(one)

    def _probed(self, pod: Pod, one: Container) -> None:
        """A probe changed its mind; what waits for a sidecar waits until that has started."""
        if one.role == "sidecar":
            self._step(pod)
        self._look(pod)

    def _look(self, pod: Pod) -> None:
        if self.pods.get(pod.key) is pod:
            self.statuses.look(pod)

    def exited(self, pid: int, status: int) -> None:
        """A child has ended."""
        if self.probes.execs.exited(pid, status) or self.statuses.exited(pid):
            return
        pod, one = self.by_pid.pop(pid, (None, None))
        if pod is None or one is None:
            return
        if one.report is not None:  # its end came before its report was read
            one.report.read()
            self._begun(pod, one)
        code = os.waitstatus_to_exitcode(status)
        began = one.state["running"]["startedAt"] if one.running else time.time()
        end: Message = {"exitCode": code if code >= 0 else 128 - code, "startedAt": began, "finishedAt": time.time()}
        if code < 0:
            end["signal"] = -code
        refused = one.state.get("waiting", {}).get("reason") == "RunContainerError"
        end["reason"] = "StartError" if refused else "Completed" if code == 0 else "Error"
        if refused:
            end |= {"exitCode": 128, "message": one.state["waiting"].get("message", "")}
        one.state = {"terminated": end}
        self._clear(one)
        self._gone(one)
        if one.leaving:
            self._forget(pod, one)
        elif one.successor is not None:
            self._replace(pod, one)
        self._step(pod)
        self._look(pod)

    def _clear(self, one: Container) -> None:
        """What a process leaves: others of its container, its log, its timers."""
        one.pid = 0
        self.probes.forget(one)
        if one.killer:
            one.killer.cancel()
            one.killer = None
        if one.space >= 0:
            launch.kill_all(one.space)
            os.close(one.space)
            one.space = -1
        if one.log:
            self.logs.end(one.log)
            one.log = None

    # -- endings ------------------------------------------------------------------------------------------------------

    def _stop(self, pod: Pod, one: Container) -> None:
        one.stopping = True
        pod.event("Normal", "Killing", f"Stopping container {one.name}")
        self.probes.forget(one)
        self._look(pod)
        if not one.pid:
            return
        signal_to(one, signal.SIGTERM if one.running else signal.SIGKILL)
        if one.killer is None:
            one.killer = self.loop.later(pod.grace, lambda: self._kill(one))

    def _kill(self, one: Container) -> None:
        signal_to(one, signal.SIGKILL)

    def _replace(self, pod: Pod, one: Container) -> None:
        """Start anew with another spec; an init container that changed begins the Pod anew."""
        assert one.successor is not None
        new = pod.containers[one.name] = Container(one.successor)
        new.restarts = one.restarts + 1
        if new.role == "init":
            pod.initialized = False

    def _gone(self, one: Container) -> None:
        """Tell those who wait for its end."""
        for waiting in list(self.leaving):
            group, answer = waiting
            group.discard(one)
            if not group:
                self.leaving.remove(waiting)
                answer({}, [])

    def _forget(self, pod: Pod, one: Container) -> None:
        if one.timer:
            one.timer.cancel()
            one.timer = None
        if pod.containers.get(one.name) is one:
            del pod.containers[one.name]
        if self.pods.get(pod.key) is pod:  # else the names are a newer Pod's
            self.logs.remove(str(one.spec["log"]), str(one.spec["previous"]))
        if not pod.containers and self.pods.get(pod.key) is pod:
            del self.pods[pod.key]
            self.statuses.forget(pod.key)
        if not any(other.pid for other in pod.of("main", "init")):
            for other in pod.of("sidecar"):
                if other.stopping and other.pid:
                    self._stop(pod, other)

    # -- small things -------------------------------------------------------------------------------------------------

    def _pending(self) -> int:
        return self.starting + len(self.queue)

    def _settled(self) -> None:
        if self.settling and not self._pending():
            for answer in list(self.settling):
                answer({}, [])

    def _inode(self, netns: str) -> int:
        try:
            return os.stat(netns.lstrip("/"), dir_fd=self.sandboxes.endpoints.root).st_ino
        except OSError:
            return 0


def _first_word(pod: Pod) -> str:
    return "PodInitializing" if pod.of("init", "sidecar") else "ContainerCreating"


def _duration(seconds: float) -> str:
    """Go's form: 10s, 1m20s, 5m0s."""
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"
