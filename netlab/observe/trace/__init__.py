"""Follow one packet: send it from its client's namespace, and record its events in the kernel.

Three sources are read in one process and one loop: AF_PACKET sockets (``kernel.capture.afpacket``), trace events of
nftables (``kernel.nftables.trace``) and drops (``kernel.ebpf.drops``). ``mark`` distinguishes the packet from all
others. ``probes`` sends it. ``sources`` opens and closes the sources. ``record`` is the loop, and makes an
``evidence.records.Recording``. All later results are pure functions of this recording.

Limits: one packet or one connection, never all traffic: the trace events of 13,000 rules fill the buffer.
"""
