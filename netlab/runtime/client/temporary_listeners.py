"""Temporary listeners: the agent serves ports that only an expectation names, while they are probed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from netlab.model import Cluster, Port
from netlab.objects import Listener
from netlab.runtime.client.listeners import AgentListeners
from netlab.runtime.state.rundir import RunDir


@contextmanager
def answering(
    rundir: RunDir, cluster: Cluster, extra: Mapping[str, Sequence[Port]], *, stay: bool = False
) -> Iterator[None]:
    """The lab's agent answers on the extra ports of Pods (by ``namespace/name``) inside the block; ``stay``: also after
    it.
    """
    listeners = [
        Listener(
            pod.netns,
            port.protocol,
            port.port,
            pod.name,
            pod.namespace,
            pod.node,
            "",
            tuple(str(address.ip) for address in pod.addresses),
        )
        for pod in cluster.pods
        for port in extra.get(str(pod), ())
    ]
    if not listeners:
        yield
        return
    agent = AgentListeners(rundir.lab, rundir.path)
    agent.listen(listeners)
    try:
        yield
    finally:
        if not stay:
            agent.unlisten(listeners)
