"""A data plane of the user's: what its module made, read back; and made, where the module may run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from netlab.errors import BadInput
from netlab.model import Cluster, Node, Pod
from netlab.model.recordedplane import RecordedPlane
from netlab.objects import Obj, Why
from netlab.plan.adopted import dumped, loaded
from netlab.plan.dataplanes.base import Dataplane
from netlab.plan.dataplanes.far import Far
from netlab.plan.why import node_why, pair_why, pod_why


def _of_node(here: Node) -> str:
    return f"node {here.name} {here.addresses[0]}"


def _of_pod(pod: Pod, here: Node) -> str:
    return f"pod {pod} on {here.name} {pod.addresses[0]} {pod.mac}"


def _of_pair(here: Node, there: Node) -> str:
    return f"reach {_of_node(here)} {_of_node(there)}"


def made(plane: Dataplane, cluster: Cluster) -> dict[str, list[str]]:
    """All objects of a lab, by what they are for."""
    nodes = {node.name: node for node in cluster.nodes}
    objects = {_of_node(node): plane.node(node, cluster) for node in cluster.nodes}
    for pod in cluster.pods:
        if not pod.host_network:
            objects[_of_pod(pod, nodes[pod.node])] = plane.attach(pod, nodes[pod.node], cluster)
    far = [Far(node, cluster) for node in cluster.nodes]
    for here in cluster.nodes:
        for there in far:
            if there.node is not here:
                objects[_of_pair(here, there.node)] = plane.reach(here, there, cluster)
    return {key: list(map(dumped, each)) for key, each in objects.items()}


class Recorded:
    """The three functions of a plane, from a record.  Raises BadInput for what was not there when the module ran."""

    def __init__(self, record: RecordedPlane) -> None:
        self._record = record

    def node(self, here: Node, cluster: Cluster) -> Iterable[Obj]:
        """The objects of a node."""
        return self._objects(_of_node(here), node_why(here))

    def attach(self, pod: Pod, here: Node, cluster: Cluster) -> Iterable[Obj]:
        """The objects of a Pod."""
        return self._objects(_of_pod(pod, here), pod_why(pod))

    def reach(self, here: Node, there: Far, cluster: Cluster) -> Iterable[Obj]:
        """The objects with which a node reaches the Pods of another."""
        return self._objects(_of_pair(here, there.node), pair_why(here, there.node))

    def _objects(self, key: str, why: Why) -> Iterator[Obj]:
        try:
            texts = self._record.objects[key]
        except KeyError:
            kind, name = key.split(" ")[:2]
            message = f"the data plane of {self._record.file} has not run for {kind} {name}"
            raise BadInput(message, hint="only netlab up, apply, label and delete run a data plane's module") from None
        file = self._record.file.rpartition("/")[2]
        for text in texts:
            obj = loaded(text)
            object.__setattr__(obj, "why", Why(f"{why.message}, by {file}", why.mark))
            yield obj
