"""NAME on the command line as a network namespace: the words of ``oracle.selectors``, where a command can run."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from netlab.errors import BadInput
from netlab.tuples import NamedTuple

if TYPE_CHECKING:
    from netlab.model import Cluster, Pod
    from netlab.oracle.endpoints import Endpoints
    from netlab.oracle.flow import Endpoint
    from netlab.oracle.selectors import Selector


class Place(NamedTuple):
    """A place where a command runs: a network namespace, its hostname, and its Pod if it has one."""

    netns: str
    hostname: str
    pod: Pod | None = None


def place(cluster: Cluster, name: str, namespace: str) -> Place:
    """The first of ``places``: of a workload or Service its first Pod."""
    return places(cluster, name, namespace)[0]


def places(cluster: Cluster, name: str, namespace: str) -> list[Place]:
    """The places that a word means.

    Raises BadInput where there is none, and where a Pod and a node or a host outside have the same name.
    """
    from netlab.model.workloads import systempods
    from netlab.oracle.endpoints import Endpoints
    from netlab.oracle.selectors import Selector

    space, _, word = name.removeprefix("pod/").rpartition("/")
    if system := systempods.find(cluster, space or namespace, word):
        return [Place(system.netns, system.uts_name, system)]
    endpoints = Endpoints(cluster)
    try:
        selector = Selector.parse(name, namespace or "default")
        ends = [each.end for each in selector.select(endpoints)]
    except ValueError as error:
        raise BadInput(str(error)) from None
    if not namespace and "/" not in name:
        _refuse_two(endpoints, selector)
    targets = [target for end in ends for target in _of(endpoints, end)]
    if not targets:
        raise BadInput(f"{name} has no network namespace: no Pod behind it serves, and no host of the lab has it")
    return targets


def _refuse_two(endpoints: Endpoints, selector: Selector) -> None:
    """A word that is the name of a Pod and of a node or a host outside is refused."""
    pod = endpoints.pods.get(f"{selector.namespace}/{selector.name}")
    for kind, others in (("node", endpoints.nodes), ("external", endpoints.external)):
        if selector.kind == "name" and pod and selector.name in others:
            noun = "node" if kind == "node" else "host outside"
            hint = f"pod/{selector.name} is the Pod, {kind}/{selector.name} the {noun}"
            raise BadInput(f"{selector.name} is a Pod and a {noun}", hint=hint)


def _of(endpoints: Endpoints, end: Endpoint) -> Iterator[Place]:
    """An end's namespace; of a Service those of the Pods that serve."""
    if service := endpoints.service_of.get(end.name) if end.kind == "service" else None:
        names = dict.fromkeys(backend.pod for backend in service.serving)
        pods = [endpoints.pod_of[name] for name in names if name in endpoints.pod_of]
    else:
        pods = [endpoints.pod_of[end.name]] if end.kind == "pod" else []
    yield from (Place(pod.netns, pod.uts_name, pod) for pod in pods)
    if not pods and end.netns:
        yield Place(end.netns, end.name)
