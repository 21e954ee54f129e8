"""Who may talk to the page: whoever has its token once, then the browser that has the cookie; under the page's own names.

Any web site that the user visits can send requests to 127.0.0.1, and any user of the machine can connect to its ports.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Awaitable, Callable

from aiohttp import web

# No script, style or connection of any other place, no frame, and no string that becomes a script.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types netlab"
)
HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_NAMES = ("127.0.0.1", "localhost", "[::1]")

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Guard:
    """The guard of one listener; ``token`` is good for one visit, ``hosts`` are further names of the page.

    ``secure``: the page speaks TLS.
    """

    def __init__(self, port: int, hosts: tuple[str, ...] = (), *, secure: bool = False) -> None:
        self.token = secrets.token_urlsafe(24)
        self._used, self._secure = False, secure
        self._scheme = "https" if secure else "http"
        self._session = secrets.token_urlsafe(24)
        self._hosts = frozenset((*_NAMES, *hosts))
        self._cookie = f"netlab-page-{port}"  # cookies know no ports

    @web.middleware
    async def check(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Answer a request, or refuse it."""
        refused = self._refusal(request)
        known = getattr(request.protocol, "known", None)
        if refused is None and known is not None:
            known.set()  # no stranger: the connection may stay
        response = refused or await handler(request)
        if not response.prepared:
            response.headers.update(HEADERS)
        return response

    def _refusal(self, request: web.Request) -> web.Response | None:
        host = request.headers.get("Host", "")
        if _name(host) not in self._hosts:
            return _plain(421, "this page answers under its own names only; netlab serve --host NAME adds one")
        origin = request.headers.get("Origin")
        if origin is not None and origin != f"{self._scheme}://{host}":
            return _plain(403, "a page of another origin sent this request")
        is_navigation = request.headers.get("Sec-Fetch-Mode") == "navigate" and request.path == "/"
        site = request.headers.get("Sec-Fetch-Site", "none")
        if site not in ("same-origin", "none") and not (request.method == "GET" and is_navigation):
            return _plain(403, "another site sent this request")
        is_reading = request.method in ("GET", "HEAD") and "Upgrade" not in request.headers
        if not is_reading and origin is None:
            return _plain(403, "a request that changes something, and a websocket, need an Origin")
        has_cookie = hmac.compare_digest(request.cookies.get(self._cookie, "").encode(), self._session.encode())
        token = request.query.get("token")
        if request.path == "/" and token is not None:
            return self._visit(token, has_cookie=has_cookie)
        return None if has_cookie else _plain(401, "open the address that netlab serve printed")

    def _visit(self, token: str, *, has_cookie: bool) -> web.Response:
        is_good = hmac.compare_digest(token.encode(), self.token.encode())
        if not is_good or (self._used and not has_cookie):
            return _plain(403, "this token was used already, or is not the page's; netlab serve prints a new address")
        response = web.Response(status=303, headers={"Location": "/"})
        if not has_cookie:
            self._used = True
            response.set_cookie(self._cookie, self._session, httponly=True, samesite="Strict", path="/",
                                secure=self._secure)  # fmt: skip
        return response


def _name(host: str) -> str:
    """The name in a Host header, whatever its port: a port may be forwarded."""
    return host if host.endswith("]") else host.rpartition(":")[0] or host


def _plain(status: int, text: str) -> web.Response:
    return web.Response(status=status, text=f"{text}\n", headers=HEADERS)
