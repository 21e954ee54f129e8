"""Faults of NetworkPolicies: rules that select nothing, too much or the wrong port, and what nobody enforces."""
