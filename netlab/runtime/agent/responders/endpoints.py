"""The table of listeners, and the agent's only entry into a Pod's network namespace.

The key of a port is (namespace, port, protocol), since a node's hostNetwork Pods share its namespace.  A port in use is
an error of that port only; the caller decides its meaning (``CrashLoopBackOff`` for the second container).
"""

from __future__ import annotations

import _socket
import errno
import os
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from netlab.runtime.agent import linux
from netlab.runtime.agent.face import Face, HealthFace, Identity
from netlab.runtime.agent.loop import Loop
from netlab.runtime.agent.responders.http import Tcp
from netlab.runtime.agent.responders.udp import Udp
from netlab.tuples import NamedTuple

if TYPE_CHECKING:
    from netlab.runtime.agent.responders.sctp import RawSctp

PROTOCOLS = ("TCP", "UDP", "SCTP")


class Port(NamedTuple):
    """A listener's key."""

    netns: str
    port: int
    protocol: str


class Listener(NamedTuple):
    """An open port; ``families`` and ``addresses`` as requested."""

    face: Face
    families: tuple[str, ...]
    addresses: tuple[str, ...]
    close: Callable[[], None]


class Endpoints:
    """Listeners by port, and each namespace's identity (nsfs inode), to detect a new namespace of an old name."""

    def __init__(self, loop: Loop, root: int) -> None:
        self.loop, self.root = loop, root
        self.home = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        self.tcp, self.udp = Tcp(loop), Udp(loop)
        self.table: dict[Port, Listener] = {}
        self.inodes: dict[str, int] = {}
        self.raw: dict[tuple[str, int], RawSctp] = {}
        self.kernel_sctp: bool | None = None

    def open_netns(self, path: str) -> int:
        """A descriptor of the namespace, looked up in the host's present mount namespace."""
        return os.open(path.lstrip("/"), os.O_RDONLY | os.O_CLOEXEC, dir_fd=self.root)

    def inode(self, path: str) -> int:
        """The number of the namespace; 0 where there is none of that name."""
        try:
            return os.stat(path.lstrip("/"), dir_fd=self.root).st_ino
        except OSError:
            return 0

    def listen(self, endpoints: Iterable[dict[str, Any]]) -> tuple[int, list[dict[str, Any]]]:
        """Open missing ports: (number of new ports, errors).  A repeated request changes nothing."""
        opened, errors = 0, []
        by_netns: dict[str, list[dict[str, Any]]] = {}
        for endpoint in endpoints:
            by_netns.setdefault(str(endpoint["netns"]), []).append(endpoint)
        try:
            for netns, group in by_netns.items():
                try:
                    fd = self.open_netns(netns)
                    try:
                        inode = os.fstat(fd).st_ino
                        linux.setns(fd, linux.CLONE_NEWNET)
                    finally:
                        os.close(fd)
                except OSError as refusal:
                    errors += [_error(netns, port, refusal) for e in group for port in e["ports"]]
                    continue
                if self.inodes.setdefault(netns, inode) != inode:
                    self.drop(netns)
                    self.inodes[netns] = inode
                for endpoint in group:
                    for port in endpoint["ports"]:
                        try:
                            opened += self._open(netns, endpoint, port)
                        except (OSError, ValueError) as refusal:
                            errors.append(_error(netns, port, refusal))
        finally:
            linux.setns(self.home, linux.CLONE_NEWNET)
        return opened, errors

    def _open(self, netns: str, endpoint: dict[str, Any], port: dict[str, Any]) -> bool:
        """Open a port in the thread's namespace."""
        protocol = str(port.get("protocol", "TCP")).upper()
        if protocol not in PROTOCOLS:
            raise ValueError(f"protocol {protocol}: must be one of {', '.join(PROTOCOLS)}")
        identity = Identity(
            kind=str(endpoint.get("kind", "pod")),
            pod=endpoint.get("pod"),
            namespace=endpoint.get("namespace"),
            node=endpoint.get("node"),
            port=int(port["port"]),
            protocol=protocol,
            container=port.get("container"),
        )
        key = Port(netns, identity.port, protocol)
        families = tuple(endpoint.get("families") or ("IPv4",))
        addresses = tuple(endpoint.get("addresses") or ())
        listener = self.table.get(key)
        if listener is not None:
            owner = listener.face.identity
            if owner._replace(node=None) != identity._replace(node=None):
                client = "/".join(word for word in (owner.namespace, owner.pod, owner.container) if word)
                raise OSError(errno.EADDRINUSE, f"{client} answers there already")
            if owner == identity and listener.families == families and listener.addresses == addresses:
                return False
            self._close(key)
        face = HealthFace(identity) if identity.kind == "health" else Face(identity)
        close = self._start(netns, face, families, addresses, str(port.get("bound") or ""))
        self.table[key] = Listener(face, families, addresses, close)
        return True

    def _start(
        self, netns: str, face: Face, families: tuple[str, ...], addresses: tuple[str, ...], bound: str
    ) -> Callable[[], None]:
        """Open a port's sockets, at the address ``bound`` alone where it is given; the result closes them."""
        if face.identity.protocol == "SCTP":
            return self._start_sctp(netns, face, families, addresses)
        only6 = "IPv4" not in families
        family = _socket.AF_INET6 if "IPv6" in families and not bound else _socket.AF_INET
        server: Tcp | Udp = self.tcp if face.identity.protocol == "TCP" else self.udp
        try:
            sock = server.open(family, face, only6=only6, bound=bound)
        except OSError as refusal:
            if family != _socket.AF_INET6 or only6 or refusal.errno != errno.EAFNOSUPPORT:
                raise
            family = _socket.AF_INET  # a kernel without IPv6: IPv4 still works
            sock = server.open(family, face, only6=False)
        if isinstance(server, Tcp):
            server.serve(sock, family, face)
        else:
            server.serve(sock, face)

        def close() -> None:
            self.loop.remove(sock.fileno())
            sock.close()

        return close

    def _start_sctp(
        self, netns: str, face: Face, families: tuple[str, ...], addresses: tuple[str, ...]
    ) -> Callable[[], None]:
        # with OpenSSL's hashes 8 MB that few labs need
        from netlab.runtime.agent.responders.kernelsctp import KernelSctp
        from netlab.runtime.agent.responders.sctp import RawSctp

        if self.kernel_sctp is None:
            self.kernel_sctp = _kernel_has_sctp()
        numbers = [{"IPv4": _socket.AF_INET, "IPv6": _socket.AF_INET6}[family] for family in families]
        if self.kernel_sctp:
            return KernelSctp(self.loop, numbers, face, list(addresses)).close
        used = []
        for family in numbers:
            raw = self.raw.get((netns, family))
            if raw is None:
                raw = self.raw[netns, family] = RawSctp(self.loop, family)
            raw.faces[face.port] = face
            used.append(raw)

        def close() -> None:
            for raw in used:
                raw.faces.pop(face.port, None)
                if not raw.faces:
                    self.raw.pop((netns, raw.family), None)
                    raw.close()

        return close

    def report(self, ports: Iterable[dict[str, Any]]) -> None:
        """Take over the numbers of ready endpoints for the ports that report them."""
        for port in ports:
            listener = self.table.get(Port(str(port["netns"]), int(port["port"]), "TCP"))
            if listener is not None and isinstance(listener.face, HealthFace):
                listener.face.counts = {family: int(count) for family, count in port["counts"].items()}

    def unlisten(self, ports: Iterable[Port]) -> int:
        closed = 0
        for key in ports:
            if key in self.table:
                self._close(key)
                closed += 1
        return closed

    def drop(self, netns: str) -> int:
        """Close everything in a namespace, so that the agent does not keep it alive."""
        self.inodes.pop(netns, None)
        return self.unlisten([key for key in self.table if key.netns == netns])

    def _close(self, key: Port) -> None:
        self.table.pop(key).close()

    def listeners(self) -> list[dict[str, Any]]:
        return [
            {
                "netns": key.netns,
                "port": key.port,
                "protocol": key.protocol,
                "kind": listener.face.identity.kind,
                "pod": listener.face.identity.pod,
                "namespace": listener.face.identity.namespace,
                "node": listener.face.identity.node,
                "container": listener.face.identity.container,
                "families": list(listener.families),
            }
            for key, listener in self.table.items()
        ]


def _error(netns: str, port: dict[str, Any], refusal: Exception) -> dict[str, Any]:
    number = refusal.errno if isinstance(refusal, OSError) else errno.EINVAL
    return {
        "netns": netns,
        "port": port.get("port"),
        "protocol": port.get("protocol", "TCP"),
        "container": port.get("container"),
        "errno": number,
        "error": errno.errorcode.get(number or 0, "EINVAL"),
        "says": (refusal.strerror or str(refusal)) if isinstance(refusal, OSError) else str(refusal),
    }


def _kernel_has_sctp() -> bool:
    try:
        _socket.socket(_socket.AF_INET, _socket.SOCK_SEQPACKET, _socket.IPPROTO_SCTP).close()
    except OSError:
        return False
    return True
