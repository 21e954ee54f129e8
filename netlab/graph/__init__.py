"""A lab's topology as one document, from which each picture is made.

``topology.graph`` makes the document of a cluster and its desired state.  No data plane is named here: devices, tunnels
and routes are those of the state.  ``formats`` has a module for each output format.
"""
