"""The expected path of a packet, from the desired State alone: the walk of a kernel through links, routes and neighbours."""
