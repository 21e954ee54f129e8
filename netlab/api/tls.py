"""Certificates of a lab's API server: made when it starts, by openssl, and forgotten when it ends.

client-go sends no token over plain http, and Node's client refuses http: hence TLS with a client certificate.
"""

from __future__ import annotations

import base64
import json
import ssl
import tempfile
from pathlib import Path

from netlab.runtime.client.certificate import DAYS, KEY, openssl
from netlab.tuples import NamedTuple

# RFC 5280 asks for these, and OpenSSL 3.5, Go and Python 3.13 (VERIFY_X509_STRICT) refuse certificates without.
_AUTHORITY = ("basicConstraints=critical,CA:TRUE", "keyUsage=critical,keyCertSign,cRLSign", "subjectKeyIdentifier=hash")
_LEAF = "basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\nauthorityKeyIdentifier=keyid\n"
_SERVER = f"{_LEAF}subjectAltName=IP:127.0.0.1,DNS:localhost\nextendedKeyUsage=serverAuth\n"
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
        openssl(folder, "req", "-x509", *KEY, *files, "-days", DAYS, "-subj", "/CN=netlab", *added)
        for each, subject, extensions in (("server", "/CN=netlab", _SERVER), ("client", _SUBJECT, _CLIENT)):
            (folder / f"{each}.ext").write_text(extensions)
            openssl(folder, "req", *KEY, *("-keyout", f"{each}.key", "-out", f"{each}.csr"), "-subj", subject)
            signing = ("-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-extfile", f"{each}.ext")
            openssl(folder, "x509", "-req", *("-in", f"{each}.csr", "-out", f"{each}.crt"), *signing, "-days", DAYS)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(folder / "server.crt", folder / "server.key")
        context.load_verify_locations(folder / "ca.crt")
        context.verify_mode = ssl.CERT_OPTIONAL  # without one: a Status with 401 instead of a broken connection
        context.set_alpn_protocols(["http/1.1"])
        authority, client, key = ((folder / each).read_text() for each in ("ca.crt", "client.crt", "client.key"))
        return Certificates(authority, client, key, context)


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
