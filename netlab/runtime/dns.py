"""The lab's DNS server: loading its zones while it runs.

The server is Knot, the container of the Pod kube-system/coredns. The agent starts and supervises it as any other. Its
zones are written into that Pod's own /run/knot, through the root of its process. ``knotc zone-reload`` loads them
between two replies: the server does not restart, and no client waits.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time

from netlab.kernel.host.processes import inside
from netlab.model import Cluster
from netlab.model.services.system import DNS_FOLDER, DOMAIN, PODS_FILE, ZONES, ZONES_FILE, pods_zone, zone_file
from netlab.plan import dns
from netlab.runtime.state.session import SESSION
from netlab.tuples import NamedTuple

PATIENCE = 5.0  # seconds for a server that was started just now; it takes 0.1
_PAUSE = 0.02


class _Server(NamedTuple):
    """The folder of a server that runs, seen from here."""

    folder: str

    @property
    def socket(self) -> str:
        return f"{self.folder}/knot.sock"


def sync(cluster: Cluster, *, patience: float = PATIENCE) -> list[str]:
    """Bring the server's zones in step with the cluster; sentences on what could not be done."""
    pod = dns.server_pod(cluster)
    if pod is None or not any(container.runs or container.missing for container in pod.containers):
        return []  # no server, or the responder in its place (``netlab test``)
    wanted = dns.server_files(cluster, SESSION)
    pods = [pods_zone(namespace) for namespace in dns.namespaces(cluster)]
    deadline = time.monotonic() + patience
    message = "its process does not run"
    while True:
        for target in _servers(pod.netns):
            try:
                message = _load(target, wanted, pods)
            except OSError as error:  # it ended just now
                message = f"{error.strerror}: {error.filename}"
            if not message:
                return []
        if time.monotonic() > deadline:
            return [f"the DNS server of lab {cluster.lab} has not got its names: {message}"]
        time.sleep(_PAUSE)


def _servers(netns: str) -> list[_Server]:
    return [_Server(f"/proc/{process.pid}/root{DNS_FOLDER}") for process in inside([netns]) if process.comm == "knotd"]


def _load(server: _Server, wanted: dict[str, str], pods: list[str]) -> str:
    """Write the files that differ and have them loaded (``pods``: the zones of Pods' names); what went wrong, or ""."""
    fd = os.open(server.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        changed = [name for name, text in wanted.items() if _read(fd, name) != text.encode()]
        if not changed:
            return ""
        if not os.path.exists(server.socket):
            return "its control socket is not there yet"
        for name in changed:
            _write(fd, f"{name}.new", wanted[name].encode())
        for name in changed:
            os.rename(f"{name}.new", name, src_dir_fd=fd, dst_dir_fd=fd)
        zones = [zone for zone in (DOMAIN, *ZONES) if zone_file(zone) in changed]
        # The root's zone may take the cluster's names over: it has them before the cluster's zone goes.
        todo: list[tuple[str, ...]] = [("zone-reload", ".")] if "." in zones and zone_file(DOMAIN) not in wanted else []
        todo += [("reload",)] if ZONES_FILE in changed else []
        zones += pods if {ZONES_FILE, PODS_FILE} & {*changed} else []
        todo += [("zone-reload", *zones)] if zones else []
        refused = next((reply for words in todo if (reply := _ask(server, *words))), "")
        for name in changed if refused else ():
            os.unlink(name, dir_fd=fd)  # so that the next try does not take it for loaded
        return refused
    finally:
        os.close(fd)


def _ask(server: _Server, *words: str) -> str:
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    argv = [shutil.which("knotc", path=path) or "knotc", "-s", server.socket, "-b", "-t", "5", *words]
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=10, check=False)
    except subprocess.TimeoutExpired:
        return "knotc gets no answer: the server hangs"
    return "" if done.returncode == 0 else (done.stderr or done.stdout).strip().splitlines()[-1:][0]


def _read(folder: int, name: str) -> bytes:
    try:
        fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    except FileNotFoundError:
        return b""
    with open(fd, "rb") as stream:
        return stream.read()


def _write(folder: int, name: str, data: bytes) -> None:
    fd = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644, dir_fd=folder)
    with open(fd, "wb") as stream:
        stream.write(data)
