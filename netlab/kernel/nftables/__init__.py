"""The ruleset of each network namespace: transactions, drift, counters, trace events, connection tracking.

``compile`` turns rules into netlink messages; what it does not know goes to libnftables as text (``libnft``).
"""
