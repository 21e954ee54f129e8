"""The ends of containers that the host's side asks for: of a change, and of Pods that were deleted.

Main containers get SIGTERM first, sidecars in the rest of the same grace period.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from netlab.runtime.agent.containers.supervisor import Message, Reply, Supervisor
from netlab.runtime.agent.podstate import Container, PodKey


def stop(supervisor: Supervisor, specs: Iterable[Message], reply: Reply) -> None:
    """End containers; reply when they are gone."""
    leaving: set[Container] = set()
    for spec in specs:
        pod = supervisor.pods.get(_key(spec))
        if pod is None:
            continue
        names = {str(container["name"]) for container in spec["containers"]}
        chosen = [container for name, container in pod.containers.items() if name in names]
        first = [container for container in chosen if container.role != "sidecar" and container.pid]
        for container in chosen:
            container.stopping, container.leaving, container.successor = True, True, None
            if container.pid:
                leaving.add(container)
                if container in first or not first:
                    supervisor.end(pod, container)
                elif container.killer is None:
                    container.killer = supervisor.loop.later(pod.grace, partial(supervisor.kill, container))
            else:
                supervisor.forget(pod, container)
    if leaving:
        supervisor.leaving.append((leaving, reply))
    else:
        reply({}, [])


def terminate(supervisor: Supervisor, specs: Iterable[Message]) -> Message:
    """Begin to end Pods, each in ``seconds``, by ``leaving``; what is left then is killed.  Their records stay."""
    for spec in specs:
        pod = supervisor.pods.get(_key(spec))
        if pod is None:
            continue
        pod.leave(int(spec["leaving"]))
        running = [container for container in pod.containers.values() if container.pid]
        for container in pod.containers.values():
            container.stopping, container.successor = True, None
            if container.timer:
                container.timer.cancel()
                container.timer = None
        for container in running:
            if container.killer:
                container.killer.cancel()
            container.killer = supervisor.loop.later(float(spec["seconds"]), partial(supervisor.kill, container))
        for container in [each for each in running if each.role != "sidecar"] or running:
            supervisor.end(pod, container)
        supervisor.look(pod)
    return {}


def _key(spec: Message) -> PodKey:
    return PodKey(str(spec["netns"]), str(spec["namespace"]), str(spec["pod"]))
