"""After ``up``: wait, for a bounded time, until the commands that it started run and listen.

So that ``up`` and then ``exec client -- wget server`` works although nothing says when a server is ready: without
probes, a declared port that is listened on is the best sign there is.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from netlab.errors import StateError
from netlab.kernel import netns as ns
from netlab.kernel.sockdiag import Listening
from netlab.model import Cluster, Pod, Port
from netlab.objects import Process
from netlab.runtime import agentclient

START_PATIENCE = 10.0  # seconds; 200 Pods take 2 to 3
LISTEN_PATIENCE = 2.0  # seconds more; an interpreter with a web server takes 0.2
_PAUSE = 0.02


def settle(lab: str, rundir: Path, cluster: Cluster, ran: Sequence[Process]) -> list[str]:
    """Wait for the processes of ``ran``; sentences on what is not there yet when patience ends."""
    if not ran:
        return []
    notes: list[str] = []
    try:
        with agentclient.connect(rundir, lab, START_PATIENCE + 5) as agent:
            pending = agent.settle(START_PATIENCE)
            if pending:
                notes.append(f"{pending} containers are still being started; netlab get pods -A shows them")
            notes += _wait_for_ports(agent, cluster, {(one.namespace, one.pod) for one in ran})
    except StateError as gone:  # an agent that dies now is found by the next command
        notes.append(gone.message)
    return notes


def _wait_for_ports(agent: agentclient.AgentClient, cluster: Cluster, pods: set[tuple[str, str]]) -> list[str]:
    wanted = [
        (pod, port)
        for pod in cluster.pods
        if (pod.namespace, pod.name) in pods
        for port in pod.ports
        if port.declared and port.served_by == "process" and port.protocol in ("TCP", "UDP")
    ]
    if not wanted:
        return []
    worker = ns.Worker()
    deadline = time.monotonic() + LISTEN_PATIENCE
    try:
        while True:
            waiting = [(pod, port) for pod, port in wanted if not worker.run(lambda p=pod, q=port: _open(p, q))]  # type: ignore[misc]
            running = _running(agent) if waiting else set()
            wanted = [one for one in waiting if (one[0].namespace, one[0].name, one[1].container) in running]
            if not wanted or time.monotonic() > deadline:
                break
            time.sleep(_PAUSE)
    finally:
        worker.close()
    return [
        f"container {port.container} of Pod {pod} runs, and does not listen on its port {port.port}/{port.protocol} yet"
        for pod, port in wanted
    ]


def _running(agent: agentclient.AgentClient) -> set[tuple[str, str, str]]:
    def key(pod: dict[str, Any], one: dict[str, Any]) -> tuple[str, str, str]:
        return pod["namespace"], pod["pod"], one["name"]

    return {key(pod, one) for pod in agent.processes() for one in pod["containers"] if "running" in one["state"]}


def _open(pod: Pod, port: Port) -> bool:
    """Whether somebody listens on the port, at any of the Pod's addresses or at localhost alone."""
    addresses = tuple(str(one.ip) for one in pod.addresses)
    try:
        fd = ns.open_named(pod.netns)
    except OSError:
        return True  # gone: nothing to wait for
    try:
        with ns.inside(fd):
            listening = Listening()
            try:
                return listening.holds(port.protocol, port.port, (*addresses, "127.0.0.1"))
            finally:
                listening.close()
    finally:
        os.close(fd)
