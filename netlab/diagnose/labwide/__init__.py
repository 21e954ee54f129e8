"""Diagnosis of a whole lab: from probed flows, drift and a few traces to ranked causes.  Pure.

Theory of operation
-------------------
The kernel is compared with what the documents alone ask for.  ``suspects`` folds the deviations: what hangs on a link
that is gone belongs to that link.  ``blame`` walks the expected paths of the broken flows and tells which suspect each
of them needed.  ``fold`` has a broken flow traced, takes the best finding, and goes on with the flows that this cause
does not explain.  ``manifests`` has the mistakes that the objects themselves show.  ``choose`` bounds the probed flows.

Limits
------
A flow that no cause explains is a cause of its own, with the place where its packet was last seen: nothing broken is
left out.  The diagnosis reads no record of injected faults.
"""

from __future__ import annotations
