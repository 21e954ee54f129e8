"""``host-gw``: cni0, and a route by the other node's address for each of its Pod CIDRs (flannel's backend of that name).

No encapsulation: the nodes must share a segment, since the other node is the next hop.
"""

from __future__ import annotations

from netlab.plan.dataplanes.base import Dataplane
from netlab.plan.dataplanes.cni_bridge import Plain, routes_by_address

PLANE: Dataplane = Plain(routes_by_address)
