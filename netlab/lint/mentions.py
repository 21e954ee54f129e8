"""The servers that the texts of a Pod name: ``name:port``, a URL, or a ``.svc`` name, in env, args and ConfigMaps.

Of a text only the host and the port leave this module, never the text: it may hold a password.  Secrets are not read.
A bare word that is a Service's name is no mention: most of those mean something else.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from netlab.errors import Mark
from netlab.model import Pod
from netlab.spec import Document
from netlab.spec.formats import shown
from netlab.spec.settings import Settings
from netlab.tuples import NamedTuple

_LABEL = "[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?"
_HOST = rf"{_LABEL}(?:\.{_LABEL}){{0,8}}"
_PORT = r"(?P<port>[0-9]{1,5})(?![-\w]|\.[0-9])"
_EDGE = r"(?<![-\w./:%])"  # nothing before it that would make it a part of a longer word
_NO_USER = r"(?![^\s/,]{0,200}@)"  # what stands before an @ is a user and a password
#: A URL may have a user and a password before the host; several hosts may follow each other, as in mongodb://a,b/db.
_URL = (
    rf"(?<![-\w+.])(?P<scheme>[a-z][-a-z0-9+.]{{0,30}})://(?:[^\s/@,]{{0,200}}@)?{_NO_USER}"
    rf"(?P<host>{_HOST})(?![-\w]|\.\w)(?::{_PORT}|(?!:[0-9]))"
)
_PAIR = rf"{_EDGE}{_NO_USER}(?P<host>{_HOST}):{_PORT}"
_SVC = rf"{_EDGE}(?P<host>{_LABEL}(?:\.{_LABEL}){{1,3}}\.svc(?:\.cluster\.local)?)\.?(?![-\w.])"
#: The ports of schemes that say which they are.
_SCHEMES = {
    "http": 80, "https": 443, "ws": 80, "wss": 443, "redis": 6379, "rediss": 6379, "postgres": 5432,
    "postgresql": 5432, "mysql": 3306, "amqp": 5672, "amqps": 5671, "mongodb": 27017, "nats": 4222, "ldap": 389,
    "ldaps": 636, "memcached": 11211, "mqtt": 1883, "etcd": 2379,
}  # fmt: skip
_TEXT_MAX = 262_144  # characters of a text that are looked at; a dashboard or a script is longer than any address
_VARIABLE = r"\$\(([-._a-zA-Z][-._a-zA-Z0-9]*)\)"
_POD_SPEC = {"Pod": ("spec",), "CronJob": ("spec", "jobTemplate", "spec", "template", "spec")}
_TEMPLATE = ("spec", "template", "spec")


class Server(NamedTuple):
    """A host and a port as they are written; port 0: the text has none."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}" if self.port else self.host


class Mention(NamedTuple):
    """A server that a Pod's text names: ``key`` is the variable, or the ConfigMap and its key."""

    server: Server
    key: str
    mark: Mark | None


def servers(text: str) -> Iterator[Server]:
    """The servers that a text names, each once."""
    seen: set[Server] = set()
    text = text[:_TEXT_MAX]
    for pattern in (_URL, _PAIR, _SVC) if ":" in text or ".svc" in text else ():
        for match in re.finditer(pattern, text):
            parts = match.groupdict()
            port = int(parts.get("port") or _SCHEMES.get(parts.get("scheme") or "", 0))
            server = Server(parts["host"], port)
            ports = {port for host, port in seen if host == server.host}
            if 0 <= port <= 65535 and server not in seen and (port or not ports):
                seen.add(server)
                yield server


class Texts:
    """Finds what the containers of Pods are told; ``settings`` are the ConfigMaps of the set."""

    def __init__(self, settings: Iterable[Settings]) -> None:
        self._settings = {(each.namespace, each.name): each for each in settings}

    def mentions(self, pod: Pod, document: Document | None) -> list[Mention]:
        """What a Pod's env, args and ConfigMaps name, each server once; the document has its lines."""
        mentions: dict[Server, Mention] = {}
        for key, text, mark in self._texts(pod, document):
            for server in servers(text):
                mentions.setdefault(server, Mention(server, key, mark))
        return list(mentions.values())

    def _texts(self, pod: Pod, document: Document | None) -> Iterator[tuple[str, str, Mark | None]]:
        path = _POD_SPEC.get(document.kind, _TEMPLATE) if document else ()
        maps: dict[str, None] = {}
        for where in ("containers", "initContainers"):
            for index, container in enumerate(_list(pod.spec.get(where))):
                here = (*path, where, index)
                variables = self._variables(pod.namespace, container)
                for number, entry in enumerate(_list(container.get("env"))):
                    mark = document.at(*here, "env", number) if document else pod.mark
                    if text := variables.get(entry["name"]):
                        yield f"env {entry['name']}", _expanded(text, variables), mark
                for field in ("args", "command"):
                    words = [str(word) for word in _list(container.get(field))]
                    for number, word in enumerate(words):
                        mark = document.at(*here, field, number) if document else pod.mark
                        yield f"{field} of container {container['name']}", _expanded(word, variables), mark
                for source in _list(container.get("envFrom")):
                    maps.setdefault(source.get("configMapRef", {}).get("name", ""))
        for volume in _list(pod.spec.get("volumes")):
            sources = [volume, *_list(volume.get("projected", {}).get("sources"))]
            for source in sources:
                maps.setdefault(source.get("configMap", {}).get("name", ""))
        for name in maps:
            if settings := self._settings.get((pod.namespace, name)):
                for key, text, mark in settings.entries():
                    yield f"ConfigMap {shown(name)[1:-1]} {shown(key)[1:-1]}", text, mark

    def _variables(self, namespace: str, container: Mapping[str, Any]) -> Mapping[str, str]:
        """The environment of a container as far as the set has it: its values, and single keys of ConfigMaps."""
        variables = {}
        for entry in _list(container.get("env")):
            reference = entry.get("valueFrom", {}).get("configMapKeyRef", {})
            text = entry.get("value")
            if reference and (settings := self._settings.get((namespace, reference.get("name", "")))):
                text = next((text for key, text, _ in settings.entries() if key == reference.get("key")), None)
            if text is not None:
                variables[entry["name"]] = str(text)
        return variables


def _expanded(text: str, variables: Mapping[str, str]) -> str:
    """A text with ``$(NAME)`` as the kubelet writes it out, once: names inside names are not followed."""
    return re.sub(_VARIABLE, lambda match: variables.get(match[1], match[0]), text) if "$(" in text else text


def _list(value: object) -> Sequence[Mapping[str, Any]]:
    return value if isinstance(value, list) else ()
