"""One machine's part of a lab that is spread over several: its nodes with their Pods, and the cut through the underlay.

Every machine resolves the whole lab from the same texts and builds its own share.  The underlay's bridge is on each of
them; the stitch joins the bridges.  The first machine is home: it has the router and the hosts outside.  The bridges
elsewhere have MAC addresses of their own, since a bridge takes up what is for its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from netlab import names
from netlab.errors import BadInput
from netlab.model import Cluster
from netlab.model.status import runs
from netlab.objects import Addr, Bridge, Fdb, Neigh, Obj, Port, Route, State, Stitch, Why
from netlab.plan.underlay import BRIDGE, addrgen
from netlab.values import dataclass

STITCH, PORT = "stitch0", 14789
_INDEX = 59999
_FLOOD = "00:00:00:00:00:00"
_BRIDGES, _STITCHES = 200, 100  # serials of MAC addresses: no rack or host outside has them
OVERHEAD = {4: 50, 6: 70}  # bytes of VXLAN and what is outside of it, by the family of the machines' addresses


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine's name, its address for the others, and the names of its nodes."""

    name: str
    address: str
    nodes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Share:
    """``here`` is the machine whose share it is; ``machines`` are all, home first; ``vni`` and ``port`` are the cut's."""

    here: str
    machines: tuple[Machine, ...]
    vni: int
    port: int = PORT

    @property
    def home(self) -> str:
        return self.machines[0].name

    @property
    def own(self) -> Machine:
        return next(machine for machine in self.machines if machine.name == self.here)

    def place(self, cluster: Cluster) -> dict[str, str]:
        """The machine of each namespace; the underlay's is on all of them and not in it."""
        node = {each: machine.name for machine in self.machines for each in machine.nodes}
        at = {each.netns: node[each.name] for each in cluster.nodes}
        at |= {pod.netns: node[pod.node] for pod in cluster.pods}
        return at | {host.netns: self.home for host in cluster.external}


def require(share: Share, cluster: Cluster) -> None:
    """Raises BadInput for a lab that shares cannot be made of, and where a node is on no machine, or on two."""
    if share.here not in [machine.name for machine in share.machines]:
        listed = ", ".join(machine.name for machine in share.machines)
        raise BadInput(f"no machine is called {share.here}: there are {listed}", hint="--machine NAME")
    if cluster.underlay.racks:
        raise BadInput("a lab with racks cannot be spread over machines")
    if cluster.attachments:
        raise BadInput("a lab whose Pods are attached by CNI plugins cannot be spread over machines")
    if cluster.folder:
        raise BadInput("a lab with agents on its nodes cannot be spread over machines: its API would be one machine's")
    if cluster.impairments or cluster.underlay.drop_foreign_sources:
        raise BadInput("a lab with impaired links, or with a spoof guard, cannot be spread over machines")
    if running := [str(pod) for pod in cluster.own_pods if runs(pod)]:
        raise BadInput(
            f"Pods that run commands cannot be spread over machines: {', '.join(running[:3])}"
            f"{' ...' if len(running) > 3 else ''}; no machine knows which of another one's are ready",
            hint="containers: respond, in the Lab's spec, has netlab answer in their place",
        )
    if cluster.dns:
        raise BadInput(
            "a lab with a DNS server cannot be spread over machines: the server would be on one of them",
            hint="dns: off, in the Lab's spec; Services then have addresses and no names",
        )
    placed = [node for machine in share.machines for node in machine.nodes]
    there = [node.name for node in cluster.nodes]
    twice = sorted({node for node in placed if placed.count(node) > 1})
    for problem, wrong in (
        ("on no machine", [node for node in there if node not in placed]),
        ("on two machines", twice),
        ("not in the lab", [node for node in placed if node not in there]),
    ):
        if wrong:
            raise BadInput(f"lab {cluster.lab}: {problem}: {', '.join(wrong)}")


def part(want: State, cluster: Cluster, share: Share) -> State:
    """The objects of this machine, with its end of the cut."""
    at, under = share.place(cluster), cluster.underlay.netns
    ports = {names.port_name(node.name): at[node.netns] for node in cluster.nodes}
    ports |= {names.port_name(host.name): share.home for host in cluster.external}
    router = share.here == share.home

    def mine(obj: Obj) -> bool:
        if obj.netns != under:
            return at[obj.netns] == share.here
        dev = getattr(obj, "dev", "") or getattr(obj, "link", "")
        if dev in ports:
            return ports[dev] == share.here
        return router or not isinstance(obj, (Addr, Route, Neigh))

    def own(obj: Obj) -> Obj:
        if isinstance(obj, Bridge) and obj.netns == under and not router:
            return replace(obj, mac=names.mac(names.UNDERLAY, 0, _BRIDGES + _number(share, share.here)))
        return obj

    return State([*(own(obj) for obj in want.values() if mine(obj)), *stitch(cluster, share)])


def stitch(cluster: Cluster, share: Share) -> Iterator[Obj]:
    """This machine's end of the cut.  Its entries are static: each node's MAC, the router's, and the flooding."""
    under, why = cluster.underlay, Why("the nodes on other machines")
    mac = names.mac(names.UNDERLAY, 0, _STITCHES + _number(share, share.here))
    common = (under.netns, STITCH, mac, under.mtu, _INDEX, addrgen(cluster), cluster.offload)
    yield Stitch(*common, vni=share.vni, local=share.own.address, port=share.port, why=why)
    yield Port(under.netns, STITCH, BRIDGE, why=why)
    macs = {node.name: node.mac for node in cluster.nodes}
    for machine in share.machines:
        if machine.name == share.here:
            continue
        there: Iterable[str] = (_FLOOD, *(macs[node] for node in machine.nodes))
        for each in (*there, *((under.mac,) if machine.name == share.home else ())):
            yield Fdb(under.netns, STITCH, each, machine.address, why=why)


def _number(share: Share, name: str) -> int:
    return [machine.name for machine in share.machines].index(name) + 1
