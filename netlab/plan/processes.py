"""The containers that really run, as objects.

Init containers run only in a Pod of which some container really runs: else they would do their work for nobody, and a
program that they miss would keep the Pod from being served.  One whose program the host lacks is skipped, and an event
says so.

Limits: ``securityContext`` is not obeyed (everything runs as root of the sandbox), lifecycle hooks are not run, volumes
are not mounted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from netlab.model import Cluster, Container, Node, Pod
from netlab.objects import Obj, Process, Why
from netlab.plan.environment import environment, expand
from netlab.plan.probes import of_container
from netlab.plan.services_environment import service_variables
from netlab.plan.why import pod_why

#: The name of a node's own daemon where a Pod has its container's.
DAEMON = "agent"
_DAEMON_GRACE = 5  # seconds
DEFAULT_GRACE = 30  # seconds; the API's default for terminationGracePeriodSeconds


def objects(cluster: Cluster) -> Iterator[Obj]:
    """The processes of all Pods, and the daemons of the nodes."""
    for node in cluster.nodes:
        if node.agent:
            yield daemon(node, cluster)
    for pod in cluster.pods:
        if any(container.runs or container.missing for container in pod.containers):
            yield from of_pod(pod, cluster)


def daemon(node: Node, cluster: Cluster) -> Process:
    """The author's daemon of a node."""
    return Process(
        node.netns,
        "",
        node.name,
        DAEMON,
        "main",
        0,
        node.agent,
        (("NODE_NAME", node.name), ("NETLAB_LAB", cluster.lab)),
        cluster.folder,
        node.name,
        grace=_DAEMON_GRACE,
        daemon=True,
        why=Why(f"spec.agent of node {node.name}", cluster.mark),
    )


def grace(pod: Pod) -> int:
    """The seconds that its processes have to end."""
    return int(str(pod.spec.get("terminationGracePeriodSeconds", DEFAULT_GRACE)))


def spec_of(pod: Pod, container: str) -> Mapping[str, Any]:
    """A container's own part of the Pod's spec; empty where there is none of that name."""
    for where in ("initContainers", "containers"):
        listed = pod.spec.get(where, [])
        assert isinstance(listed, list)
        for entry in listed:
            if entry["name"] == container:
                return dict(entry)
    return {}


def of_pod(pod: Pod, cluster: Cluster) -> Iterator[Process]:
    """The processes of one Pod, in the order in which they start."""
    real = any(entry.runs for entry in pod.containers)
    typed = {entry.name: entry for entry in (*pod.containers, *(pod.inits if real else ()))}
    order = 0
    for where in ("initContainers", "containers"):
        listed = pod.spec.get(where, [])
        assert isinstance(listed, list)
        for spec in listed:
            container = typed.get(spec["name"])
            if container is None or not (container.runs or container.missing):
                continue
            sidecar = spec.get("restartPolicy") == "Always"
            role = "main" if where == "containers" else "sidecar" if sidecar else "init"
            yield _process(pod, cluster, container, spec, role, order)
            order += 1


def _process(
    pod: Pod, cluster: Cluster, container: Container, spec: Mapping[str, Any], role: str, order: int
) -> Process:
    variables = environment(spec, pod, cluster)
    # Kept apart, so that a Service that comes or goes restarts nobody.
    links = {} if pod.system else service_variables(pod, cluster)
    own = environment(spec, pod, cluster, links=False)
    own |= {name: value for name, value in variables.items() if name in own}
    argv = tuple(expand(word, variables) for word in (*container.command, *container.args))
    why, name = pod_why(pod), container.name
    owners = {(port.port, port.protocol): port.container for port in pod.ports}
    return Process(
        pod.netns,
        pod.namespace,
        pod.name,
        container.name,
        role,
        order,
        argv,
        tuple(own.items()),
        str(spec.get("workingDir") or "/"),
        pod.uts_name,
        str(pod.spec.get("restartPolicy", "Always")),
        grace(pod),
        container.missing,
        any(
            owners.get((entry["containerPort"], entry.get("protocol", "TCP")), name) != name
            for entry in spec.get("ports", [])
        ),
        () if role == "init" or container.missing else tuple(of_container(spec, pod, cluster)),
        links=tuple((name, value) for name, value in links.items() if name not in own),
        etc=pod.etc,
        input="tty" if spec.get("tty") else "once" if spec.get("stdinOnce") else "pipe" if spec.get("stdin") else "",
        why=Why(f"container {container.name}, {why.message}", container.mark or why.mark),
    )
