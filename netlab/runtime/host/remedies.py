"""What to type for a program or a module of the kernel that this host lacks, by its distribution.

``packages.txt`` beside this file has the names of packages; bootstrap.sh reads it too.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from netlab.tuples import NamedTuple

_INSTALL = {
    "apt-get": "sudo apt-get install",
    "dnf": "sudo dnf install",
    "apk": "sudo apk add",
    "pacman": "sudo pacman -S",
}
_MANAGERS = {
    "debian": "apt-get",
    "ubuntu": "apt-get",
    "fedora": "dnf",
    "rhel": "dnf",
    "centos": "dnf",
    "alpine": "apk",
    "arch": "pacman",
}
# Modules of a lab that are in another package than the others.
_FEDORA = {"sch_netem": "kernel-modules-extra", "sctp": "kernel-modules"}
_RHEL = {"sch_netem": "kernel-modules-extra", "sctp": "kernel-modules-extra"}
#: Debian's names of machines in the kernel's package, whose modules include every kind of device that a plane needs.
_DEBIAN = {"x86_64": "amd64", "aarch64": "arm64"}


class System(NamedTuple):
    """What decides on the line to type: ID and ID_LIKE of os-release, machine and release of the kernel."""

    ids: tuple[str, ...]
    machine: str
    release: str
    container: bool = False
    title: str = "an unnamed system"
    modular: bool = True  # the kernel loads modules

    @property
    def manager(self) -> str:
        """The package manager; "" where the distribution is not known."""
        return next((_MANAGERS[name] for name in self.ids if name in _MANAGERS), "")

    @property
    def is_wsl(self) -> bool:
        """Whether this is the kernel of Windows' WSL 2."""
        return "microsoft" in self.release.lower()


@cache
def this_system() -> System:
    """The system that this process runs on."""
    text = read("/etc/os-release") or read("/usr/lib/os-release")
    values = {key: value.strip("\"'") for key, _, value in (line.partition("=") for line in text.splitlines())}
    ids = (values.get("ID", ""), *values.get("ID_LIKE", "").split())
    marks = ("/.dockerenv", "/run/.containerenv", "/run/systemd/container")
    container = any(map(os.path.exists, marks)) or "container" in os.environ
    name = os.uname()
    return System(
        ids,
        name.machine,
        name.release,
        container,
        values.get("PRETTY_NAME", "an unnamed system"),
        os.path.exists("/proc/modules"),
    )


def read(path: str) -> str:
    """A small file's text; "" where it cannot be read."""
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


def read_table() -> dict[str, dict[str, str]]:
    """A program -> its package by package manager."""
    table = {}
    for line in Path(__file__).with_name("packages.txt").read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            program, *packages = line.split()
            table[program] = dict(zip(_INSTALL, packages, strict=True))
    return table


def install(programs: Iterable[str], system: System) -> str:
    """The line that installs programs."""
    table = read_table()
    if not system.manager:
        return f"install {' '.join(programs)} with the package manager of this system"
    packages = dict.fromkeys(table.get(name, {}).get(system.manager, name) for name in programs)
    return f"{_INSTALL[system.manager]} {' '.join(packages)}"


def load(module: str, system: System) -> str:
    """The line that loads a module whose file is there."""
    return f"sudo modprobe {module}" + (" (on the host of this container)" if system.container else "")


def kernel(module: str, system: System) -> str:
    """How to get a module that the running kernel has no file for."""
    if not system.modular:
        return "boot a kernel of a distribution: this kernel loads no modules"
    if system.container:
        return f"on the host of this container: sudo modprobe {module}"
    if system.is_wsl:
        return "wsl --update (in Windows); where that does not help, a virtual machine"
    packages = {
        "debian": f"linux-image-{_DEBIAN.get(system.machine, system.machine)}",
        # The generic kernel's linux-modules, which every kernel depends on, has them all; kernels for clouds split it.
        "ubuntu": "linux-modules-extra-$(uname -r)",
        "fedora": _FEDORA.get(module, "kernel-modules-core"),
        # These have kernel-modules-core since version 9 alone; kernel-modules brings it along.
        "rhel": _RHEL.get(module, "kernel-modules"),
        "centos": _RHEL.get(module, "kernel-modules"),
        "alpine": "linux-lts",
        "arch": "linux",
    }
    name = next((name for name in system.ids if name in packages), "")
    if not name:
        return f"boot a kernel that has the module {module}: those of distributions do"
    after = "" if name == "ubuntu" else ", then boot that kernel"
    return f"{_INSTALL[_MANAGERS[name]]} {packages[name]}{after}"
