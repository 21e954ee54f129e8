"""Labs without root: a user namespace that holds the world of a user's labs.

Theory of operation
-------------------
``holder`` is one process a user: PID 1 of a PID namespace, in user, mount and network namespaces of its own (``world``
makes them).  Inside it the user is root, and netlab does there what it does for root.  Each command asks the holder for
a descriptor of its process, enters all four namespaces by one ``setns`` and goes on in a child (``door``): only children
enter a PID namespace.  The parent waits, and passes on signals and the exit status (``passing``).

The holder listens on an abstract socket, so nothing of it is left on a disk, and its name goes with it.  A command's
connection is open while the command runs.  The holder ends when the last connection is closed and no lab is left.  It
closes its socket before it ends, so that a command either is counted or makes a new holder.  Whoever kills the holder
kills every process in its PID namespace, and with them go the namespaces and mounts.

``causes`` has what each refusal of a host means and how its administrator lifts it.
"""
