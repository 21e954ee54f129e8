"""What is read of this host, without trying: its system, programs, limits and container.  Nothing here is a secret of it:
no address, name or path leaves this module.
"""

from __future__ import annotations

import os
import platform
import sys

from netlab.errors import HostCannot
from netlab.runtime.host import capacity
from netlab.runtime.host.remedies import System, read, this_system
from netlab.runtime.host.requirements import SBIN, has_program
from netlab.runtime.state.sudo import maps_all_users
from netlab.tuples import NamedTuple

#: Programs -> what is missing without them.
PROGRAMS = {
    "ip": "pages (and bridge, tc and ss, which come with it)",
    "nft": "rules, where libnftables is missing; pages",
    "knotd": "labs with DNS",
    "knotc": "labs with DNS",
    "busybox": "wget, nslookup and nc in Pods",
    "ping": "pages",
    "tcpdump": "pages",
    "curl": "pages",
    "dig": "pages",
    "ethtool": "pages",
    "sysctl": "pages",
    "tshark": "capture files on a terminal",
    "newuidmap": "several users in a Pod without root",
}
#: What makes a process privileged for netlab: capability -> its bit.
PRIVILEGES = {"CAP_NET_ADMIN": 12, "CAP_SYS_ADMIN": 21}


class Facts(NamedTuple):
    """``inside``: in a user namespace.  ``capable``: those of ``PRIVILEGES`` that the process has.  ``restricts``:
    AppArmor restricts user namespaces.  ``room``: how many Pods each resource is enough for.  ``folders``: those that
    ``up`` writes to and cannot.  ``nft``: netlab finds that program (by PATH alone).
    """

    system: System
    python: str
    inside: bool
    capable: tuple[str, ...]
    programs: frozenset[str]
    restricts: bool
    apparmor: bool
    docker: bool
    room: dict[str, int]
    folders: tuple[str, ...] = ()
    nft: bool = True


def facts() -> Facts:
    """Read all of it; what cannot be read is left out."""
    try:
        rooms = capacity.rooms()
    except (OSError, HostCannot):
        rooms = {}
    return Facts(
        this_system(),
        platform.python_version() if sys.maxsize > 1 << 32 else f"{platform.python_version()} (32 bits)",
        not maps_all_users(),
        _capabilities(),
        frozenset(program for program in PROGRAMS if has_program(program, SBIN)),
        read("/proc/sys/kernel/apparmor_restrict_unprivileged_userns") == "1",
        read("/sys/module/apparmor/parameters/enabled") == "Y",
        any(map(os.path.exists, ("/run/docker.sock", "/usr/bin/dockerd", "/sys/class/net/docker0"))),
        rooms,
        tuple(folder for folder in ("/run", "/etc") if not os.access(folder, os.W_OK)),
        has_program("nft"),
    )


def _capabilities() -> tuple[str, ...]:
    line = next((line for line in read("/proc/self/status").splitlines() if line.startswith("CapEff:")), "CapEff: 0")
    bits = int(line.split()[1], 16)
    return tuple(name for name, bit in PRIVILEGES.items() if bits >> bit & 1)
