"""The Kubernetes API of a running lab, for kubectl, Helm and every other client: ``python -m netlab.api LAB``.

Theory of operation.  One process a lab; it ends with the lab.  ``lab`` reads the lab as API objects, by the kinds that
``netlab get`` prints, in a worker thread.  ``objects`` holds them in memory, numbers their changes (resourceVersion) and
tells the watchers; only the event loop touches it.  ``write`` turns a request into ``runtime.lab.change``, the way in
that ``netlab apply`` takes; objects that have no effect in a network are kept beside the lab (``kept``).  ``rest``
answers requests; ``streams`` carries exec, attach and port-forward; ``server`` puts all together.
"""
