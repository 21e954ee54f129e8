"""Faults of a Pod and the link that leads to it: addresses, routes, what its containers listen on."""
