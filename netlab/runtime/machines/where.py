"""Where the machines are, as a command line says it: ``tls://scheduler:8786`` or ``ssh://a,ssh://b``."""

from __future__ import annotations

import ipaddress
from urllib.parse import SplitResult, urlsplit

from netlab.errors import BadInput
from netlab.tuples import NamedTuple

PORT = 8786  # the engine's own default
_FORMS = "--machines tls://SCHEDULER:8786, or --machines ssh://[USER@]HOST[:PORT][/PYTHON],ssh://..."


class Ssh(NamedTuple):
    """A machine that is reached by ssh.  ``python``: netlab's interpreter there; empty: the path that it has here.

    ``name`` is the host's; a host that is named twice has two workers, and the second one is HOST-2.
    """

    name: str
    host: str
    user: str = ""
    port: int = 0
    python: str = ""

    @property
    def words(self) -> list[str]:
        """The arguments of ssh that say which machine is meant."""
        return [
            *(("-p", str(self.port)) if self.port else ()),
            "--",
            f"{self.user}@{self.host}" if self.user else self.host,
        ]


class Where(NamedTuple):
    """A scheduler's address, or machines for which the command starts workers by ssh."""

    scheduler: str = ""
    hosts: tuple[Ssh, ...] = ()


def parse(text: str) -> Where:
    """Read ``--machines``.  Raises BadInput for anything that is not one scheduler or a list of ssh machines."""
    parts = [part.strip() for part in text.split(",")]
    if not all(parts):
        raise BadInput(f"--machines {text!r}: a machine is missing", hint=_FORMS)
    urls = [_split(part) for part in parts]
    if all(url.scheme == "ssh" for url in urls):
        return Where(hosts=_hosts(urls))
    if len(urls) > 1:
        raise BadInput(f"--machines {text}: give one scheduler, or machines by ssh alone", hint=_FORMS)
    return Where(scheduler(text, "--machines"))


def scheduler(text: str, option: str = "--scheduler") -> str:
    """The address of a scheduler, with its port.  Raises BadInput where it is none, or is neither TLS nor local."""
    url = _split(text, option)
    if url.scheme not in ("tls", "tcp"):
        raise BadInput(f"{option} {text}: a scheduler's address begins with tls://", hint=_FORMS)
    if url.path or url.query or url.username:
        raise BadInput(f"{option} {text}: a scheduler's address is tls://HOST:PORT and nothing more")
    host = url.hostname or ""
    if url.scheme == "tcp" and not _is_local(host):
        raise BadInput(
            f"{option} {text}: plain TCP is for 127.0.0.1 alone; whoever reaches a worker is root on its machine",
            hint=f"tls://{host}:{url.port or PORT}, with certificates: docs/beyond.md",
        )
    return f"{url.scheme}://{f'[{host}]' if ':' in host else host}:{url.port or PORT}"


def _split(text: str, option: str = "--machines") -> SplitResult:
    try:
        url = urlsplit(text)
        valid = bool(url.scheme and url.hostname) and (url.port is None or url.port > 0)
    except ValueError:  # a port that is no number, or half an IPv6 address
        valid = False
    if not valid:
        raise BadInput(f"{option} {text!r}: that is no address of a machine", hint=_FORMS)
    return url


def _hosts(urls: list[SplitResult]) -> tuple[Ssh, ...]:
    hosts: list[Ssh] = []
    for url in urls:
        host = url.hostname or ""
        if url.password or url.query or url.fragment:
            raise BadInput(f"--machines {url.geturl()}: give no password; ssh has keys and its own configuration")
        if host.startswith("-") or (url.username or "").startswith("-"):
            raise BadInput(f"--machines {url.geturl()}: ssh would take that for an option")
        again = sum(one.host == host for one in hosts) + 1
        name = host if again == 1 else f"{host}-{again}"
        python = url.path if url.path != "/" else ""
        hosts.append(Ssh(name, host, url.username or "", url.port or 0, python))
    return tuple(hosts)


def _is_local(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
