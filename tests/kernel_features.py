"""Features of the kernel that some have and others lack: tests that need them say so by the marker ``needs``.

A line is run by a shell in a network namespace of its own; its exit status is the answer.  A test whose feature is
missing is a skip with that reason.  ``invoke vm-test`` boots kernels that have all of them and fails where it is skipped.
"""

from __future__ import annotations

import functools
import shutil
import subprocess
import sys

_SCTP = f"{sys.executable} -I -c 'import socket; socket.socket(socket.AF_INET, socket.SOCK_STREAM, 132)'"

NEEDS = {
    "sctp": _SCTP,
    "geneve": "ip link add g type geneve id 1 remote 192.0.2.1",
    "ipip": "ip link add i type ipip local 192.0.2.1",
    "wireguard": "ip link add w type wireguard",
    "netem": "ip link add v type veth peer name w && tc qdisc add dev v root netem delay 1ms",
}


@functools.cache
def lacks(name: str) -> str:
    """Why tests that need this feature cannot run here; empty where they can."""
    if not shutil.which("unshare"):
        return f"{name} cannot be tried: unshare (of util-linux) is not here"
    tried = subprocess.run(
        ["unshare", "-n", "sh", "-c", NEEDS[name]],
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    last = tried.stderr.strip().rpartition("\n")[2]
    return f"this kernel has no {name} ({last})" if tried.returncode else ""
