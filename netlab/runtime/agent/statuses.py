"""Which Pods are ready and which have ended, for Services, names, policies and the controllers of Jobs.

The agent has the statuses, but only the host's side can change a lab.  So on a change the agent starts
``python -m netlab.runtime.step LAB`` in the host's mount namespace.  This step takes the lab's lock, asks for the
statuses, changes the lab, and acknowledges the version.  One step runs at a time and covers all changes so far.  ``up``
and ``apply`` ask for the statuses themselves, so ``run`` suspends the notifications for a while.

The step is the agent's child, so it ends with the agent, and ``down`` has no other process to find.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from typing import Any

from netlab.runtime.agent import linux
from netlab.runtime.agent.loop import Loop, Timer
from netlab.runtime.agent.podstate import Pod, PodKey
from netlab.tuples import NamedTuple

GATHER = 0.03  # seconds in which changes gather
LEAVING = 1.0  # seconds in which a Pod that was deleted is removed, after the end of its processes
AGAIN_FIRST, AGAIN_MAX = 1.0, 30.0  # after a step that failed, doubled each time
SILENCE_MAX = 30.0  # at most, if the caller has died
_PACKAGE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class Status(NamedTuple):
    """``ended_at`` in seconds of the epoch, 0 while it runs; ``restarts`` of its containers, where they end it never.

    ``leaving``: the second of the epoch at which the grace period of a Pod that was deleted is over, else 0.
    """

    ready: bool
    ended: bool
    failed: bool
    ended_at: float
    restarts: int
    leaving: int = 0


class Statuses:
    """What is reported of each Pod; ``version`` counts changes, ``acknowledged`` is the version that the lab follows.

    ``again``: when a step is due although nothing changed (monotonic seconds), 0 for never.
    """

    def __init__(self, loop: Loop, lab: str, mounts: int) -> None:
        self.loop, self.lab, self.mounts = loop, lab, mounts
        self.reported: dict[PodKey, Status] = {}
        self.version = self.acknowledged = 0
        self.moved: set[PodKey] = set()  # Pods with a change since then
        self.silent_until = self.again = 0.0
        self.timer: Timer | None = None
        self.child, self.patience = 0, 0.0
        self.spawn: Callable[[], int] = self._spawn

    def look(self, pod: Pod) -> None:
        """Compare the Pod's status with the last one; a node's daemon has none."""
        if pod.daemon:
            return
        if pod.leaving:  # how it ends is nothing to its controller
            status = Status(pod.ready, False, False, 0.0, 0, pod.leaving)
        else:
            status = Status(pod.ready, pod.ended, pod.failed, pod.ended_at, pod.restarts)
        if self.reported.get(pod.key) != status:
            self.reported[pod.key] = status
            self.moved.add(pod.key)
            self.version += 1
            self._later(LEAVING if pod.leaving else GATHER)

    def forget(self, key: PodKey) -> None:
        """The host's side has removed the Pod."""
        self.reported.pop(key, None)
        self.moved.discard(key)

    def silence(self) -> None:
        """Suspend notifications: the caller of ``run`` will ask for the statuses."""
        self.silent_until = time.monotonic() + SILENCE_MAX

    def shown(self) -> dict[str, Any]:
        pods = [
            {"namespace": key.namespace, "pod": key.pod, **status._asdict()} for key, status in self.reported.items()
        ]
        moved = [f"{key.namespace}/{key.pod}" for key in self.moved]
        return {"version": self.version, "acknowledged": self.acknowledged, "pods": pods, "moved": moved}

    def acknowledge(self, version: int, again: float | None = None) -> None:
        """The lab now follows that version; notifications resume.

        ``again``: in how many seconds a step is due even so, below 0 for never; None leaves that as it was.
        """
        if again is not None:
            self.again = time.monotonic() + again if again >= 0 else 0.0
        self.acknowledged = max(self.acknowledged, min(version, self.version))
        self.silent_until = self.patience = 0.0
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None
        if self.acknowledged < self.version:
            self._later(GATHER)
        else:
            self.moved.clear()
            self._remind()

    def _remind(self) -> None:
        if self.again:
            self._later(max(GATHER, self.again - time.monotonic()))

    def _due(self) -> bool:
        return self.acknowledged < self.version or 0 < self.again <= time.monotonic()

    def _later(self, seconds: float) -> None:
        if self.timer is None and not self.child:
            wait = max(seconds, self.silent_until - time.monotonic())
            self.timer = self.loop.later(wait, self._turn)

    def _turn(self) -> None:
        self.timer = None
        if self.child:
            return
        if not self._due():
            self._remind()
            return
        if time.monotonic() < self.silent_until:
            self._later(GATHER)
            return
        self.patience = min(max(2 * self.patience, AGAIN_FIRST), AGAIN_MAX)  # an acknowledgement resets it
        try:
            self.child = self.spawn()
        except OSError as refusal:
            print(f"no step for the Pods' readiness: {refusal}", file=sys.stderr, flush=True)
            self._later(self.patience)

    def exited(self, pid: int) -> bool:
        """Whether that child was the step."""
        if pid != self.child:
            return False
        self.child = 0
        if self._due():
            self._later(max(self.patience, GATHER))
        else:
            self._remind()
        return True

    def _spawn(self) -> int:
        pid = os.fork()
        if pid == 0:
            try:
                signal.set_wakeup_fd(-1)
                linux.setns(self.mounts, linux.CLONE_NEWNS)
                os.chdir("/")
                os.closerange(3, os.sysconf("SC_OPEN_MAX"))
                argv = [sys.executable, "-m", "netlab.runtime.step", self.lab]
                os.execve(sys.executable, argv, {"PATH": _PATH, "PYTHONPATH": _PACKAGE, "LC_ALL": "C.UTF-8"})
            except BaseException as failure:  # noqa: BLE001 - the child of a fork must end here, whatever happens
                os.write(2, f"no step for the Pods' readiness: {failure}\n".encode())
            finally:
                os._exit(1)
        return pid
