"""Debian kernels as packages: fetched by an apt with folders of its own, unpacked beside; the host's apt is only read.

A kernel is kept in ``build/vm/kernels`` (or ``NETLAB_VM_CACHE``); to get a newer one, remove its folder.
"""

from __future__ import annotations

import fcntl
import os
import platform
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build" / "vm"
CACHE = Path(os.environ.get("NETLAB_VM_CACHE") or BUILD / "kernels")
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
META = "linux-image-amd64"
MEMORY = 2400  # MiB that a guest sees; what it writes is in it
_GUEST = MEMORY + 600  # with qemu's own

# The name for --kernel -> the suites of Debian whose newest linux-image-amd64 it is.
SUITES = {
    "6.1": ("bookworm", "bookworm-security"),
    "6.12": ("trixie", "trixie-security"),
    "7.x": ("trixie-backports",),
}

_CONF = """\
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
Dir::Etc::sourcelist "{here}/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
Dir::State "{here}";
Dir::State::lists "{here}/lists";
Dir::State::status "{here}/status";
Dir::Cache "{here}/cache";
APT::Sandbox::User "root";
APT::Architecture "amd64";
APT::Architectures "amd64";
Acquire::Languages "none";
Acquire::Retries "3";
"""


class Cannot(Exception):
    """Why this host cannot run the lane."""


class Kernel(NamedTuple):
    """An unpacked kernel: its name for --kernel, what `uname -r` prints, the image, the folder of its modules."""

    name: str
    release: str
    image: Path
    modules: Path


def kernel(name: str) -> Kernel:
    """The kernel of that name, from the cache or from the mirror."""
    CACHE.mkdir(parents=True, exist_ok=True)
    folder = CACHE / name
    with _locked(CACHE):
        if not folder.is_dir():
            _fetch(name, folder)
    return _read(name, folder)


def _read(name: str, folder: Path) -> Kernel:
    modules = next(folder.glob("**/lib/modules/*/"))
    images = (folder / "boot" / f"vmlinuz-{modules.name}", modules / "vmlinuz")
    return Kernel(name, modules.name, next(path for path in images if path.exists()), modules)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """The lock is on the folder itself: it leaves no file and ends with its holder."""
    handle = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _run(*argv: str | Path, cwd: Path | None = None) -> str:
    done = subprocess.run([*map(str, argv)], cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        raise Cannot(f"{argv[0]}: {lines[-1] if lines else f'exit status {done.returncode}'}")
    return done.stdout


def _fetch(name: str, folder: Path) -> None:
    for program in ("apt-get", "apt-cache", "dpkg-deb", "depmod"):
        if not shutil.which(program):
            raise Cannot(f"{program} is not here: the kernels are packages of Debian")
    if not KEYRING.is_file():
        raise Cannot(f"{KEYRING} is not here (package debian-archive-keyring)")
    new = folder.with_name(f".{name}.new")
    shutil.rmtree(new, ignore_errors=True)
    try:
        for part in ("apt/lists/partial", "apt/cache/archives/partial", "debs", "root"):
            (new / part).mkdir(parents=True)
        conf = _apt(new / "apt", SUITES[name])
        _run("apt-get", "-c", conf, "-qq", "update")
        _run("apt-get", "-c", conf, "-qq", "download", *_packages(conf), cwd=new / "debs")
        for deb in sorted((new / "debs").iterdir()):
            _run("dpkg-deb", "-x", deb, new / "root")
        modules = next((new / "root").glob("**/lib/modules/*/"))
        _run("depmod", "-b", modules.parents[2], modules.name)
        (new / "root").rename(folder)
    finally:
        shutil.rmtree(new, ignore_errors=True)


def _apt(here: Path, suites: tuple[str, ...]) -> Path:
    """A configuration of apt with folders of its own; proxies and the like of the host stay in force."""
    archive, security = _mirrors()
    lines = []
    for suite in suites:
        uri = security if suite.endswith("-security") else archive
        lines += [f"deb [signed-by={KEYRING}] {uri} {suite} main"] if uri else []
    (here / "sources.list").write_text("\n".join(lines) + "\n")
    (here / "status").touch()
    (here / "apt.conf").write_text(_CONF.format(here=here))
    return here / "apt.conf"


def _mirrors() -> tuple[str, str]:
    """The mirrors of Debian and of its security updates: those of this host, or NETLAB_DEBIAN_MIRROR alone."""
    if mirror := os.environ.get("NETLAB_DEBIAN_MIRROR"):
        return mirror, ""
    uris = _run("apt-get", "indextargets", "--format", "$(REPO_URI)").split()
    archive = next((uri for uri in uris if uri.endswith("/debian/")), "")
    if not archive:
        raise Cannot("apt knows no mirror of Debian here: NETLAB_DEBIAN_MIRROR=URI names one")
    return archive, next((uri for uri in uris if uri.endswith("/debian-security/")), "")


def _packages(conf: Path) -> list[str]:
    """The kernel's packages: what the meta package depends on, as far as that are kernel packages."""
    wanted, packages = [META], []
    while wanted:
        name = wanted.pop()
        depends = dependencies(_run("apt-cache", "-c", conf, "show", "--no-all-versions", name))
        packages.append(name)
        wanted += [other for other in depends if other not in (*packages, *wanted)]
    return packages


def dependencies(text: str) -> list[str]:
    """The kernel packages that a package of ``apt-cache show`` depends on: the image and its modules."""
    line = next((line for line in text.splitlines() if line.startswith("Depends: ")), "")
    names = re.findall(r"(?:^|, )(linux-(?:image|modules|binary)-[\w.+-]+)", line.removeprefix("Depends: "))
    return list(dict.fromkeys(names))


def supported() -> None:
    """Raise ``Cannot`` where this host cannot boot such a kernel."""
    if platform.machine() not in ("x86_64", "amd64"):
        raise Cannot(f"the kernels are for amd64, and this is {platform.machine()}")
    for program, package in (("qemu-system-x86_64", "qemu-system-x86"), ("busybox", "busybox"), ("depmod", "kmod")):
        if not shutil.which(program):
            raise Cannot(f"{program} is not here (package {package})")
    if not machines():
        raise Cannot(f"a guest needs {_GUEST} MiB of memory, and this host has {_available()} MiB")
    if os.geteuid():
        raise Cannot("the guest sees this host's files as root does: run it as `sudo ./bootstrap.sh invoke vm-test`")


def machines() -> int:
    """How many guests this host can have side by side: one a core, at most two, and what its memory holds."""
    return min(2, len(os.sched_getaffinity(0)), _available() // _GUEST)


def _available() -> int:
    """MiB of memory that the host can give away."""
    text = Path("/proc/meminfo").read_text()
    return int(re.findall(r"^MemAvailable: +(\d+)", text, re.MULTILINE)[0]) // 1024
