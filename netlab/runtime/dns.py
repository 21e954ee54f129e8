"""The lab's DNS server: giving it its zones, while it runs.

The server is Knot, the container of the Pod kube-system/coredns, which the agent starts and supervises like any other.
Its zones are written into that Pod's own /run/knot, by way of the root of its process, and loaded by ``knotc
zone-reload``, which swaps a zone between two answers: no restart, and nobody waits.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from typing import NamedTuple

from netlab.errors import HostCannot
from netlab.model import Cluster
from netlab.model.services_system import DNS_FOLDER, zone_file
from netlab.plan import dns
from netlab.runtime.processes import inside

PATIENCE = 5.0  # seconds for a server that was started just now; it takes 0.1
_PAUSE = 0.02


class _Place(NamedTuple):
    """The folder of a server that runs, seen from here."""

    folder: str

    @property
    def socket(self) -> str:
        return f"{self.folder}/knot.sock"


def require(cluster: Cluster) -> None:
    """Raise HostCannot where the lab has DNS and this host has no Knot."""
    if dns.server_pod(cluster) is None:
        return
    for program in ("knotd", "knotc"):
        if shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin") is None:
            raise HostCannot(
                f"the lab's DNS server is Knot, and {program} is missing",
                hint="apt-get install -y knot (or say dns: off in the Lab's spec)",
            )


def sync(cluster: Cluster, *, patience: float = PATIENCE) -> list[str]:
    """Bring the server's zones in step with the cluster; sentences on what could not be done."""
    pod = dns.server_pod(cluster)
    if pod is None:
        return []
    wanted = dns.zones(cluster)
    deadline = time.monotonic() + patience
    said = "its process does not run"
    while True:
        for place in _places(pod.netns):
            try:
                said = _load(place, wanted)
            except OSError as error:  # it ended just now
                said = f"{error.strerror}: {error.filename}"
            if not said:
                return []
        if time.monotonic() > deadline:
            return [f"the DNS server of lab {cluster.lab} has not got its names: {said}"]
        time.sleep(_PAUSE)


def _places(netns: str) -> list[_Place]:
    return [_Place(f"/proc/{one.pid}/root{DNS_FOLDER}") for one in inside([netns]) if one.comm == "knotd"]


def _load(place: _Place, wanted: dict[str, str]) -> str:
    """Write the zones that differ and have them loaded; what went wrong, or ""."""
    fd = os.open(place.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        changed = [zone for zone, text in wanted.items() if _read(fd, zone_file(zone)) != text.encode()]
        if not changed:
            return ""
        if not os.path.exists(place.socket):
            return "its control socket is not there yet"
        for zone in changed:
            _write(fd, f"{zone_file(zone)}.new", wanted[zone].encode())
        for zone in changed:
            os.rename(f"{zone_file(zone)}.new", zone_file(zone), src_dir_fd=fd, dst_dir_fd=fd)
        refused = _reload(place, changed)
        for zone in changed if refused else ():
            os.unlink(zone_file(zone), dir_fd=fd)  # so that the next try does not take it for loaded
        return refused
    finally:
        os.close(fd)


def _reload(place: _Place, zones: list[str]) -> str:
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    argv = [shutil.which("knotc", path=path) or "knotc", "-s", place.socket, "-b", "-t", "5", "zone-reload", *zones]
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
