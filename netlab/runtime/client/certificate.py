"""A certificate of a page, made by openssl or given, and the server's context of it."""

from __future__ import annotations

import hashlib
import os
import ssl
import subprocess
import tempfile
from collections.abc import Iterable
from ipaddress import ip_address
from pathlib import Path

from netlab.errors import HostCannot

DAYS = "30"
KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
# A browser takes a certificate that signs itself as its own authority.
_PAGE = (
    "basicConstraints=critical,CA:TRUE,pathlen:0",
    "keyUsage=critical,digitalSignature,keyCertSign",
    "extendedKeyUsage=serverAuth",
)


def own_certificate(names: Iterable[str]) -> str:
    """A certificate for a page under these addresses and names, signed by itself, and its key, as PEM.

    Raises HostCannot without openssl.
    """
    subjects = ",".join(f"{'IP' if is_address(name) else 'DNS'}:{name}" for name in names)
    with tempfile.TemporaryDirectory(prefix="netlab-tls-") as name:
        folder = Path(name)
        added = [word for each in (*_PAGE, f"subjectAltName={subjects}") for word in ("-addext", each)]
        openssl(
            folder,
            "req",
            "-x509",
            *KEY,
            "-keyout",
            "key",
            "-out",
            "crt",
            "-days",
            DAYS,
            "-subj",
            "/CN=netlab",
            *added,
        )
        return (folder / "crt").read_text() + (folder / "key").read_text()


def is_address(name: str) -> bool:
    """Whether a name is an IP address."""
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def fingerprint(pem: str) -> str:
    """The SHA-256 fingerprint of the first certificate, as browsers show it."""
    start, end = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
    data = ssl.PEM_cert_to_DER_cert(start + pem.partition(start)[2].partition(end)[0] + end)
    return hashlib.sha256(data).digest().hex(":").upper()


def page_context(pem: str) -> ssl.SSLContext:
    """The server's context of a certificate and its key.  Raises ssl.SSLError; nothing of the key stays on a disk."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    descriptor = os.memfd_create("netlab-tls")
    try:
        os.write(descriptor, pem.encode())
        context.load_cert_chain(f"/proc/self/fd/{descriptor}", password=lambda: "")
    finally:
        os.close(descriptor)
    return context


def openssl(folder: Path, *arguments: str) -> None:
    """Run openssl in a folder.  Raises HostCannot."""
    environment = {"PATH": os.environ.get("PATH", os.defpath), "OPENSSL_CONF": os.devnull}
    # `req` insists on a section of a configuration file; the options say all that would be in it.
    (folder / "openssl.cnf").write_text("[req]\ndistinguished_name=name\n[name]\n")
    environment["OPENSSL_CONF"] = str(folder / "openssl.cnf")
    try:
        done = subprocess.run(["openssl", *arguments], cwd=folder, env=environment, capture_output=True, check=False)
    except FileNotFoundError as error:
        raise HostCannot("TLS needs the program openssl", hint="install the package openssl") from error
    if done.returncode:
        raise HostCannot(f"openssl {arguments[0]} failed: {done.stderr.decode(errors='replace').strip()}")
