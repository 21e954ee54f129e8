"""Certificates of a lab's API server: made when it starts, by openssl, and forgotten when it ends.

client-go sends no token over plain http, and Node's client refuses http: hence TLS with a client certificate.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import ssl
import subprocess
import tempfile
from collections.abc import Iterable
from ipaddress import ip_address
from pathlib import Path

from netlab.errors import HostCannot
from netlab.tuples import NamedTuple

_DAYS = "30"
_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
# RFC 5280 asks for these, and OpenSSL 3.5, Go and Python 3.13 (VERIFY_X509_STRICT) refuse certificates without.
_AUTHORITY = ("basicConstraints=critical,CA:TRUE", "keyUsage=critical,keyCertSign,cRLSign", "subjectKeyIdentifier=hash")
_LEAF = "basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\nauthorityKeyIdentifier=keyid\n"
_SERVER = f"{_LEAF}subjectAltName=IP:127.0.0.1,DNS:localhost\nextendedKeyUsage=serverAuth\n"
# A browser takes a certificate that signs itself as its own authority.
_PAGE = (
    "basicConstraints=critical,CA:TRUE,pathlen:0",
    "keyUsage=critical,digitalSignature,keyCertSign",
    "extendedKeyUsage=serverAuth",
)
_CLIENT = f"{_LEAF}extendedKeyUsage=clientAuth\n"
#: Whom the client certificate names: root of the lab, in the group that may do all by Kubernetes' bootstrap roles.
_SUBJECT = "/O=system:masters/CN=root"


class Certificates(NamedTuple):
    """PEM texts for the kubeconfig, and the server's context, which asks each client for its certificate."""

    authority: str
    client: str
    client_key: str
    context: ssl.SSLContext


def certificates() -> Certificates:
    """Make a certificate authority, a server's and a client's certificate.  Raises HostCannot without openssl."""
    with tempfile.TemporaryDirectory(prefix="netlab-tls-") as name:
        folder = Path(name)
        added = [word for extension in _AUTHORITY for word in ("-addext", extension)]
        files = ("-keyout", "ca.key", "-out", "ca.crt")
        _openssl(folder, "req", "-x509", *_KEY, *files, "-days", _DAYS, "-subj", "/CN=netlab", *added)
        for each, subject, extensions in (("server", "/CN=netlab", _SERVER), ("client", _SUBJECT, _CLIENT)):
            (folder / f"{each}.ext").write_text(extensions)
            _openssl(folder, "req", *_KEY, *("-keyout", f"{each}.key", "-out", f"{each}.csr"), "-subj", subject)
            signing = ("-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-extfile", f"{each}.ext")
            _openssl(folder, "x509", "-req", *("-in", f"{each}.csr", "-out", f"{each}.crt"), *signing, "-days", _DAYS)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(folder / "server.crt", folder / "server.key")
        context.load_verify_locations(folder / "ca.crt")
        context.verify_mode = ssl.CERT_OPTIONAL  # without one: a Status with 401 instead of a broken connection
        context.set_alpn_protocols(["http/1.1"])
        authority, client, key = ((folder / each).read_text() for each in ("ca.crt", "client.crt", "client.key"))
        return Certificates(authority, client, key, context)


def own_certificate(names: Iterable[str]) -> str:
    """A certificate for a page under these addresses and names, signed by itself, and its key, as PEM.

    Raises HostCannot without openssl.
    """
    subjects = ",".join(f"{'IP' if is_address(name) else 'DNS'}:{name}" for name in names)
    with tempfile.TemporaryDirectory(prefix="netlab-tls-") as name:
        folder = Path(name)
        added = [word for each in (*_PAGE, f"subjectAltName={subjects}") for word in ("-addext", each)]
        _openssl(
            folder,
            "req",
            "-x509",
            *_KEY,
            "-keyout",
            "key",
            "-out",
            "crt",
            "-days",
            _DAYS,
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


def _openssl(folder: Path, *arguments: str) -> None:
    environment = {"PATH": os.environ.get("PATH", os.defpath), "OPENSSL_CONF": os.devnull}
    # `req` insists on a section of a configuration file; the options say all that would be in it.
    (folder / "openssl.cnf").write_text("[req]\ndistinguished_name=name\n[name]\n")
    environment["OPENSSL_CONF"] = str(folder / "openssl.cnf")
    try:
        done = subprocess.run(["openssl", *arguments], cwd=folder, env=environment, capture_output=True, check=False)
    except FileNotFoundError as error:
        raise HostCannot("the API server needs the program openssl", hint="install the package openssl") from error
    if done.returncode:
        raise HostCannot(f"openssl {arguments[0]} failed: {done.stderr.decode(errors='replace').strip()}")


def kubeconfig(lab: str, port: int, made: Certificates) -> str:
    """The kubeconfig of the lab, as JSON, which is YAML too."""
    name = f"netlab-{lab}"
    cluster = {"server": f"https://127.0.0.1:{port}", "certificate-authority-data": _encoded(made.authority)}
    user = {"client-certificate-data": _encoded(made.client), "client-key-data": _encoded(made.client_key)}
    context = {"cluster": name, "user": name, "namespace": "default"}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": name,
        "clusters": [{"name": name, "cluster": cluster}],
        "users": [{"name": name, "user": user}],
        "contexts": [{"name": name, "context": context}],
    }
    return json.dumps(config, indent=2) + "\n"


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
