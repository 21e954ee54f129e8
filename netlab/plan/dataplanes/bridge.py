"""``bridge``: cni0 and nothing else.  Pods of one node reach each other; no node knows the way to another's Pods."""

from __future__ import annotations

from netlab.plan.dataplanes.base import Dataplane
from netlab.plan.dataplanes.cni_bridge import Plain

PLANE: Dataplane = Plain(lambda _here, _there: ())
