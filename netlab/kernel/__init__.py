"""The only writer: operations go into the kernel, and what it holds comes back as a State.

Theory of operation.  ``Kernel`` is the whole interface: ``observe`` and ``apply``.  ``LinuxKernel`` does it with
rtnetlink, a private procfs and the agent; the tests have a fake of it, a dictionary with the kernel's cascade
rules, that needs no privilege.  All of LinuxKernel's work happens in one worker thread, which moves from namespace to
namespace; sockets are made inside the namespace that they serve and stay there.

``apply`` is not a transaction: the kernel has none over namespaces.  It stops at the first refusal, and ``converge``
(in ``runtime``) observes and goes on from whatever is there, which is what makes ``kill -9`` harmless.

Limits: root in the user namespace that owns the lab's network namespaces.  One LinuxKernel serves one lab.
"""
