"""The lab's agent: one process that answers on the ports of every Pod and holds the Pods' sandboxes.

Theory of operation
-------------------
``python -m netlab.runtime.agent netlab-agent LAB RUNDIR`` is started by ``agentclient.spawn`` as PID 1 of a new PID
namespace, with a mount namespace of its own and its network namespace set to the lab's.  One thread, one epoll
(``loop``).  It knows only what it is told over ``RUNDIR/agent.sock``: newline JSON, ``"v": 2`` in each message
(``control``).

Responders (``http``, ``udp``, ``sctp``; ``endpoints`` keeps the table) are plain sockets, opened inside the network
namespace of their Pod.  Each answers with one line of JSON: pod, namespace, node, address, port, protocol, container,
client, client_port.

- TCP answers an HTTP request's head with HTTP/1.1, one request a connection.  A client that stays silent for 200 ms
  (``nc``) gets the bare line.  A connection ends after 10 s without progress, whatever it does.
- UDP answers every datagram, from the address that it was sent to, and returns up to 64 bytes of it as ``echo``.
- SCTP uses the kernel's where there is one; else ``sctp`` speaks the protocol over one raw socket a family and
  namespace.  That socket silences the kernel's ICMP "protocol unreachable", so an INIT for a port without a listener
  is answered by ABORT.  Other packets for such ports are left alone: another program in that namespace (a prober) may
  own them.

Sandboxes (``sandbox``, ``view``) are made for the Pods in which something runs; a Pod that only answers has none.
Commands of manifests are run by ``supervisor`` (what should run when; ``records`` holds what is known of it), started
by ``launch``, and write their own ``logs``.  ``probes`` asks them as a kubelet does, from their node's namespace
(``attempts``, ``grpc``, ``execs``), and ``statuses`` has the rest of the lab follow what they answer.

The agent opens namespaces and /etc/netns through a descriptor of the root directory that it got before it left the
host's mount namespace, so it sees names that are made later, shared mounts or not.  Its own copies of the mounts below
/run/netns are detached, so that it keeps no namespace alive.

It imports nothing of netlab but this package, ``runtime.sandbox`` and ``runtime.programs``, and only the standard
library, for a start in about 35 ms.

Limits
------
- 4,096 open TCP connections; beyond that the one that has been quiet longest is closed.  1,024 SCTP associations.
- One answer a TCP connection: HTTP keep-alive, chunked bodies and TLS are not spoken.
- Containers of a Pod share one view of the file system and one PID namespace (as with shareProcessNamespace), so a
  command is not PID 1: SIGTERM ends a ``sleep`` at once, which in a container would ignore it.  The Pods of a node's
  own network share that node's view.
- No lifecycle hooks, volumes, securityContext, resource limits.
- ``down`` does not wait for grace periods: the agent's end is the SIGKILL of everything in the lab.
- SCTP: one address a side (no multi-homing), one outstanding answer an association, messages up to 64 KiB.
"""

VERSION = 2
COMM = "netlab-agent"
POD_COMM = "netlab-pod"
