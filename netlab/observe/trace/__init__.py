"""One packet, followed: a real one is sent from its client's namespace, and what the kernel shows of it is recorded.

Three sources, in one process and one loop: AF_PACKET sockets (``kernel.capture.afpacket``), nftables' trace events
(``kernel.nftables.trace``), drops (``kernel.ebpf.drops``).  ``mark`` says how the packet is told from all others, in the three
languages that are needed; ``probes`` sends it; ``sources`` opens and closes; ``record`` is the loop, and makes a
``evidence.records.Recording``, which everything that is made of it afterwards is a pure function of.

Limits: one packet or one connection, never all traffic: the trace events of 13,000 rules fill the buffer.
"""
