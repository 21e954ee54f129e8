"""The condition Ready of a node, in a kubelet's and the node controller's words."""

from __future__ import annotations

from netlab.cli.kinds.kind import Item
from netlab.model.topology.nodefaults import Fault, Part, sentence

_TAINT = "node.kubernetes.io/"
_PLUGIN = (
    "container runtime network not ready: NetworkReady=false reason:NetworkPluginNotReady "
    "message:Network plugin returns error: cni plugin not initialized: "
)


def condition(faults: tuple[Fault, ...]) -> tuple[Item, str]:
    """The condition, and the key of the taint that goes with it ("" for a ready node).

    A node whose own link is broken sends nothing: its status is Unknown.  kube-proxy has no part in it.
    """
    if any(fault.part is Part.LINK for fault in faults):
        text = f"Kubelet stopped posting node status: {sentence(faults)}"
        return _ready("Unknown", "NodeStatusUnknown", text), f"{_TAINT}unreachable"
    broken = tuple(fault for fault in faults if fault.part is Part.NETWORK)
    if broken:
        return _ready("False", "KubeletNotReady", _PLUGIN + sentence(broken)), f"{_TAINT}not-ready"
    return {"type": "Ready", "status": "True"}, ""


def _ready(status: str, reason: str, message: str) -> Item:
    return {"type": "Ready", "status": status, "reason": reason, "message": message}


#: Taints that follow from a node's condition: nobody sets them.
OWN_TAINTS = (f"{_TAINT}not-ready", f"{_TAINT}unreachable")
