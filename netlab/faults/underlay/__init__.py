"""Faults of the network between the nodes: what it drops, what it is too small for, whose address it takes."""
