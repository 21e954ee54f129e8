"""``bridge``: cni0 alone. Pods of one node reach each other; no node has a route to the Pods of another node."""

from __future__ import annotations

from netlab.plan.dataplanes.base import Dataplane
from netlab.plan.dataplanes.cni_bridge import Plain

PLANE: Dataplane = Plain(lambda _here, _there: ())
