"""The runtime of a lab: its agent, which serves the ports of Pods, and commands inside Pods.

Theory of operation
-------------------
One agent process a lab, not one process a Pod.  A socket belongs to the network
namespace in which it was created, whatever its process does afterwards; so ``agent`` enters each namespace once, opens
the listeners there, and serves all of them from one event loop.  It is PID 1 of a PID namespace of its own.  When it
dies, by ``down`` or by kill -9, the kernel ends all processes of the lab's Pods.  The mounts of the Pods go with their
last process.  ``agentclient`` starts it, finds it (with or without the lab's run state) and talks to it.

``exec`` and ``shell`` need more than a network namespace.  The agent makes a *sandbox* for a Pod when the first
command asks for one: a process in new mount, PID, UTS and IPC namespaces which only holds them, as the pause container
does.  ``sandbox`` (this package's module) enters it and sheds the privileges; ``enter`` runs the command there, with
or without a terminal, and passes signals and the exit status on.

Limits
------
- Linux 5.8 or newer for ``exec`` (one ``setns`` by pidfd enters all namespaces at once or none).
- No cgroups: a command in a Pod can use as much CPU and memory as one outside.  The number of its processes has a bound
  from Linux 6.14 on, by its PID namespace's own pid_max: it needs no cgroup to be made, entered and removed.
- What a command may ask of the kernel is bounded by its namespaces, its capabilities and a list of system calls that it
  does not get (``agent.seccomp``: x86_64 and aarch64).
"""
