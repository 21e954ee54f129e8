"""The state of the nodes of a running lab, as their kernel has it: what of their network is missing or off.

A look reads a few objects by their names, so it costs about a millisecond a node, however many Pods it has.
"""

from __future__ import annotations

from collections.abc import Iterator

from netlab.kernel.linux import LinuxKernel
from netlab.kernel.nodelook import Sight
from netlab.model import Cluster
from netlab.model.topology.nodefaults import Fault, Faults, Part
from netlab.objects import Addr, Floor, NftTable, Obj, Sysctl
from netlab.objects.nft import NftObject
from netlab.plan.nodeparts import Parts, parts
from netlab.plan.services import TABLE
from netlab.runtime.state.rundir import RunDir
from netlab.runtime.state.running import load_meant


class Nodes:
    """Looks at the nodes of one lab."""

    def __init__(self, lab: str) -> None:
        self._rundir = RunDir(lab)
        self._parts: tuple[Cluster, dict[str, Parts]] | None = None

    def faults(self, cluster: Cluster) -> Faults | None:
        """What is wrong now; None while another command changes the lab."""
        if self._changing():
            return None
        if self._parts is None or self._parts[0] is not cluster:
            self._parts = cluster, parts(cluster)
        of = self._parts[1]
        with LinuxKernel() as kernel:
            seen = kernel.look({node.netns: [obj for part in of[node.name] for obj in part] for node in cluster.nodes})
        found: dict[str, tuple[Fault, ...]] = {}
        for node in cluster.nodes:
            sight = seen[node.netns]
            if sight is None:
                found[node.name] = (Fault(Part.LINK, f"network namespace {node.netns} is missing", fatal=True),)
            elif faults := tuple(
                fault
                for part, objects in zip(Part, of[node.name], strict=True)
                for fault in _faults(part, objects, sight)
            ):
                found[node.name] = faults
        return None if self._changing() else found

    def _changing(self) -> bool:
        return self._rundir.pending() is not None or self._rundir.unsettled()


def _faults(part: Part, wanted: tuple[Obj, ...], sight: Sight) -> Iterator[Fault]:
    lost: set[str] = set()
    for obj in wanted:
        if isinstance(obj, Sysctl):
            value = sight.sysctls.get(obj.path, obj.value)  # this kernel may not have it
            if value != obj.value:
                yield Fault(part, f"{obj.path} is {value}, not {obj.value}")
        elif isinstance(obj, NftTable):
            if (obj.family, obj.table) not in sight.tables:
                yield Fault(part, f"table {obj.place} is missing", fatal=True)
        elif isinstance(obj, Addr):
            if obj.dev not in sight.addressed | lost:
                lost.add(obj.dev)
                yield Fault(part, f"interface {obj.dev} has no address")
        elif obj.floor is Floor.LINK and not sight.links.get(obj.name):
            lost.add(obj.name)
            there = obj.name in sight.links
            yield Fault(part, f"interface {obj.name} is {'down' if there else 'missing'}", fatal=not there)


def programs(lab: str, netns: str, *, proxy: bool) -> Iterator[str]:
    """The shell lines of what netlab has on a node: of kube-proxy, or of the Pods' network."""
    meant = load_meant(lab)
    node = next(node for node in meant.cluster.nodes if node.netns == netns)
    if not proxy:
        for obj in parts(meant.cluster)[node.name].network:
            yield from () if isinstance(obj, NftObject) else obj.explain().splitlines()
    for obj in meant.want.values():
        if isinstance(obj, NftObject) and obj.netns == netns and (obj.table == TABLE) == proxy:
            yield from obj.explain().splitlines()
