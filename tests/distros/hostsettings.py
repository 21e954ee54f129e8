"""What a pristine root needs of this host to get packages as this host does: read at run time, kept nowhere."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

CERTIFICATES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem")
# Keys of pip that name the host's own places: a root has others.
OWN = ("cert", "constraint", "cache-dir", "target", "prefix", "user", "require-virtualenv")


def pip_settings(listed: str) -> dict[str, str]:
    """``pip config list`` as a table: the environment's values go before those of files."""
    found: dict[str, str] = {}
    for line in sorted(listed.splitlines(), key=lambda line: line.startswith(":env:")):
        key, _, value = line.partition("=")
        name = key.rpartition(".")[2]
        if key.split(".")[0] in ("global", "install", ":env:") and name not in OWN:
            found[name] = ast.literal_eval(value)
    return found


def folders(settings: dict[str, str]) -> list[str]:
    """The folders of this host that pip's settings name; an index in a folder has its files beside ``simple``."""
    words = [word for name in ("find-links", "index-url", "extra-index-url") for word in settings.get(name, "").split()]
    paths = [urlsplit(word).path for word in words if urlsplit(word).scheme in ("", "file")]
    return sorted({str(path.parent if path.name == "simple" else path) for path in map(Path, paths) if path.is_dir()})


def write(folder: Path, apt: list[str]) -> list[str]:
    """Write the files that box.sh copies into a root; the folders that it binds."""
    argv = [sys.executable, "-m", "pip", "config", "list"]
    listed = subprocess.run(argv, capture_output=True, text=True, check=False).stdout
    settings = pip_settings(listed)
    rows = [f"{name} = {value}".replace("\n", "\n  ") for name, value in settings.items()]
    # box.sh puts this host's certificates where Debian's own are: pip's own bundle knows no private authority.
    (folder / "pip.conf").write_text("\n".join(["[global]", "cert = /etc/ssl/certs/ca-certificates.crt", *rows, ""]))
    (folder / "apt.conf").write_text("\n".join([*apt, ""]))
    (folder / "resolv.conf").write_text(Path("/etc/resolv.conf").read_text())
    bundle = next((path for path in CERTIFICATES if os.path.exists(path)), None)
    (folder / "certificates.crt").write_bytes(Path(bundle).read_bytes() if bundle else b"")
    return folders(settings)
