"""Pictures of a lab: its topology, a packet's walk on it, a table of flows, the bytes of a frame.

A picture is a function of documents (``netlab.output``): the same document gives the same bytes on every machine.  ``layout``
makes a ``Scene`` of a ``Graph``; ``walk`` draws a ``Trace`` on it; ``matrix`` and ``bytemap`` make scenes of their own.
``svg`` turns a scene into text.  A scene carries its text twin.

No font is at hand: ``metrics`` has the advances of Inter, and pictures name fonts of the same widths behind it.
"""
