"""``/agnhost connect``: the probe of Kubernetes' e2e network-policy tests and of cyclonus, in a Pod.

The image registry.k8s.io/e2e-test-images/agnhost has the program; here a command in a Pod that names it is answered by
this module, in the process that has entered the Pod.  Its servers (``serve-hostname``, ``netexec``, ``porter``) are the
responder (``model.workloads.processes``).
"""

from __future__ import annotations

import errno
import os
import re
import socket
import struct
import time
from collections.abc import Iterator, Sequence

from netlab.runtime.agent.responders.sctp import ABORT, INIT, INIT_ACK, PROTOCOL, chunk, chunks_of, packet

PROGRAM = "/agnhost"
_PROTOCOLS = {
    "tcp": (socket.SOCK_STREAM, 0),
    "udp": (socket.SOCK_DGRAM, 0),
    "sctp": (socket.SOCK_STREAM, PROTOCOL),
}
_RECVERR = {socket.AF_INET: (socket.IPPROTO_IP, 11), socket.AF_INET6: (socket.IPPROTO_IPV6, 25)}  # linux/in.h, in6.h
_NO_SUCH_PROTOCOL = (errno.ECONNREFUSED, errno.ENOPROTOOPT, errno.EPROTO)
_AGAIN = 1.0  # seconds until an INIT is sent again: RTO.Initial of RFC 9260
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
    if protocol == PROTOCOL and not _speaks_sctp():
        _associate(family, str(address[0]), port, timeout)
        return
    with socket.socket(family, kind, protocol) as sock:
        sock.settimeout(timeout or None)
        sock.connect(address)
        if kind == socket.SOCK_DGRAM:
            sock.send(b"hostname\n")
            sock.recv(1500)


def _speaks_sctp() -> bool:
    try:
        socket.socket(socket.AF_INET, socket.SOCK_STREAM, PROTOCOL).close()
    except OSError:
        return False
    return True


def _associate(family: int, host: str, port: int, timeout: float) -> None:
    """Ask for an association over a raw socket, where the kernel has no SCTP.  The reply is its INIT-ACK or an ABORT."""
    end = time.monotonic() + timeout if timeout else float("inf")
    own, tag = struct.unpack(">HI", os.urandom(6))
    own, tag = 16384 + own % 16384, tag or 1
    init = packet(own, port, 0, chunk(INIT, struct.pack(">IIHHI", tag, 65536, 1, 1, tag)))
    with socket.socket(family, socket.SOCK_RAW, PROTOCOL) as sock:
        sock.setsockopt(*_RECVERR[socket.AddressFamily(family)], 1)
        sock.connect((host, 0))
        again = 0.0
        while (now := time.monotonic()) < end:
            if now >= again:
                again = now + _AGAIN
                sock.send(init)
            sock.settimeout(max(0.001, min(again, end) - now))
            try:
                data = sock.recv(65535)
            except TimeoutError:
                continue
            except OSError as error:
                if _quoted(sock) != struct.pack(">HH", own, port):
                    continue  # the packet of another
                raise ConnectionRefusedError if error.errno in _NO_SUCH_PROTOCOL else error from None
            data = data[(data[0] & 15) * 4 :] if family == socket.AF_INET else data
            if data[:8] != struct.pack(">HHI", port, own, tag):
                continue
            for kind, _, value in chunks_of(data):
                if kind == ABORT:
                    raise ConnectionRefusedError
                if kind == INIT_ACK:
                    sock.send(packet(own, port, struct.unpack_from(">I", value)[0], chunk(ABORT)))
                    return
    raise TimeoutError


def _quoted(sock: socket.socket) -> bytes:
    """The ports of the packet that the last ICMP error is about."""
    try:
        return sock.recvmsg(128, 256, socket.MSG_ERRQUEUE)[0][:4]
    except OSError:
        return b""
