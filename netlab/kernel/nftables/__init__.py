"""The ruleset of each network namespace: transactions, drift, counters, trace events, connection tracking.

``compile`` turns rules into netlink messages. Statements that it does not support go to libnftables as text
(``libnft``).
"""
