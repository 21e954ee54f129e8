"""The causes that keep a host from giving its users namespaces of their own, and the lines that mend each."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable

from netlab.tuples import NamedTuple

_UNITS = {"user": "user", "net": "network", "mnt": "mount", "pid": "PID"}
_FILE = "/etc/sysctl.d/99-netlab.conf"
_DOCKER = (
    "docker run --security-opt seccomp=unconfined --security-opt apparmor=unconfined "
    "--security-opt systempaths=unconfined ..."
)


class Refusal(NamedTuple):
    """The step that failed (user, map, mnt, net, pid, fork, mount, proc, etc, lo), and its errno."""

    step: str
    code: int


class Cause(NamedTuple):
    """Why a host forbids labs without root: a key for programs, a sentence, and the lines that mend it."""

    key: str
    message: str
    remedy: tuple[str, ...]


class Facts(NamedTuple):
    """What a host shows of itself.

    ``sysctl`` gives a value by its name, None where there is none.  ``profile`` is the AppArmor profile of this process.
    ``program`` is the path that an AppArmor profile for netlab must name.
    """

    sysctl: Callable[[str], str | None]
    container: bool
    chroot: bool
    profile: str
    program: str


def cause(refusal: Refusal, facts: Facts) -> Cause:
    """The cause behind a refusal."""
    step, code = refusal
    if step in _UNITS and code in (errno.ENOSPC, errno.EUSERS):
        return _limit(step, facts)
    if step == "user" and code in (errno.EINVAL, errno.ENOSYS):
        message = "this kernel has no user namespaces (CONFIG_USER_NS)"
        return Cause("no-user-namespaces", message, ("boot a kernel that has them: those of all distributions do",))
    if step == "user" and facts.sysctl("kernel.unprivileged_userns_clone") == "0":
        message = "this host forbids its users to make user namespaces"
        return _by_sysctl("unprivileged-userns-clone", message, "kernel.unprivileged_userns_clone", "1")
    if facts.container and step in (*_UNITS, "mount", "proc"):
        return _container(step)
    if step == "user" and facts.chroot:
        return Cause("chroot", "the kernel makes no user namespace in a chroot", ("run netlab outside the chroot",))
    if facts.sysctl("kernel.apparmor_restrict_unprivileged_userns") == "1":
        return _apparmor(facts)
    if facts.profile not in ("", "unconfined"):
        message = (
            f"the AppArmor profile {facts.profile} denies the capabilities of a user namespace ({os.strerror(code)})"
        )
        return Cause("apparmor-profile", message, ('add the lines "userns," and "capability," to that profile',))
    message = f"this host forbids what a lab needs in a user namespace (step {step}: {os.strerror(code)})"
    return Cause("refused", message, ("look for a security module or a seccomp filter that forbids user namespaces",))


def _limit(step: str, facts: Facts) -> Cause:
    name = f"user.max_{step}_namespaces"
    most = facts.sysctl(name) or "?"
    if most == "0":
        return _by_sysctl(f"max-{step}-namespaces", f"this host forbids {_UNITS[step]} namespaces", name, "15000")
    message = f"this user has as many {_UNITS[step]} namespaces as this host allows"
    return _by_sysctl(f"max-{step}-namespaces-reached", message, name, most, "60000")


def _by_sysctl(key: str, message: str, name: str, *values: str) -> Cause:
    *now, wanted = values if len(values) > 1 else ("0", *values)
    return Cause(
        key,
        f"{message} ({name}={now[0]})",
        (f"sudo sysctl -w {name}={wanted}", f"to keep it: echo {name}={wanted} | sudo tee -a {_FILE}"),
    )


def _container(step: str) -> Cause:
    if step == "proc":
        message = "this container hides parts of /proc, and so the kernel mounts no /proc in a user namespace"
        return Cause("container-proc", message, (_DOCKER,))
    message = "the seccomp filter or the AppArmor profile of this container forbids user namespaces"
    return Cause("container", message, (_DOCKER,))


def _apparmor(facts: Facts) -> Cause:
    profile = (
        rf'abi <abi/4.0>,\ninclude <tunables/global>\nprofile netlab "{facts.program}" '
        r"flags=(unconfined) {\n  userns,\n}\n"
    )
    return Cause(
        "apparmor-restrict-unprivileged-userns",
        "AppArmor restricts user namespaces on this host (kernel.apparmor_restrict_unprivileged_userns=1)",
        (
            f"printf '{profile}' | sudo tee /etc/apparmor.d/netlab",
            "sudo apparmor_parser -r /etc/apparmor.d/netlab",
            "or for every program: sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0",
        ),
    )
