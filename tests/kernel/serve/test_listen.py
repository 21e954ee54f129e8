"""A page for other machines: only by TLS, under its own names, and never the Kubernetes API."""

from __future__ import annotations

import asyncio
import socket
import ssl
from pathlib import Path

import pytest

from netlab.runtime.client.certificate import fingerprint, own_certificate
from tests.conftest import run_netlab
from tests.kit.pageterminal import terminal, until
from tests.kit.served import SECONDS, Served

pytestmark = pytest.mark.kernel
ADDRESS = "127.0.0.2"


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tls")
    pem = own_certificate([ADDRESS, "page.example"])
    (folder / "both.pem").write_text(pem)
    split = pem.index("-----BEGIN PRIVATE KEY")
    (folder / "crt.pem").write_text(pem[:split])
    (folder / "key.pem").write_text(pem[split:])
    (folder / "other.pem").write_text(own_certificate(["other.example"])[split - 200 :])
    return folder


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--listen", ADDRESS], "--listen needs TLS"),
        (["--listen", "0.0.0.0"], "--listen needs TLS"),
        (["--listen", "0.0.0.0", "--tls"], "all addresses"),
        (["--listen", "::", "--tls"], "all addresses"),
        (["--listen", "localhost", "--tls"], "no IP address"),
        (["--tls", "--tls-cert", "both.pem"], "take one of them"),
        (["--tls-key", "key.pem"], "belongs to --tls-cert"),
        (["--tls-cert", "missing.pem"], "cannot be read"),
        (["--tls-cert", "crt.pem"], "no certificate with its key"),
        (["--tls-cert", "crt.pem", "--tls-key", "other.pem"], "no certificate with its key"),
    ],
)
def test_a_page_for_other_machines_is_refused_without_a_whole_certificate(
    lab: str, files: Path, options: list[str], words: str
) -> None:
    done = run_netlab("serve", lab, *options, check=2, cwd=files)
    assert words in done.stderr


def test_a_page_by_tls(lab: str, files: Path) -> None:
    trust = ssl.create_default_context(cafile=str(files / "both.pem"))
    page = Served(
        lab, "--listen", ADDRESS, "--tls-cert", str(files / "crt.pem"), "--tls-key", str(files / "key.pem"), tls=trust
    )
    assert page.origin.startswith(f"https://{ADDRESS}:")
    status, _, response = page.request("GET", f"/?token={page.token}")
    assert (status, "Secure" in response.headers["Set-Cookie"]) == (303, True)
    page.cookie = response.headers["Set-Cookie"].partition(";")[0]
    assert page.request("GET", "/", Cookie=page.cookie)[0] == 200
    assert page.request("GET", "/", Cookie=page.cookie, Host="evil.example")[0] == 421
    assert page.post("/page/v1/heal", {}, Origin=f"http://{page.host}")[0] == 403
    for path in ("/api", "/api/v1/pods", "/apis", "/version", "/healthz"):
        assert page.request("GET", path, Cookie=page.cookie)[0] == 404, "the Kubernetes API is not there"
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", page.port))

    async def run() -> None:
        async with terminal(page, "default/client") as opened:
            await until(opened, "# ")

    asyncio.run(run())
    with socket.create_connection((ADDRESS, page.port), SECONDS) as plain:
        plain.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"HTTP" not in plain.recv(100)
    page.process.terminate()
    page.process.wait(SECONDS)


def test_a_certificate_that_is_made_has_the_names_of_the_page(lab: str) -> None:
    page = Served(lab, "--listen", "0.0.0.0", "--host", ADDRESS, "--tls")
    assert page.name == ADDRESS, "a browser can go to the address that is printed"
    pem = ssl.get_server_certificate((ADDRESS, page.port))
    assert len(fingerprint(pem)) == 95
    page.tls = ssl.create_default_context(cadata=pem)
    assert page.request("GET", f"/?token={page.token}")[0] == 303, "the certificate fits the address"
    page.process.terminate()
    page.process.wait(SECONDS)
