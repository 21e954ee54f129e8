"""How a sender resolved a name: a part of the documents of ``trace`` and ``check``."""

from __future__ import annotations

from typing import Literal

from netlab.plain import document


@document
class Query:
    """A question to a name server.

    ``outcome``: found, nodata, nxdomain, servfail, refused (by the server), closed (no process listens), unreachable,
    silent, garbled, or invalid (no name of DNS, so it was not sent).
    """

    name: str
    type: str
    server: str
    outcome: str
    addresses: tuple[str, ...]
    aliases: tuple[str, ...]
    elapsed_us: float


@document
class Lookup:
    """How the sender resolved a name; ``server`` answered, null if none did or the hosts file has it."""

    name: str
    by: Literal["hosts", "dns"]
    file: str
    servers: tuple[str, ...]
    searches: tuple[str, ...]
    addresses: tuple[str, ...]
    server: str | None
    queries: tuple[Query, ...]
