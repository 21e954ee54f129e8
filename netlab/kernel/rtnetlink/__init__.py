"""Links, addresses, routes, neighbours, FDB entries, rules and qdiscs as rtnetlink messages.

``socket`` sends and receives, ``requests`` writes messages, ``picture`` reads all that one namespace holds.
``inspect`` and ``linkrows`` decode with pyroute2 for people to read: an independent decoder, off the path of ``up``.
"""
