"""Faults inside a node: forwarding, filters, rules of other programs, sysctls, the bridge and its ports."""
