"""Frames as they pass the interfaces of a namespace: AF_PACKET sockets, their rings and their filters."""
