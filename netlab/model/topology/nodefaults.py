"""What is wrong with the network of a node."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

from netlab.tuples import NamedTuple

_SHOWN = 3  # of the faults of a node in one sentence


class Part(Enum):
    """Of what an object is a part: the node's link to the others, the Pods' network, kube-proxy's rules."""

    LINK = "link"
    NETWORK = "network"
    PROXY = "proxy"


class Fault(NamedTuple):
    """An object that is missing or otherwise; ``fatal``: a device or a table is not there."""

    part: Part
    text: str
    fatal: bool = False


Faults = Mapping[str, tuple[Fault, ...]]  # by node; those without a fault are left out


def sentence(faults: tuple[Fault, ...]) -> str:
    """The faults as one text."""
    more = len(faults) - _SHOWN
    return ", ".join(fault.text for fault in faults[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
