"""This host outside netlink: network namespaces, procfs, files, ioctls, limits, and the features of its kernel."""
