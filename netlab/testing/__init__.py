"""Policy tests without a lab file: manifests in, verdicts out (``netlab test``, and the pytest plugin).

Theory of operation.  ``prepared`` makes a set of manifests ready: ``ground`` writes the default lab's document, and
``standins`` Pods for those that policies speak of and that are not there; ``questions`` lists the flows.  ``result`` lays
expectations, predictions and packets side by side, as ``check`` does.  ``access``, ``failures``, ``against`` and
``report`` say what came of it, in the names of ``workloads``; ``record`` and ``formats`` write files.

Everything here is pure: it runs without privilege and without Linux.  ``netlab.testrun`` sends the packets.
"""
