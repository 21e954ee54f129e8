"""The requirements of this host, tested by real attempts before anything is built."""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Mapping

from netlab.errors import HostLacks, NeedsRoot
from netlab.kernel.host.features import tries
from netlab.kernel.host.netns import RUN_NETNS
from netlab.model import Cluster
from netlab.plan import Host, dns
from netlab.planes import ROWS
from netlab.runtime.host import remedies

SBIN = ":/usr/sbin:/sbin"  # behind PATH: Debian's users have no such folders there
QDISCS = ("netem", "tbf")


def require(cluster: Cluster) -> Host:
    """Return what this host can do.  Raises HostLacks, with what to do, where it cannot build the lab."""
    if RUN_NETNS.is_symlink():
        raise HostLacks(
            f"{RUN_NETNS} is a symbolic link (to {os.readlink(RUN_NETNS)}), and ip netns mounts namespaces in a folder",
            hint=f"rm {RUN_NETNS}; netlab makes the folder",
        )
    result = tries(cluster.plane.needs, QDISCS if cluster.impairments else ())
    if result.netns is not None:
        if result.netns in (errno.EPERM, errno.EACCES):
            raise NeedsRoot("this needs root: it makes network namespaces")
        why = os.strerror(result.netns)
        raise HostLacks(f"this kernel makes no network namespace: {why}", hint="it needs CONFIG_NET_NS=y")
    can = Host(br_netfilter=result.br_netfilter, netem="netem" not in result.missing)
    _require_qdiscs(cluster, can, tbf="tbf" not in result.missing)
    if missing := {kind: code for kind, code in result.missing.items() if kind not in QDISCS}:
        message, hint = _without(cluster, missing)
        raise HostLacks(message, hint=hint)
    if not has_program("nft") and not has_library("libnftables.so.1"):
        raise HostLacks("nft is missing", hint=remedies.install(["nft"], remedies.this_system()))
    require_for(cluster, can)
    _require_knot(cluster)
    return can


def lacking(cluster: Cluster) -> tuple[str, str] | None:
    """The kinds of links that the lab needs and this kernel lacks, and what to do; None where it has all, or may not try."""
    try:
        missing = tries(cluster.plane.needs).missing
    except NeedsRoot:
        return None
    return _without(cluster, missing) if missing else None


def _without(cluster: Cluster, missing: Mapping[str, int]) -> tuple[str, str]:
    kind, code = next(iter(missing.items()))
    message = f"this kernel has no {kind} devices ({os.strerror(code)}), which data plane {cluster.dataplane} needs"
    return message, _module(kind)


def _module(name: str) -> str:
    system = remedies.this_system()
    other = remedies.kernel(name, system)
    return f"sudo modprobe {name}; where that finds no module: {other}" if system.modular else other


def require_for(cluster: Cluster, can: Host) -> None:
    """Raise HostLacks where a lab's policies and Services would be there and not hold: between Pods of one bridge."""
    there = needs_br_netfilter(cluster)
    if there and not can.br_netfilter:
        raise HostLacks(
            f"the lab has {' and '.join(there)}, and its data plane {cluster.dataplane} bridges the Pods of a node: without "
            "br_netfilter no rule sees what passes between them",
            hint="sudo modprobe br_netfilter (then this host's own bridges pass its firewall, too), or a routed data plane: "
            + ", ".join(plane.name for plane in ROWS.values() if not plane.bridge),
        )


def needs_br_netfilter(cluster: Cluster) -> list[str]:
    """The parts of a lab that hold between Pods of one bridge with br_netfilter alone."""
    there = [*(["policies"] if cluster.filters else []), *(["Services"] if cluster.services else [])]
    return there if cluster.plane.bridge else []


def programs(cluster: Cluster) -> tuple[str, ...]:
    """The programs that a lab runs: those of its DNS server."""
    return () if dns.server_pod(cluster) is None else ("knotd", "knotc")


def _require_qdiscs(cluster: Cluster, can: Host, *, tbf: bool) -> None:
    """Raise HostLacks where this kernel has no qdisc for an impairment of the lab."""
    for impairment in () if can.netem else cluster.impairments:
        lacking = impairment.values.only_netem
        if not lacking and (tbf or not impairment.values.rate):
            continue
        words = " and ".join(lacking) or "rate"
        where = f" ({impairment.mark})" if impairment.mark else ""
        raise HostLacks(
            f"this kernel has no netem (module sch_netem), which {words} on the link between {impairment.link.title} "
            f"need{'s' if len(lacking) < 2 else ''}{where}"
            + ("; rate and loss work without it" if lacking else "; nor has it tbf (module sch_tbf)"),
            hint=_module("sch_netem"),
        )


def of_running(cluster: Cluster) -> Host:
    """What this host can do for a lab that it has built."""
    tried = tries((), QDISCS) if cluster.impairments else None
    return Host(br_netfilter=has_br_netfilter(), netem=tried is None or "netem" not in tried.missing)


def has_program(name: str, more: str = "") -> bool:
    """Whether PATH, or the folders of ``more`` after it, have a program."""
    from shutil import which  # and with it bz2 and lzma

    return which(name, path=os.environ.get("PATH", "") + more) is not None


def _require_knot(cluster: Cluster) -> None:
    """Raise HostLacks where the lab has DNS and this host has no Knot."""
    for program in programs(cluster):
        if not has_program(program, SBIN):
            raise HostLacks(
                f"the lab's DNS server is Knot, and {program} is missing",
                hint=f"{remedies.install([program], remedies.this_system())} (or say dns: off in the Lab's spec)",
            )


def has_br_netfilter() -> bool:
    """Whether br_netfilter is there; netlab never loads it, since that makes the host's own bridges pass its rules."""
    return os.path.exists("/proc/sys/net/bridge/bridge-nf-call-iptables")


def has_library(name: str) -> bool:
    """Whether the dynamic loader has a library."""
    try:
        ctypes.CDLL(name)
    except OSError:
        return False
    return True
