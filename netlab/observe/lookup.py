"""Resolve a name as a Pod does: by its hosts file, then by the name servers of its resolv.conf, with real queries.

The rules are those of the C library: each name of the search list in turn until one exists; each server in turn until
one replies with anything but an error of its own.  Silence of all servers ends the search.
"""

from __future__ import annotations

import errno
import os
import socket
import time
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import replace
from functools import partial
from itertools import product
from pathlib import Path

from netlab.errors import NeedsRoot, NetlabError, StateError
from netlab.evidence.records import IN_VIEW, Lookup, Query
from netlab.kernel.host import netns as ns
from netlab.kernel.host import threads
from netlab.kernel.host.processes import inside
from netlab.model import Cluster, Pod
from netlab.model.resolver import ResolvConf, in_hosts
from netlab.oracle.lookups import Asked, Key
from netlab.runtime.agent import POD_COMM
from netlab.wire import dns

_SIDE_BY_SIDE = 32
_LOCAL = "127.0.0.1"  # whom the C library asks if the file names no server
_TIMEOUT = 5.0  # seconds, resolv.conf's own
_CODES = {dns.OK: "nodata", dns.SERVER_FAILED: "servfail", dns.NO_NAME: "nxdomain", dns.REFUSED: "refused"}
_ERRORS = {errno.ECONNREFUSED: "closed"}


def lookups(cluster: Cluster, wanted: Iterable[Asked]) -> dict[Key, Lookup]:
    """The lookups of expectations, side by side; a silent server is asked a second time."""
    results: dict[Key, Lookup] = {}
    failed: list[Exception] = []

    def look(asked: Asked) -> None:
        try:
            results[asked.key] = lookup(cluster, asked.pod, asked.name, attempts=2)
        except (NetlabError, OSError) as error:
            failed.append(error)

    threads.side_by_side([partial(look, asked) for asked in wanted], _SIDE_BY_SIDE)
    if failed:
        raise failed[0]
    return results


def lookup(
    cluster: Cluster, pod: Pod, name: str, *, version: int = 0, patience: float = 1.0, attempts: int = 1
) -> Lookup:
    """Look a name up in a Pod; ``patience`` are the seconds for which a server may be silent, at most resolv.conf's.

    Raises StateError where the Pod's namespace is gone.
    """
    folder = _folder(pod)
    text = _read(folder / "resolv.conf")
    conf = ResolvConf.parse(text)
    versions = [version] if version else [address.version for address in pod.addresses]
    result = Lookup(
        name=name,
        netns=cluster.node(pod.node).netns if pod.host_network else pod.netns,
        file=IN_VIEW if folder.parts[1] == "proc" else str(folder / "resolv.conf"),
        servers=tuple(conf.servers),
        searches=tuple(conf.resolver.searches),
        text=text,
    )
    addresses = tuple(each for each in in_hosts(_read(folder / "hosts"), name) if _version(each) in versions)
    if addresses:
        return replace(result, addresses=addresses, hosts=True)
    given = conf.resolver.options.get("timeout", "")
    wait = min(patience, float(given) if given.isdigit() and int(given) else _TIMEOUT)
    kinds = ["AAAA" if each == 6 else "A" for each in versions]
    try:
        queries = ns.call(result.netns, partial(_search, conf, name, kinds, [wait] * attempts))
    except FileNotFoundError:
        raise StateError(f"the namespace {result.netns} is gone", hint="netlab diff shows what is missing") from None
    except PermissionError as error:
        raise NeedsRoot(f"this needs root: {error.strerror} in {result.netns}") from None
    return replace(result, addresses=queries[-1].addresses if queries else (), queries=tuple(queries))


def _version(address: str) -> int:
    return 6 if ":" in address else 4


def _folder(pod: Pod) -> Path:
    """The folder of the files that the Pod's commands see: their own view, else what ``ip netns exec`` binds over /etc."""
    if any(container.runs for container in pod.containers) and not pod.host_network:
        for process in inside([pod.netns]):
            if process.comm == POD_COMM:
                return Path(f"/proc/{process.pid}/root/etc")
    return Path("/etc/netns") / pod.etc


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _search(conf: ResolvConf, name: str, kinds: Sequence[str], waits: Sequence[float]) -> list[Query]:
    """All queries, the last of which has the addresses if any has."""
    asked: list[Query] = []
    bare = name.rstrip(".")
    for candidate in [bare] if name.endswith(".") else conf.resolver.candidates(bare):
        for kind in kinds:
            queries = list(_ask(conf.servers or (_LOCAL,), candidate, kind, waits))
            asked += queries
            last = queries[-1].outcome
            if last not in ("nodata", "nxdomain", "servfail", "garbled", "invalid"):
                return asked
            if last != "nodata":
                break  # no other record of that name either
    return asked


def _ask(servers: Iterable[str], name: str, kind: str, waits: Sequence[float]) -> Iterable[Query]:
    """One query to a server after the other, until one has a result; for as often as there are times to wait."""
    for wait, server in product(waits, servers):
        query = _query(server, name, kind, wait)
        yield query
        if query.outcome in ("found", "nodata", "nxdomain", "invalid"):
            return


def _query(server: str, name: str, kind: str, wait: float) -> Query:
    if not dns.is_name(name):
        return Query(name, kind, server, "invalid")
    number = int.from_bytes(os.urandom(2), "big")
    data = dns.query(number, name, dns.TYPES[kind])
    began = time.monotonic_ns()
    code, reply = _exchange(server, data, number, wait)
    elapsed = time.monotonic_ns() - began
    if reply is None:
        return Query(name, kind, server, code, elapsed=elapsed)
    outcome = "found" if reply.addresses else _CODES.get(reply.code, "servfail")
    return Query(name, kind, server, outcome, reply.addresses, reply.aliases, elapsed)


def _exchange(server: str, data: bytes, number: int, wait: float) -> tuple[str, dns.Reply | None]:
    """The reply, or the reason why there is none."""
    try:
        family = socket.AF_INET6 if ":" in server else socket.AF_INET
        with closing(socket.socket(family, socket.SOCK_DGRAM)) as sock:
            sock.connect((server, dns.PORT))
            sock.send(data)
            end = time.monotonic() + wait
            while (left := end - time.monotonic()) > 0:
                sock.settimeout(left)
                reply = dns.reply(sock.recv(65535))
                if reply is None or reply.number == number:
                    return "garbled", reply
    except TimeoutError:
        pass
    except OSError as error:
        return _ERRORS.get(error.errno or 0, "unreachable"), None
    return "silent", None
