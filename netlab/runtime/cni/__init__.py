"""netlab as a CNI runtime: the plugins that a Lab brings (``dataplane: {cni: DIR}``) attach its Pods.

Theory of operation.  ``draft`` reads the list of plugins beside the lab's file, after ``host.trust`` has said that the
lab may name programs.  ``up`` first converges the nodes and the Pods' namespaces; then ``attach`` runs ADD for each new
Pod, with the plugins in the node's network namespace (``plugin``), observes, and keeps the new objects in the lab's
memory, which makes them part of its desired state (``plan.adopted``).  Then ``up`` converges as for any lab.  DEL comes
before a Pod goes; CHECK, GC and STATUS come with ``up``.

A plugin sees the node's network, a read-only file system, and folders of its node in place of /run, /var/lib/cni and
/tmp.  What it starts ends with it.  It has the rights of the user who runs netlab: this is no sandbox for programs of
others, which ``host.trust`` refuses.
"""
