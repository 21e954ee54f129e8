"""The distributions of ``invoke distro-test``, and their pristine roots as cached archives."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

# A package manager (Debian has it in any case), Python, how a learner comes to the checkout, and how to become root.
INCLUDED = ("apt", "python3", "python3-venv", "ca-certificates", "git", "sudo")


@dataclass(frozen=True)
class Suite:
    name: str
    title: str
    family: str = "debian"
    components: str = "main"
    more: tuple[str, ...] = ()


SUITES = (
    Suite("bookworm", "Debian 12"),
    Suite("trixie", "Debian 13"),
    Suite("testing", "Debian testing"),
    Suite("sid", "Debian unstable"),
    # Python 3.10 is the default there: ./bootstrap.sh asks for these two.
    Suite("jammy", "Ubuntu 22.04", "ubuntu", "main,universe", ("python3.11", "python3.11-venv")),
    Suite("noble", "Ubuntu 24.04", "ubuntu", "main,universe"),
)
USUAL = ("bookworm", "trixie", "testing", "jammy", "noble")
KEYRINGS = Path("/usr/share/keyrings")


class NotRun(Exception):
    """A suite that this host cannot run, with the reason."""


def chosen(words: str) -> list[Suite]:
    names = [word for word in words.replace(",", " ").split() if word] or list(USUAL)
    known = {suite.name: suite for suite in SUITES}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise SystemExit(f"distro-test: no suite is called {unknown[0]}: there are {', '.join(known)}")
    return [known[name] for name in names]


def mirror(family: str, index: Sequence[str]) -> str:
    """The archive of a family, from this host's own list of packages; the other family lies beside it on mirrors."""
    for line in index:
        uri, _, component = line.partition(" ")
        folder, _, last = uri.rstrip("/").rpartition("/")
        if component == "main" and last in ("debian", "ubuntu"):
            return f"{folder}/{family}"
    raise NotRun("apt of this host names no mirror of Debian or Ubuntu")


def _index() -> list[str]:
    argv = ["apt-get", "indextargets", "--format", "$(REPO_URI) $(COMPONENT)", "Created-By: Packages"]
    try:
        return subprocess.run(argv, capture_output=True, text=True, check=True).stdout.splitlines()
    except (OSError, subprocess.CalledProcessError) as error:
        raise NotRun("this host has no apt to take a mirror from") from error


def cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "netlab" / "roots"


def keyring(family: str) -> Path:
    """The keys that a family's archive is signed with: from this host, or from the cache's folder."""
    name = f"{family}-archive-keyring.gpg"
    places = [folder / name for folder in (KEYRINGS, cache())]
    for place in places:
        if place.exists():
            return place
    package = "debian-archive-keyring" if family == "debian" else "ubuntu-keyring (Debian 13 and newer have it)"
    raise NotRun(f"no keys for the archive: install {package}, or put {name} into {cache()}")


def apt_settings() -> list[str]:
    """How apt of this host gets packages (proxies, checks of dates), as lines of an apt.conf."""
    done = subprocess.run(["apt-config", "dump", "Acquire"], capture_output=True, text=True, check=False)
    lines = [line for line in done.stdout.splitlines() if not line.endswith(' "";')]
    return [line for line in lines if not line.startswith("Acquire::IndexTargets")]


def archive(suite: Suite, fresh: bool) -> Path:
    """The pristine root as an archive, made by mmdebstrap where it is not cached."""
    path = cache() / f"{suite.name}.tar"
    if path.exists() and not fresh:
        return path
    if not shutil.which("mmdebstrap"):
        raise NotRun("mmdebstrap is not installed: apt-get install mmdebstrap")
    argv = ["mmdebstrap", "--variant=minbase", f"--components={suite.components}"]
    argv += [f"--include={','.join((*INCLUDED, *suite.more))}"]
    argv += [f"--aptopt={line}" for line in apt_settings()]
    keys = keyring(suite.family).read_bytes()
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_suffix(".new.tar")
    try:
        with tempfile.NamedTemporaryFile(suffix=".gpg") as readable:  # apt's own user reads it, and not root's home
            readable.write(keys)
            readable.flush()
            os.chmod(readable.name, 0o644)
            source = mirror(suite.family, _index())
            argv += [f"--keyring={readable.name}", suite.name, str(new), source]
            if suite.more:  # they came after the release
                argv.append(f"deb {source} {suite.name}-updates {suite.components.replace(',', ' ')}")
            made = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        if made.returncode:
            lines = [line for line in made.stderr.splitlines() if line.startswith(("E: ", "W: GPG"))]
            raise NotRun("mmdebstrap cannot make its root: " + (lines or made.stderr.splitlines() or ["?"])[0])
        new.rename(path)
    finally:
        new.unlink(missing_ok=True)
    return path
