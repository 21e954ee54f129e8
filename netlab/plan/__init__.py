"""The cluster becomes a desired State: what a lab should be, object by object.

Theory of operation.  ``desired`` asks four sources in turn, each a generator of objects: the namespaces and what all of
them have (``namespaces``), the underlay (``underlay``), the data plane (``dataplanes``: one small file each), what a Pod
sees of its host (``files``, listeners).  All of it is pure: the same cluster gives the same objects, with the same
names, MACs and indexes.

``drift`` tells what a lab owns from what strangers left in its namespaces; ``render`` prints operations as a table, a
shell script or JSON.

Limits: what the host cannot do is decided before, and handed in as ``Host``.
"""

from netlab.plan.desired import Host, check, desired
from netlab.plan.drift import Drift, drift

__all__ = ["Drift", "Host", "check", "desired", "drift"]
