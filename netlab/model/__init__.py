"""Documents become a cluster: every default filled in, every name found, every address given.

Theory of operation.  ``build`` takes what ``spec`` read and what is remembered of a running lab, and returns a frozen
Cluster, or every problem that it found.  The steps: nodes (``nodes``), Pods from workload templates (``workloads``),
their placement and addresses (``ipam``), the ports that somebody answers on (``ports``), Services (``services``).

Everything is a function of the documents and the memory: the same lab gets the same names, addresses and MACs on every
machine.  A running lab keeps what it has (``Memory``); new Pods get the lowest free addresses.

Limits: Pods that a controller would make later (a CronJob's next run, an operator's) are not there; a CronJob has one.
"""

from netlab.model.build import Built, build
from netlab.model.cluster import (
    Address,
    Cluster,
    Container,
    External,
    Interface,
    Network,
    Node,
    Pod,
    Port,
    Rack,
    Underlay,
)
from netlab.model.topology.memory import Memory

__all__ = [
    "Address",
    "Built",
    "Cluster",
    "Container",
    "External",
    "Interface",
    "Memory",
    "Network",
    "Node",
    "Pod",
    "Port",
    "Rack",
    "Underlay",
    "build",
]
