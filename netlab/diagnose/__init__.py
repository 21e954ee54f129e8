"""Diagnosis of a traced packet: from evidence to findings.  Pure.

Theory of operation
-------------------
``observe.trace`` sends a packet and records the evidence: frames at interfaces, rules, drops in the kernel, changed
counters.  A ``records.Recording`` is plain data, also as JSON, so the diagnosis is tested without a kernel.
``sightings`` orders the evidence into events.  ``rules`` leads nftables rules back to their policy or Service.  ``annotate``
names the changes between two sightings (bridged, routed, translated, encapsulated).  ``expected`` computes the model's
path and the packet's divergence from it.  ``story`` joins all these.  ``findings`` orders the ``causes``: each finding is a
sentence with the cause, its place and commands.

In the order of a verb::

    story = tell(recording, lab.cluster, lab.want)
    found = findings(story, drift)  # drift: netlab's own diff, best of story.concerned alone; or None
    lines(story, found)             # text, from report
    document(story, found)          # JSON

Limits
------
Evidence is partial by design: any source may be missing (no BPF in a user namespace), with a reason.  No function may
take a missing source for an absence of events.
"""

from __future__ import annotations
