"""Services: their addresses and ports (``pools``), their backends (``slices``, ``mirror``), each node's choice (``choice``).

``resolve`` is the way in.  The resolved nouns are in ``netlab.model.cluster.services``.
"""
