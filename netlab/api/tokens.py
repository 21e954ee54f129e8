"""Tokens of service accounts: random, of this server's life alone, and as good as the client certificate."""

from __future__ import annotations

import hmac
import secrets
import time

from netlab.cli.kinds.kind import Item
from netlab.cli.kinds.times import stamp

_SECONDS = 3600
_PREFIX = "Bearer "


class Tokens:
    """The tokens that were given out."""

    def __init__(self) -> None:
        self._ends: dict[str, float] = {}

    def request(self, body: Item) -> Item:
        """The answer to a TokenRequest."""
        wanted = (body.get("spec") or {}).get("expirationSeconds")
        seconds = wanted if isinstance(wanted, int) and wanted > 0 else _SECONDS
        token = secrets.token_urlsafe(32)
        self._ends[token] = time.monotonic() + seconds
        status = {"token": token, "expirationTimestamp": stamp(time.time() + seconds)}
        spec = {"audiences": [], "expirationSeconds": seconds, **(body.get("spec") or {})}
        return {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "metadata": {}, "spec": spec, "status": status}  # fmt: skip

    def good(self, authorization: str) -> bool:
        """Whether a request's Authorization header has a token that still counts."""
        if not authorization.startswith(_PREFIX):
            return False
        given = authorization.removeprefix(_PREFIX).encode()
        now = time.monotonic()
        return any(hmac.compare_digest(given, each.encode()) and now < end for each, end in self._ends.items())
