"""The lab's agent: one process that replies on the ports of every Pod and holds the Pods' sandboxes.

Theory of operation
-------------------
``python -m netlab.runtime.agent netlab-agent LAB RUNDIR`` is started by ``client.spawn`` as PID 1 of a new PID
namespace, with a mount namespace of its own and its network namespace set to the lab's.  One thread, one epoll
(``loop``).  All its input comes over ``RUNDIR/agent.sock``: newline JSON, ``"v": 2`` in each message (``control``).

Responders (``http``, ``udp``, ``sctp``; ``endpoints`` keeps the table) are plain sockets, opened inside the network
namespace of their Pod.  Each replies with a line of JSON: pod, namespace, node, address, port, protocol, container,
client, client_port.

- TCP replies to an HTTP request with HTTP/1.1, one request a connection.  A client that is silent for 200 ms
  (``nc``), or for 1.5 s while tasks wait for a CPU, gets the bare line.  A connection ends after 10 s without progress, whatever it does.
- UDP replies to every datagram, from its target address, and returns up to 64 bytes of it as ``echo``.
- SCTP uses the kernel's implementation if there is one; else ``sctp`` speaks it over a raw socket for each family and
  namespace.  That socket suppresses the kernel's ICMP "protocol unreachable", so ABORT is the reply to an INIT for a
  port without a listener.  Other packets for such ports are ignored: another program there (a prober) may own them.

Sandboxes (``sandbox``, ``view``) are made for Pods with commands; a Pod with responders alone has none.
``supervisor`` schedules the commands of manifests (``podstate`` is their state), ``launch`` starts them, and they write
their own ``logs``.  ``probes`` probes them as a kubelet does, from their node's namespace (``attempts``, ``grpc``,
``execs``), and ``statuses`` notifies the rest of the lab.

The agent opens namespaces and /etc/netns through a descriptor of the host's root directory, from before it left the
host's mount namespace.  So it sees later names, with shared mounts or without.  Its own copies of the mounts below
/run/netns are detached, so that it keeps no namespace alive.

It imports nothing of netlab but this package, ``runtime.client.sandbox`` and ``runtime.host.programs``, and only the standard
library, for a start in about 35 ms.

Limits
------
- 4,096 open TCP connections; beyond that the longest idle connection is closed.  1,024 SCTP associations.
- One reply for each TCP connection: no HTTP keep-alive, chunked replies or TLS.
- Containers of a Pod share one view of the file system and one PID namespace (as with shareProcessNamespace), so a
  command is not PID 1: SIGTERM ends a ``sleep`` at once, which in a container would ignore it.  The Pods of a node's
  own network share that node's view.
- No lifecycle hooks, volumes, securityContext, resource limits.
- ``down`` does not wait for grace periods: the agent's end is the SIGKILL of everything in the lab.
- SCTP: one address a side (no multi-homing), one outstanding reply for an association, messages up to 64 KiB.
"""

VERSION = 2
COMM = "netlab-agent"
POD_COMM = "netlab-pod"
