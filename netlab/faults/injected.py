"""An open fault as the run state has it."""

from __future__ import annotations

from netlab.tuples import NamedTuple


class Injected(NamedTuple):
    """An open fault: its id and its place.  ``secret``: nothing tells it until it is healed, but ``diff --reveal``."""

    fault: str
    at: str
    secret: bool = False
