"""Faults of the way to other nodes' Pods: tunnels, their neighbours and forwarding entries, routes between nodes."""
