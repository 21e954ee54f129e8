"""What became of a packet, and why: from evidence to findings.  Pure.

Theory of operation
-------------------
``observe.trace`` sends one packet and records what every source saw of it: frames at interfaces, rules that judged it,
drops in the kernel, counters that moved.  Such a ``records.Recording`` is plain data, also as JSON, so everything after
it can be tested without a kernel.  ``correlate`` puts its pieces in the order in which the packet met them, names what
happened between two sightings (bridged, routed, translated, wrapped) and leads rules back to the policy or Service that
they came from; ``expect`` says which way the model would have the packet go, and where it left it; ``findings`` says in
one sentence what is wrong, where, and what to look at.

In the order of a verb::

    story = story.tell(recording, lab.cluster, lab.want)
    told = findings.findings(story, drift)  # drift: netlab's own diff, best of story.concerned alone; or None
    report.lines(story, told)               # text
    document.document(story, told)          # JSON

Limits
------
Evidence is partial on purpose: every source may be missing (no BPF in a user namespace), and each says so.  Nothing here
may take a missing source for silence.
"""

from __future__ import annotations
