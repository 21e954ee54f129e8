"""The control probe of a fault: what a flow or a name of it gives, by real packets."""

from __future__ import annotations

from netlab.errors import StateError
from netlab.faults.fault import NAME, Control
from netlab.faults.places import flow_of, pod_of
from netlab.model import Cluster
from netlab.observe.lookup import lookup
from netlab.observe.probe import Prober
from netlab.oracle.flow import Outcome


def observed(cluster: Cluster, control: Control) -> str:
    """What the probe of a fault observes: an outcome, or the name or address that its ``watch`` asks for.

    ``cluster`` is the lab without faults, whose names and addresses the probe means.
    """
    if control.kind == NAME:
        pod = pod_of(cluster, control.source)
        if pod is None:
            raise StateError(f"there is no Pod {control.source}")
        found = lookup(cluster, pod, control.target)
        return ", ".join(found.addresses) or "no address"
    verdict = Prober(cluster).answer([flow := flow_of(cluster, control)])[flow]
    if control.watch == "outcome" or verdict.outcome is not Outcome.OPEN:
        return str(verdict.outcome)
    return str(verdict.client if control.watch == "client" else verdict.server)


def bites(control: Control, before: str, after: str) -> bool:
    """Whether what the probe observes now shows the fault."""
    return after != before and (not control.broken or after in control.broken)
