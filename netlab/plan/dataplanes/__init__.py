"""Data planes: how Pods are attached to a node, and how nodes reach each other's Pods.

Each is one small pure file; ``ALL`` lists them, ``netlab.planes`` has their traits.  A data plane supplies only what differs: helpers that
several share (the bridge of the CNI plugin ``bridge``) stand in ``cni_bridge`` and are called, not inherited.
"""

from __future__ import annotations

from netlab.plan.dataplanes.base import Dataplane
from netlab.plan.dataplanes.bridge import BRIDGE_ONLY
from netlab.plan.dataplanes.calico_bgp import CalicoBgp
from netlab.plan.dataplanes.calico_vxlan import CalicoVxlan
from netlab.plan.dataplanes.flannel_vxlan import FlannelVxlan
from netlab.plan.dataplanes.host_gw import HOST_GW
from netlab.plan.dataplanes.kindnet import Kindnet
from netlab.plan.dataplanes.vxlan import VxlanPlane
from netlab.plan.dataplanes.weave import Weave

ALL: tuple[Dataplane, ...] = (
    BRIDGE_ONLY,
    VxlanPlane(),
    HOST_GW,
    FlannelVxlan(),
    CalicoBgp(),
    CalicoVxlan(),
    Kindnet(),
    Weave(),
)


def dataplane(name: str) -> Dataplane:
    """The data plane of that name."""
    return next(plane for plane in ALL if plane.name == name)


__all__ = ["ALL", "Dataplane", "dataplane"]
