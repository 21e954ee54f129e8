"""Data planes: how Pods are attached to a node, and how nodes reach each other's Pods.

Each plane is a row of traits in ``netlab.planes`` and a small pure file here, which has the row's name (``-`` is ``_``)
and sets ``PLANE``.  A file has only what differs: helpers that several planes share (the bridge of the CNI plugin
``bridge``) stand in ``cni_bridge`` and are called, not inherited.
"""

from __future__ import annotations

from importlib import import_module

from netlab.plan.dataplanes.base import Dataplane


def dataplane(name: str) -> Dataplane:
    """The data plane of that name, from its file."""
    plane: Dataplane = import_module(f"{__name__}.{name.replace('-', '_')}").PLANE
    return plane


__all__ = ["Dataplane", "dataplane"]
