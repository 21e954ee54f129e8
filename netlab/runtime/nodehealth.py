"""The state of the nodes of a running lab, as their kernel has it: what of their network is missing or otherwise.

A look reads a few objects by their names, so it costs about a millisecond a node, however many Pods it has.  The rules
of a node are compared only where their generation is not that of netlab's last change.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from netlab.kernel.linux import LinuxKernel
from netlab.kernel.nftables.drift import UNTOUCHED
from netlab.model import Cluster
from netlab.model.topology.nodefaults import Fault, Faults, Part
from netlab.objects import Addr, Floor, Key, NftTable, Obj, State, Sysctl, Verb
from netlab.objects.links import End, settings
from netlab.objects.nft import NftObject
from netlab.plan import drift
from netlab.plan.nodeparts import Parts, parts
from netlab.plan.services import TABLE
from netlab.runtime.host import requirements
from netlab.runtime.state.rundir import RunDir
from netlab.runtime.state.running import load_meant


class Nodes:
    """Looks at the nodes of one lab; of rules that somebody changed it keeps what the last comparison gave."""

    def __init__(self, lab: str) -> None:
        self._lab = lab
        self._parts: tuple[Cluster, dict[str, Parts]] | None = None
        self._compared: dict[tuple[str, int, object], tuple[Fault, ...]] = {}

    def faults(self, cluster: Cluster) -> Faults | None:
        """What is wrong now; None while another command changes the lab."""
        rundir = RunDir(self._lab)
        if rundir.pending() is not None or rundir.unsettled():
            return None
        assignments = rundir.assignments()
        generations = assignments.generations
        if self._parts is None or self._parts[0] is not cluster:
            self._parts = cluster, parts(cluster, requirements.of_running(cluster))
        of = self._parts[1]
        wanted = {node.netns: (*of[node.name].own, *of[node.name].network) for node in cluster.nodes}
        with LinuxKernel() as kernel:
            seen = kernel.look(wanted)
            found: dict[str, tuple[Fault, ...]] = {}
            compared: dict[tuple[str, int, object], tuple[Fault, ...]] = {}
            for node in cluster.nodes:
                there = seen[node.netns]
                if there is None:
                    found[node.name] = (Fault(Part.LINK, f"network namespace {node.netns} is missing", fatal=True),)
                    continue
                have, count = there
                faults = [*_differing(Part.LINK, of[node.name].own, have)]
                faults += _differing(Part.NETWORK, of[node.name].network, have)
                left = generations.get(node.netns, (UNTOUCHED, ""))
                # Faults that netlab made are in the rules that it left.
                if assignments.faults or count > max(left[0], UNTOUCHED) or 0 <= count < left[0]:
                    key = node.netns, count, left
                    compared[key] = self._compared.get(key) or tuple(_rules(self._lab, node.netns, kernel))
                    faults += compared[key]
                if faults:
                    found[node.name] = tuple(faults)
        self._compared = compared
        if rundir.assignments().generations != generations or rundir.unsettled() or rundir.pending() is not None:
            return None
        return found


def _differing(part: Part, wanted: tuple[Obj, ...], have: Mapping[Key, object]) -> Iterator[Fault]:
    gone = {obj.name for obj in wanted if obj.floor is Floor.LINK and obj.key not in have}
    for obj in wanted:
        there = have.get(obj.key)
        if obj.floor is Floor.LINK:
            if text := _link(obj, there):
                yield Fault(part, f"interface {obj.name} {text}", fatal=there is None)
        elif getattr(obj, "dev", "") in gone:
            continue  # it went with its device
        elif there is None:
            yield Fault(part, f"{obj.kind} {obj.name} is missing")
        elif isinstance(obj, Sysctl) and isinstance(there, Sysctl):
            if there.value != obj.value:
                yield Fault(part, f"{obj.path} is {there.value}, not {obj.value}")
        elif there != obj and not isinstance(obj, Addr):
            yield Fault(part, f"{obj.kind} {obj.name} is another")


def _link(obj: Obj, there: object) -> str:
    if not isinstance(there, End):
        return "is missing"
    end = settings(obj)[0]
    if end.up and not there.up:
        return "is down"
    if there.mtu != end.mtu:
        return f"has MTU {there.mtu}, not {end.mtu}"
    return f"has MAC {there.mac}, not {end.mac}" if end.mac and there.mac != end.mac else ""


def _rules(lab: str, netns: str, kernel: LinuxKernel) -> Iterator[Fault]:
    """The tables of a node that differ from the lab's."""
    want = State.of({key: obj for key, obj in load_meant(lab).want.items()
                     if obj.netns == netns and obj.floor is Floor.NFT})  # fmt: skip
    seen = kernel.observe(lab, want, (netns,), rules=True)
    tables: dict[str, bool] = {}
    for op in drift(want, seen.state, want).operations:
        if isinstance(op.obj, NftObject):
            missing = isinstance(op.obj, NftTable) and op.verb is Verb.CREATE
            tables[op.obj.place] = tables.get(op.obj.place, False) or missing
    for place, missing in tables.items():
        part = Part.PROXY if place.partition(" ")[2] == TABLE else Part.NETWORK
        yield Fault(part, f"table {place} {'is missing' if missing else 'has other rules'}", fatal=missing)


def programs(lab: str, netns: str, *, proxy: bool) -> Iterator[str]:
    """The shell lines of what netlab has on a node, of kube-proxy or of the Pods' network."""
    running = load_meant(lab)
    node = next(node for node in running.cluster.nodes if node.netns == netns)
    if not proxy:
        for obj in parts(running.cluster, running.can)[node.name].network:
            yield from obj.explain().splitlines()
    for obj in running.want.values():
        if isinstance(obj, NftObject) and obj.netns == netns and (obj.table == TABLE) == proxy:
            yield from obj.explain().splitlines()
