"""What a fault is: what it changes, where it can be, and the probe that proves it."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from netlab.model import Cluster
from netlab.objects import State, Why
from netlab.planes import Plane
from netlab.spec import Document
from netlab.tuples import NamedTuple
from netlab.values import dataclass

#: The reason of objects that a fault adds: it does not say which, since the fault may be secret.
OPEN = Why("an open fault of this lab")

FLOW, NAME = "flow", "name"


class Control(NamedTuple):
    """A probe that shows a fault: what it observes differs with the fault and without it.

    ``kind`` is a flow, or a name that the source looks up.  ``source`` and ``target`` are selectors as those of ``netlab
    reach`` (the target of a flow may be an address, that of a name is the name), ``port`` as ``80/TCP``.
    ``size``: the bytes that must arrive.  ``watch``: what is compared: the outcome, or the server or the client that the
    reply names.  ``version``: of IP, where the ends have both.  ``broken``: what may be observed with the fault; empty:
    anything but what is observed without it.
    """

    source: str
    target: str
    port: str = ""
    kind: str = FLOW
    watch: str = "outcome"
    size: int = 0
    version: int = 0
    broken: tuple[str, ...] = ()


Objects = tuple[Document, ...]


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault.  ``id`` is its file's name with hyphens; ``source`` a public report of it, or the document that warns of it.

    ``level`` is 1 (a look at the right table shows it), 2 (a few tables, or a counter) or 3 (only packets, or comparing
    what looks right).  ``look_alikes`` are ids of faults with the same symptom.
    ``requires`` says what a lab must have, ``needs`` names capabilities of the host (fields of ``plan.Host``).
    ``planes`` is a predicate on a data plane's traits.  ``places`` are the names that ``--at`` takes: nodes, or
    ``namespace/name`` of Pods, Services and policies; of a lab without faults.
    The hooks change the documents, the cluster and the State of a lab.  They must leave alone what is no longer there.
    """

    id: str
    symptom: str
    cause: str
    level: int
    source: str
    places: Callable[[Cluster, State], Iterable[str]]
    control: Callable[[Cluster, str], Control | None]
    requires: str
    look_alikes: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    planes: Callable[[Plane], bool] = lambda _: True
    on_objects: Callable[[Objects, str], Objects] | None = None
    on_cluster: Callable[[Cluster, str], Cluster] | None = None
    on_state: Callable[[Cluster, State, str], State] | None = None

    def where(self, cluster: Cluster, state: State) -> tuple[str, ...]:
        """The places in this lab at which its control probe shows it: none in a lab of IPv6 alone."""
        if not self.planes(cluster.plane) or "IPv4" not in cluster.families:
            return ()
        return tuple(dict.fromkeys(at for at in self.places(cluster, state) if self.control(cluster, at) is not None))
