"""The agent as the kernel's writer sees it: who opens and closes listeners, runs and ends processes."""

from __future__ import annotations

import socket
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from netlab.objects import Listener, Process
from netlab.runtime.agent.linux import LIMITS_PIDS
from netlab.runtime.client import agentclient, apiserver, containers
from netlab.runtime.client.spawn import spawn


class AgentListeners:
    """An ``AgentPort`` over a lab's agent; starts one where none runs.

    ``problems`` are the ports that could not be opened, as sentences: another process of the Pod may hold them.
    """

    def __init__(self, lab: str, rundir: Path) -> None:
        self._lab, self._rundir = lab, rundir
        self.problems: list[str] = []
        self.ran: list[Process] = []  # what this run of netlab asked the agent to start
        self._empty = False  # an agent that was started just now runs nothing, and need not be waited for to say so

    def start(self) -> bool:
        """Start the agent unless it runs; it gets ready while the caller goes on.  Whether it was started."""
        if (running := agentclient.recorded(self._rundir)) is not None:
            agentclient.resume(running)
        if agentclient.serving(self._rundir):
            return False
        spawn(self._rundir, self._lab)
        self._empty = True
        if not LIMITS_PIDS:
            self.problems.append(
                "Pods have no limit on processes: that takes Linux 6.14, so a fork bomb is the host's too"
            )
        return True

    def alive(self) -> bool:
        """Whether the lab's agent runs."""
        return agentclient.recorded(self._rundir) is not None

    def listen(self, listeners: Sequence[Listener]) -> None:
        """Open the listeners."""
        endpoints: dict[tuple[str, str, str, str], dict[str, Any]] = {}
        for listener in listeners:
            kind = "health" if listener.health else "pod" if listener.namespace else "external"
            endpoint = endpoints.setdefault(
                (listener.netns, kind, listener.namespace, listener.pod),
                {
                    "netns": f"/run/netns/{listener.netns}",
                    "kind": kind,
                    "pod": listener.pod,
                    "namespace": listener.namespace,
                    "node": listener.node,
                    "addresses": list(listener.addresses),
                    "families": _families(listener),
                    "ports": [],
                },
            )
            endpoint["ports"].append(
                {
                    "port": listener.port,
                    "protocol": listener.protocol,
                    "container": listener.container,
                    "bound": listener.bound,
                }
            )
        self.start()
        with agentclient.connect(self._rundir, self._lab) as agent:
            for error in agent.listen(list(endpoints.values())):
                self.problems.append(str(error.get("error", error)))

    def unlisten(self, listeners: Sequence[Listener]) -> None:
        """Close them."""
        if self.alive():
            with agentclient.connect(self._rundir, self._lab) as agent:
                agent.unlisten(
                    (f"/run/netns/{listener.netns}", listener.port, listener.protocol) for listener in listeners
                )

    def run(self, processes: Sequence[Process]) -> None:
        """Start processes; ``problems`` gets a message for each failure."""
        self.start()
        self._empty = False
        self.ran += processes
        with agentclient.connect(self._rundir, self._lab) as agent:
            self.problems += agent.run(containers.to_messages(processes, str(apiserver.kubeconfig(self._lab))))

    def stop(self, processes: Sequence[Process]) -> None:
        """End them; waits for as long as their grace periods allow."""
        if self.alive():
            patience = max(process.grace for process in processes) + 10.0
            with agentclient.connect(self._rundir, self._lab, patience) as agent:
                agent.stop(containers.to_messages(processes))

    def processes(self) -> Sequence[Process]:
        """The processes that the agent runs, or restarts."""
        if self._empty or not self.alive():
            return ()
        with agentclient.connect(self._rundir, self._lab) as agent:
            processes = [process for pod in agent.processes() for process in containers.from_message(pod)]
        stopped = [process for process in processes if process.stopped]
        if not stopped:
            return processes
        numbers = agentclient.host_pids(self._rundir)
        return [
            replace(process, stopped=numbers.get(process.stopped, -1)) if process.stopped else process
            for process in processes
        ]

    def forget(self, netns: Iterable[str], etc: Iterable[str] = ()) -> None:
        """Drop all listeners and processes in these namespaces, and of hostNetwork Pods with these folders."""
        if self.alive():
            with agentclient.connect(self._rundir, self._lab) as agent:
                agent.drop((f"/run/netns/{name}" for name in netns), etc)


def _families(listener: Listener) -> list[str]:
    """The families to listen with: kube-proxy's health checks have their Service's; all others have both, whatever the lab
    has, since localhost means ::1 first, in an IPv4-only Pod too.
    """
    if listener.health:
        return sorted({"IPv6" if ":" in address else "IPv4" for address in listener.addresses})
    return ["IPv4", "IPv6"] if socket.has_ipv6 else ["IPv4"]
