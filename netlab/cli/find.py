"""NAME on the command line: a Pod, a node, a host outside."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from netlab.errors import BadInput
from netlab.near import near

if TYPE_CHECKING:
    from netlab.model import Cluster, Node, Pod


class Place(NamedTuple):
    """Where a command runs: the namespace, its hostname, the Pod if it is one."""

    netns: str
    hostname: str
    pod: Pod | None


def place(cluster: Cluster, name: str, namespace: str) -> Place:
    """``NAME`` or ``NAMESPACE/NAME``: a Pod in the namespace, else a node, else a host outside.

    Also kubectl's ``pod/NAME``, ``node/NAME``, and ``deploy/NAME`` and the like: the first Pod behind it.

    Raises BadInput, with what is near, where there is none, and where a Pod and another of them have the name.
    """
    kind, slash, rest = name.partition("/")
    if slash and kind in ("pod", "pods", "po"):
        return place(cluster, f"{namespace or 'default'}/{rest}", "")
    if slash and (behind := _behind(cluster, name, namespace or "default")) is not None:
        return behind
    given, slash, rest = name.partition("/")
    where, short = (given, rest) if slash else (namespace or "default", name)
    pod = next((one for one in cluster.pods if (one.namespace, one.name) == (where, short)), None)
    node = next((one for one in cluster.nodes if one.name == name), None) if not namespace else None
    host = next((one for one in cluster.external if one.name == name), None) if not namespace else None
    other = node or host
    if pod is not None and other is not None and not slash:
        what = "node" if node else "host outside"
        raise BadInput(
            f"{name} is a Pod and a {what}", hint=f"the Pod is {pod}; the {what}'s namespace is {other.netns}"
        )
    if pod is not None:
        return Place(pod.netns, pod.uts_name, pod)
    if node is not None:
        return of_node(node)
    if host is not None:
        return Place(host.netns, host.name, None)
    idle = next((one for one in cluster.idle if (one.namespace, one.name) == (where, short)), None)
    if idle is not None:
        why = f": {idle.message}" if idle.message else ""
        raise BadInput(f"Pod {idle} is {idle.phase}{why}", hint="it has no network, so nothing runs in it")
    known = [str(one) for one in cluster.pods] + [one.name for one in cluster.nodes]
    known += [one.name for one in cluster.external]
    known += [one.name for one in cluster.pods if one.namespace == where]
    meant = near(name, known) or near(short, known)
    raise BadInput(f'no Pod, node or host outside is called "{name}" in lab {cluster.lab}, namespace {where}{meant}')


def _behind(cluster: Cluster, word: str, namespace: str) -> Place | None:
    """The first Pod of a workload or Service, a node or a host outside; None where the word is none of these."""
    from netlab.oracle.endpoints import Endpoints
    from netlab.oracle.selectors import Selector

    try:
        selector = Selector.parse(word, namespace)
        if selector.kind in ("pod", "labels", "cidr"):
            return None
        known = Endpoints(cluster)
        if selector.kind == "svc":
            short, _, where = selector.name.partition(".")
            service = known.service_of.get(f"{where or namespace}/{short}")
            if service is not None and service.serving:
                return place(cluster, service.serving[0].pod, "")
            if service is not None:
                raise BadInput(f"{word} has no Pod behind it that is ready")
        end = selector.select(known)[0].end
    except ValueError as error:
        raise BadInput(str(error)) from None
    return place(cluster, end.name, "")


def of_node(node: Node) -> Place:
    """A node as a place."""
    return Place(node.netns, node.name, None)
