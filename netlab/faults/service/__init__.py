"""Faults of Services: selectors, ports, backends, policies of traffic, rules that are stale or foreign."""
