"""A lab with its open faults, and a new one that a user names."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from netlab.errors import BadInput, HostCannot
from netlab.faults.catalogue import fault
from netlab.faults.fault import Fault, Objects
from netlab.faults.injected import Injected
from netlab.model import Cluster
from netlab.near import near
from netlab.objects import State
from netlab.plan import Host
from netlab.tuples import NamedTuple

_LOADS = {"br_netfilter": "modprobe br_netfilter", "netem": "modprobe sch_netem"}


class Plain(NamedTuple):
    """A lab without faults, and what its host can do."""

    cluster: Cluster
    state: State
    host: Host


def objects_with(faults: Iterable[Injected], objects: Objects) -> Objects:
    """The documents of a lab with these faults."""
    for known, at in _each(faults):
        if known.on_objects:
            objects = known.on_objects(objects, at)
    return objects


def cluster_with(faults: Iterable[Injected], cluster: Cluster) -> Cluster:
    """The cluster with these faults."""
    for known, at in _each(faults):
        if known.on_cluster:
            cluster = known.on_cluster(cluster, at)
    return cluster


def state_with(faults: Iterable[Injected], cluster: Cluster, state: State) -> State:
    """The State with these faults; one whose place is gone changes nothing."""
    for known, at in _each(faults):
        if known.on_state and "IPv4" in cluster.families and at in known.places(cluster, state):
            state = known.on_state(cluster, state, at)
    return state


def _each(faults: Iterable[Injected]) -> list[tuple[Fault, str]]:
    """The faults and their places, each once: a secret one may be there another time."""
    there = dict.fromkeys((each.fault, each.at) for each in faults)
    return [(known, at) for id_, at in there if (known := _known(id_))]


def in_documents(faults: Iterable[Injected]) -> tuple[Injected, ...]:
    """Those of the faults that are mistakes in what the lab was told, and not of what a node has."""
    return tuple(each for each in faults if (known := _known(each.fault)) and not known.on_state)


def _known(id_: str) -> Fault | None:
    """The fault; None where the run state names one that this netlab does not have."""
    try:
        return fault(id_)
    except BadInput:
        return None


def placed(id_: str, at: str, plain: Plain, open_faults: Collection[Injected]) -> Injected:
    """The fault that a user means; the first place where it can be if ``at`` is empty.

    Raises BadInput where it cannot be there or is open there already, HostCannot where this kernel cannot show it.
    """
    wanted = fault(id_)
    for need in wanted.needs:
        if not getattr(plain.host, need):
            raise HostCannot(f"fault {id_} needs {need}, which this kernel lacks", hint=_LOADS.get(need, ""))
    lab = plain.cluster.lab
    places = wanted.where(plain.cluster, plain.state)
    if not places:
        plane = plain.cluster.plane
        why = f"data plane {plane.name} cannot have it" if not wanted.planes(plane) else f"it needs {wanted.requires}"
        raise BadInput(f"fault {id_} has no place in lab {lab}: {why}", hint="netlab break --list")
    taken = {(each.fault, each.at) for each in open_faults if not each.secret}
    if not at:
        at = next((place for place in places if (id_, place) not in taken), places[0])
    if at not in places:
        named = [place for place in places if place.rpartition("/")[2] == at]
        if len(named) != 1:
            guess = near(at, places)
            raise BadInput(f"fault {id_} cannot be at {at}{guess}; in lab {lab} it can be at {', '.join(places)}")
        (at,) = named
    if (id_, at) in taken:
        raise BadInput(f"fault {id_} is open at {at} already", hint=f"netlab heal {lab} {id_}")
    return Injected(id_, at)
