"""Data planes: how Pods are attached to a node, and how nodes reach each other's Pods.

Each plane is a row of traits in ``netlab.planes``.  A plane whose Pods share a bridge and whose packets are not
encapsulated needs no more: ``cni_bridge.Plain`` builds it from the row.  Any other plane is also a small pure file here,
which has the row's name (``-`` is ``_``) and sets ``PLANE``.  Helpers that several planes share stand in ``cni_bridge``
and are called, not inherited.
"""

from __future__ import annotations

from importlib import import_module

from netlab.model import Cluster
from netlab.plan.dataplanes.base import Dataplane
from netlab.plan.dataplanes.cni_bridge import Plain
from netlab.planes import ROWS


def dataplane(name: str) -> Dataplane:
    """The data plane of that name: of its file, or of its row alone."""
    module = f"{__name__}.{name.replace('-', '_')}"
    try:
        plane: Dataplane = import_module(module).PLANE
    except ModuleNotFoundError as missing:
        row = ROWS[name]
        if missing.name != module or row.encapsulates or not row.bridge:
            raise
        return Plain()
    return plane


def of_cluster(cluster: Cluster) -> Dataplane:
    """The data plane of a lab: netlab's of that name, or what one of the user's made."""
    if cluster.recorded:
        from netlab.plan.dataplanes.recorded import Recorded

        return Recorded(cluster.recorded)
    return dataplane(cluster.dataplane)


__all__ = ["Dataplane", "dataplane", "of_cluster"]
