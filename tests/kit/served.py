"""A page that ``netlab serve`` opened, as a browser speaks to it."""

from __future__ import annotations

import json
import os
import re
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection, HTTPResponse, HTTPSConnection
from typing import Any

from tests.conftest import ROOT

SECONDS = 60  # for a busy machine


class Served:
    """A page that ``netlab serve`` opened."""

    def __init__(self, lab: str, *options: str, tls: ssl.SSLContext | None = None) -> None:
        """``tls`` is for clients, of a page with a certificate."""
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
        words = [sys.executable, "-m", "netlab", "serve", lab, *options]
        self.process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=environment, cwd=ROOT)
        assert self.process.stdout is not None
        with self.process.stdout as lines:
            address = re.fullmatch(r"(https?)://([\d.]+):(\d+)/\?token=([\w-]+)\n", lines.readline())
        assert address
        self.scheme, self.name, self.port, self.token = address[1], address[2], int(address[3]), address[4]
        self.host = f"{self.name}:{self.port}"
        self.origin = f"{self.scheme}://{self.host}"
        self.tls = tls
        self.cookie = ""

    def _connection(self) -> HTTPConnection:
        if self.scheme == "https":
            return HTTPSConnection(self.name, self.port, timeout=SECONDS, context=self.tls)
        return HTTPConnection(self.name, self.port, timeout=SECONDS)

    def request(self, method: str, path: str, body: str = "", **headers: str) -> tuple[int, str, HTTPResponse]:
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        with closing(self._connection()) as connection:
            connection.request(method, path, body or None, given)
            response = connection.getresponse()
            return response.status, response.read().decode(), response

    def is_open(self) -> bool:
        try:
            self.request("GET", "/")
        except OSError:
            return False
        return True

    def visit(self) -> None:
        status, _, response = self.request("GET", f"/?token={self.token}")
        assert (status, response.headers["Location"]) == (303, "/")
        cookie = response.headers["Set-Cookie"]
        assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= {part.strip() for part in cookie.split(";")}
        self.cookie = cookie.partition(";")[0]

    def post(self, path: str, data: Any, **headers: str) -> tuple[int, str]:
        body = data if isinstance(data, str) else json.dumps(data)
        given = {"Cookie": self.cookie, "Origin": self.origin, **headers}
        status, text, _ = self.request("POST", path, body, **given)
        return status, text

    def events(self) -> Iterator[tuple[str, Any]]:
        with closing(self._connection()) as connection:
            connection.request("GET", "/page/v1/events", headers={"Cookie": self.cookie})
            kind = ""
            for line in connection.getresponse():
                text = line.decode().rstrip("\n")
                if text.startswith("event: "):
                    kind = text[7:]
                elif text.startswith("data: "):
                    yield kind, json.loads(text[6:])
