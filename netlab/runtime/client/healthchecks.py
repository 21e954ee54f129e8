"""The numbers that the agent reports on the healthCheckNodePorts of Services, as kube-proxy does."""

from __future__ import annotations

from netlab.errors import StateError
from netlab.model import Cluster
from netlab.runtime.client import agentclient
from netlab.runtime.state.rundir import RunDir


def sync(rundir: RunDir, cluster: Cluster) -> list[str]:
    """Bring the numbers in step with the cluster; sentences on what could not be done."""
    ports = [
        {
            "netns": f"/run/netns/{node.netns}",
            "port": service.health_port,
            "counts": {family: service.local_ready(node.name, family) for family in service.families},
        }
        for service in cluster.services
        if service.health_port
        for node in cluster.nodes
    ]
    if not ports or agentclient.recorded(rundir.path) is None:
        return []
    try:
        with agentclient.connect(rundir.path, cluster.lab) as agent:
            agent.report(ports)
    except StateError as gone:
        return [gone.message]
    return []
