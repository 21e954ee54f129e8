"""``/agnhost connect``: the probe of Kubernetes' e2e network-policy tests and of cyclonus, in a Pod.

The image registry.k8s.io/e2e-test-images/agnhost has the program; here a command in a Pod that names it is answered by
this module, in the process that has entered the Pod.  Its servers (``serve-hostname``, ``netexec``, ``porter``) are the
responder (``model.workloads.processes``).
"""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Iterator, Sequence

PROGRAM = "/agnhost"
_IPPROTO_SCTP = 132
_PROTOCOLS = {
    "tcp": (socket.SOCK_STREAM, 0),
    "udp": (socket.SOCK_DGRAM, 0),
    "sctp": (socket.SOCK_STREAM, _IPPROTO_SCTP),
}
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0}


def main(words: Sequence[str]) -> int:
    """Run it; exit status 0 where the connection is made, 1 with the word of test/images/agnhost/connect where not."""
    if not words or words[0] != "connect":
        return _failed("netlab's /agnhost has the command connect alone")
    try:
        target, timeout, protocol = _arguments(words[1:])
        host, _, port = target.rpartition(":")
        kind, number = _PROTOCOLS[protocol]
        wanted = int(port)
    except (ValueError, KeyError, StopIteration):
        return _failed("usage: /agnhost connect HOST:PORT [--timeout 1s] [--protocol tcp|udp|sctp]")
    try:
        _connect(host.strip("[]"), wanted, timeout, kind, number)
    except socket.gaierror as error:
        return _failed(f"DNS: {error.strerror}")
    except TimeoutError:
        return _failed("TIMEOUT")
    except ConnectionRefusedError:
        return _failed("REFUSED")
    except OSError as error:
        return _failed(f"OTHER: {error.strerror}")
    return 0


def _failed(text: str) -> int:
    os.write(2, f"{text}\n".encode())  # this process leaves without flushing anything
    return 1


def _arguments(words: Sequence[str]) -> tuple[str, float, str]:
    target, timeout, protocol = "", 0.0, "tcp"
    rest: Iterator[str] = iter(words)
    for word in rest:
        name, equals, value = word.partition("=")
        if not name.startswith("--"):
            target = word
            continue
        value = value if equals else next(rest)
        if name == "--timeout":
            timeout = _seconds(value)
        elif name == "--protocol":
            protocol = value
        else:
            raise ValueError(name)
    return target, timeout, protocol


def _seconds(text: str) -> float:
    """A duration as Go writes it."""
    match = re.fullmatch(r"([0-9.]+)(ms|s|m)", text)
    if match is None:
        raise ValueError(text)
    return float(match[1]) * _UNITS[match[2]]


def _connect(host: str, port: int, timeout: float, kind: int, protocol: int) -> None:
    family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    with socket.socket(family, kind, protocol) as sock:
        sock.settimeout(timeout or None)
        sock.connect(address)
        if kind == socket.SOCK_DGRAM:
            sock.send(b"hostname\n")
            sock.recv(1500)
