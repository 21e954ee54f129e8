"""A set of manifests tested on a lab of its own: up, check, down.

The lab's name tells which process made it, so that the next run removes what a killed one left.  Nothing of a set is ever
executed: the responder serves all ports.
"""
