"""A small client of the lab's Kubernetes API: objects by JSON, commands in Pods by websocket."""

from __future__ import annotations

import base64
import json
import ssl
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

import yaml
from aiohttp import ClientSession, ClientTimeout, WSMsgType

_CORE = "/api/v1"
_NETWORKING = "/apis/networking.k8s.io/v1"
_ERROR = 3  # the channel that says how a command ended


class Client:
    """Use it in ``async with``; ``kubeconfig`` has the server and the client's certificate."""

    def __init__(self, kubeconfig: Path, scratch: Path) -> None:
        config = yaml.safe_load(kubeconfig.read_text())
        cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
        authority = base64.b64decode(cluster["certificate-authority-data"]).decode()
        pair = scratch / "client.pem"
        pair.write_bytes(base64.b64decode(user["client-certificate-data"]) + base64.b64decode(user["client-key-data"]))
        self._context = ssl.create_default_context(cadata=authority)
        self._context.load_cert_chain(pair)
        self._server = cluster["server"]

    async def __aenter__(self) -> Self:
        self._session = ClientSession(self._server, timeout=ClientTimeout(total=120))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    @staticmethod
    def path(plural: str, namespace: str = "", name: str = "") -> str:
        """The path of a resource or of an object."""
        group = _NETWORKING if plural == "networkpolicies" else _CORE
        inside = f"/namespaces/{namespace}" if namespace else ""
        return f"{group}{inside}/{plural}" + (f"/{name}" if name else "")

    async def send(self, method: str, path: str, body: Any = None, kind: str = "application/json") -> Any:
        """The answer; the test fails where the server refuses."""
        data = None if body is None else json.dumps(body)
        async with self._session.request(
            method, path, data=data, headers={"Content-Type": kind}, ssl=self._context
        ) as answer:
            document = await answer.json()
            assert answer.status < 300, f"{method} {path}: {document.get('message')}"
            return document

    async def run(self, namespace: str, pod: str, *argv: str) -> tuple[int, str]:
        """The exit status of a command in a Pod, and what it wrote."""
        words = "&".join(f"command={quote(word)}" for word in argv)
        path = f"{self.path('pods', namespace, pod)}/exec?{words}&stdout=true&stderr=true"
        text, ended = b"", {}
        async with self._session.ws_connect(path, protocols=("v5.channel.k8s.io",), ssl=self._context) as socket:
            async for message in socket:
                if message.type == WSMsgType.BINARY and message.data[:1] == bytes([_ERROR]):
                    ended = json.loads(message.data[1:])
                elif message.type == WSMsgType.BINARY:
                    text += message.data[1:]
        if ended.get("status") == "Success":
            return 0, text.decode()
        causes = ended.get("details", {}).get("causes", [{"message": "-1"}])
        return int(causes[0]["message"]), text.decode()
