"""Links, addresses, routes, neighbours, FDB entries, rules and qdiscs as rtnetlink messages.

``socket`` sends and receives, ``values`` packs.  Each noun has a module with its codec, and ``codecs`` is the table of them; each kind of
link has one too.  ``dump`` reads the contents of one namespace.
``inspect`` and ``linkrows`` decode with pyroute2 for people to read: an independent decoder, off the path of ``up``.
"""
