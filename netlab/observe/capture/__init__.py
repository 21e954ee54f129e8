"""Any number of interfaces of any number of namespaces, as one stream of frames in true order.

Theory of operation
-------------------
A ``point`` is a namespace that is listened to: one ring
(``kernel.capture.packetring``) that hears all of its interfaces, and a netlink socket that tells when links come, go or
change their names.  ``listen.Capture`` reads all points from one loop.  The kernel stamps each frame with one clock for
all namespaces, and ``merge`` puts the frames of all rings in the order of these stamps.  A frame passes when no ring
can hold an earlier frame any more.  Frames with one stamp are one packet at two interfaces of a namespace, and stay in
the order in which the namespace saw them.

A filter (``libpcap``, ``bpf``, ``filters``) is in place before a ring hears anything, and is the kernel's work; what it
takes goes to a file as pcapng (``sinks``), or to the reader as words (``words``).

Namespaces that come later are found by watching /run/netns; those whose name has gone are let go at once, because an
open socket would keep them alive.

Limits
------
A frame that waits in the kernel's queues for more than ``merge.SLACK`` between its stamp and its ring may come after
later ones.  A ring that is full loses frames: they are counted, for each namespace.  Filters are for Ethernet.
"""

from __future__ import annotations
