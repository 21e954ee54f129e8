"""Faults of Pod networks as real clusters have them: pure changes of a lab's documents, its cluster or its State.

A fault has a file in one of the packages here (``underlay``, ``overlay``, ``node``, ``pod``, ``service``, ``dns``,
``policy``), and is found by listing them.  An open fault is a name and a place in the run state of the lab.  It is applied
whenever the lab is resolved, between what its files say and what the kernel gets.  So ``diff``, ``up``, ``apply`` and the
predictions know it, faults compose, and healing is to resolve the lab without it: no fault has undo code.

A mistake in a manifest changes the documents, so that ``get`` and ``explain`` show it.  A mistake of a node changes the
State: what would be drift on a real node (a route that is gone, a dead process) is what the broken lab should have.

Limits: labs of IPv6 alone have no faults.  No fault changes what is the host's own (``nf_conntrack_max``, the size of the
neighbour table), and none needs luck (the insertion race of conntrack).
"""
