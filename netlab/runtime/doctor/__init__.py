"""What this host can do for netlab, found by trying, without a change to it: ``netlab doctor``.

``probes`` is the table of what is tried, ``modules`` says what may be tried without making the kernel load a module,
``trial`` tries in a child process with namespaces of its own and a bound of time, ``host`` reads limits and programs, and
``judge`` is pure: findings and labs in, the document out.  A new probe is a row of ``probes``.
"""
