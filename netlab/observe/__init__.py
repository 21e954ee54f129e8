"""Looking at the running lab with real packets, changing nothing that stays.

Theory of operation
-------------------
``probe.Prober`` answers flows by real connections, all of them from one thread
of one process.  A socket belongs to the network namespace in which it was created.  So the thread enters a source's
namespace, opens the sockets of some of its flows, and goes on to the next.  A single epoll then reports events of all
sockets, whatever their namespace.  The thread is a worker's, so the caller's own namespace never changes.

An attempt (``tcp``, ``udp``, ``sctp``) is one socket that asks one flow once.  It ends with an answer, an error that
the kernel reports (``errors``), or silence; silence is asked a second time with more patience.  Who answered is read
from the responder's line (``answers``).

Same-node pairs on a bridge would fill the kernel's neighbour table, which is one for all namespaces of the machine;
``neighbours`` decides which static entries exist while a source is probed.

Limits
------
At most 1,000 flows wait for their first 50 ms at a time, and 64 at one port, so that no backlog overflows.  A UDP
server that does not answer a datagram of seven bytes is indistinguishable from a dropped datagram.
"""

from __future__ import annotations
