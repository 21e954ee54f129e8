"""Where ``netlab serve`` listens, under which names, and with which certificate."""

from __future__ import annotations

import json
import os
import socket
import ssl
import sys
from ipaddress import ip_address
from pathlib import Path
from typing import NoReturn

import click

from netlab.cli import out
from netlab.cli.files import text_of
from netlab.errors import BadInput, HostCannot
from netlab.runtime.client.certificate import fingerprint, is_address, own_certificate, page_context

__all__ = ["Served", "check", "fingerprint", "given"]

_LOCAL = "127.0.0.1"


class Served:
    """The address of a page, and the names under which a browser may reach it."""

    def __init__(self, address: str, names: tuple[str, ...]) -> None:
        self._address = address or _LOCAL
        self._names = [name for name in (self._address, *names) if not _is_any(name)]
        self.hosts = [_bracketed(name) for name in self._names]
        self.shown = self.hosts[0]

    def certificate(self) -> str:
        """A certificate that is made for these names, and its key."""
        return own_certificate(self._names)

    def listener(self, port: int) -> socket.socket:
        """A socket that listens there."""
        family = socket.AF_INET6 if ":" in self._address else socket.AF_INET
        try:
            return socket.create_server((self._address, port), family=family, backlog=128)
        except OSError as error:
            raise HostCannot(
                f"port {port} of {self._address} cannot be opened: {error.strerror}", hint="--port N takes another"
            ) from error


def become_wall(name: str, served: Served, port: int, pem: str) -> NoReturn:
    """Go on as the process of a class's wall.  Raises BadInput where there is no such class."""
    from netlab.learn.classroom import room_of

    room_of(name)
    if pem:
        out.note(f"SHA-256 fingerprint of the certificate: {fingerprint(pem)}")
    settings = os.memfd_create("netlab-wall", 0)  # stays open over exec, and no key is on a disk
    os.write(settings, json.dumps({"hosts": served.hosts, "shown": served.shown, "tls": pem}).encode())
    listener = served.listener(port)
    listener.set_inheritable(True)
    words = [sys.executable, "-X", "utf8", "-m", "netlab.api.wall", name, str(settings), str(listener.fileno())]
    os.execv(words[0], words)


def check(address: str, hosts: tuple[str, ...], *, tls: bool, certificate: str, key: str) -> None:
    """Refuse what contradicts itself, and a page for other machines that everybody on the way could read."""
    if tls and certificate:
        raise click.UsageError("--tls makes a certificate, and --tls-cert gives one: take one of them")
    if key and not certificate:
        raise click.UsageError("--tls-key belongs to --tls-cert")
    if not address:
        return
    if not is_address(address):
        raise BadInput(f"--listen {address}: this is no IP address", hint="ip -br address shows those of this host")
    if not tls and not certificate:
        raise BadInput("--listen needs TLS: others on the way could read the page and take it over",
                       hint="add --tls, or --tls-cert FILE and --tls-key FILE")  # fmt: skip
    if _is_any(address) and not hosts:
        raise BadInput(f"--listen {address} is all addresses: a browser needs a name",
                       hint="--listen one address, or add --host NAME")  # fmt: skip


def _is_any(address: str) -> bool:
    return is_address(address) and ip_address(address).is_unspecified


def given(certificate: str, key: str) -> str:
    """The certificate and its key, which fit.  Raises BadInput."""
    pem = text_of(Path(certificate)) + (text_of(Path(key)) if key else "")
    try:
        page_context(pem)
    except (ssl.SSLError, ValueError) as error:
        raise BadInput(
            f"{certificate}: no certificate with its key, both as PEM without a password: {error}"
        ) from error
    return pem


def _bracketed(name: str) -> str:
    return f"[{name}]" if ":" in name else name
