"""The only writer: it applies operations to the kernel, and reads the kernel's contents as a State.

Theory of operation. ``Kernel`` is the whole interface: ``observe`` and ``apply``. ``LinuxKernel`` implements it with
rtnetlink, a private procfs and the agent. The tests have a fake that needs no privilege: a dictionary with the kernel's
cascade rules. LinuxKernel works in one worker thread, which moves from namespace to namespace. A socket is made inside
the namespace that it serves, and stays there.

``apply`` is not a transaction: the kernel has none over namespaces. It stops at the first refusal. ``converge`` (in
``runtime``) then observes again and continues from the present state, so ``kill -9`` does no harm.

Limits: root in the user namespace that owns the lab's network namespaces. One LinuxKernel serves one lab.
"""
