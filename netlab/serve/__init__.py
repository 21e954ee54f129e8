"""A lab as a live page in a browser: its picture, what differs from the lab, traces and flows by real packets.

The page is a second listener of the lab's server process (``netlab.api``).  It asks nothing itself: a request runs a verb
of netlab in a child, and draws the verb's document (``netlab.picture``).  ``netlab serve`` hands the listening socket over
(``control``); the page ends with that command, with ``netlab serve --stop``, and with the lab.

``guard`` decides who may come in; ``watch`` hears changes of the kernel; ``page`` has the paths; ``static`` is the front end.
``shared`` has what the parts of the page share: each view has a module here and one in ``static``, which ``frame.js`` joins.
"""
