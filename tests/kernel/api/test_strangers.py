"""Who is let in by the API server, and what hostile clients can do to it: it lives on, and its memory stays bounded."""

from __future__ import annotations

import base64
import contextlib
import encodings.idna  # noqa: F401 - the other user cannot read where it lies
import http.client
import json
import os
import re
import socket
import ssl
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from netlab.api.tls import certificates
from netlab.runtime import lab as labs
from netlab.runtime.client import apiserver

pytestmark = pytest.mark.kernel
CONFIGMAPS = "/api/v1/namespaces/default/configmaps"
JSON, YAML = {"Content-Type": "application/json"}, {"Content-Type": "application/apply-patch+yaml"}


class Server:
    """The server of a lab, as clients of several kinds reach it."""

    def __init__(self, config: Path) -> None:
        self.config = config
        document = json.loads(config.read_text())
        self.user = document["users"][0]["user"]
        self.port = int(document["clusters"][0]["cluster"]["server"].rpartition(":")[2])
        process = apiserver.recorded(config.parent)
        assert process is not None
        self.pid = process.pid

    def context(self, certificate: str = "", key: str = "") -> ssl.SSLContext:
        """For a client with this certificate; with the kubeconfig's by default."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        texts = (
            [certificate, key]
            if certificate
            else [base64.b64decode(self.user[f"client-{name}-data"]).decode() for name in ("certificate", "key")]
        )
        with tempfile.NamedTemporaryFile("w", suffix=".pem") as file:
            file.write("".join(texts))
            file.flush()
            context.load_cert_chain(file.name)
        return context

    def ask(self, context: ssl.SSLContext, path: str, method: str = "GET", body: bytes = b"",
            headers: dict[str, str] | None = None) -> tuple[int, str]:  # fmt: skip
        connection = http.client.HTTPSConnection("127.0.0.1", self.port, context=context, timeout=60)
        try:
            connection.request(method, path, body or None, headers or {})
            response = connection.getresponse()
            return response.status, response.read().decode()
        finally:
            connection.close()

    def resident(self) -> int:
        """KiB of memory."""
        return int(re.findall(r"VmRSS:\s+(\d+)", Path(f"/proc/{self.pid}/status").read_text())[0])


@pytest.fixture(scope="module")
def server(kit: Any) -> Iterator[Server]:
    name = f"str{os.getpid()}"
    kit.up(kit.spec(name))
    yield Server(apiserver.ensure(name))
    labs.down(name)
    assert kit.remains(name) == []


@pytest.fixture
def alive(server: Server) -> Iterator[None]:
    """The server answers its owner before and after, by the same process."""
    yield
    assert server.ask(server.context(), "/readyz") == (200, "ok")
    assert apiserver.recorded(server.config.parent) is not None
    assert "Traceback" not in (server.config.parent / "api.log").read_text()


def anonymous() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def as_another_user(run: Callable[[], str]) -> str:
    """What a function returns in a process of the user with the number 65534."""
    read, write = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of a fork beside threads: none of them has a lock here
        pid = os.fork()
    if pid == 0:
        try:
            os.setgroups([])
            os.setresgid(65534, 65534, 65534)
            os.setresuid(65534, 65534, 65534)
            os.write(write, run().encode())
        except BaseException as error:  # noqa: BLE001 - the child of a fork ends here
            os.write(write, repr(error).encode())
        finally:
            os._exit(0)
    os.close(write)
    with open(read) as stream:
        text = stream.read()
    os.waitpid(pid, 0)
    return text


@pytest.mark.usefixtures("alive")
def test_no_other_user_of_the_machine_is_let_in(server: Server) -> None:
    foreign = certificates()  # the same names, signed by another authority
    stranger, forger = anonymous(), server.context(foreign.client, foreign.client_key)

    def forged() -> str:
        try:
            return str(server.ask(forger, "/version"))
        except (ssl.SSLError, ConnectionError, http.client.HTTPException):
            return "refused"

    def everything() -> str:
        results = []
        for path in (server.config, server.config.parent / "api.json", server.config.parent / "api.log"):
            with contextlib.suppress(PermissionError):
                results.append(path.read_text())
        tokens = [
            {},
            {"Authorization": "Bearer "},
            {"Authorization": "Bearer guess"},
            {"Authorization": "Basic cm9vdDo="},
        ]
        paths = (
            "/version",
            "/api/v1/pods",
            "/api/v1/namespaces/default/pods/client/exec?command=id",
            "/nothing",
            "/healthz",
        )
        codes = {server.ask(stranger, path, headers=headers)[0] for path in paths for headers in tokens}
        return json.dumps([results, sorted(codes), forged()])

    assert json.loads(as_another_user(everything)) == [[], [401], "refused"]


@pytest.mark.usefixtures("alive")
def test_it_listens_on_the_loopback_of_version_4_alone(server: Server) -> None:
    inodes = set()
    for path in Path(f"/proc/{server.pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            inodes |= set(re.findall(r"socket:\[(\d+)\]", os.readlink(path)))
    rows = [line.split() for name in ("tcp", "tcp6", "udp", "udp6")
            for line in Path(f"/proc/{server.pid}/net/{name}").read_text().splitlines()[1:]]  # fmt: skip
    listening = [row[1] for row in rows if row[9] in inodes and row[3] == "0A"]
    assert listening == [f"0100007F:{server.port:04X}"]
    status = server.config.stat()
    assert (status.st_mode & 0o7777, status.st_uid) == (0o600, os.geteuid())


@pytest.mark.usefixtures("alive")
def test_old_versions_of_tls_and_plain_http_are_refused(server: Server) -> None:
    old = server.context()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        old.minimum_version, old.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
    with contextlib.suppress(ssl.SSLError):
        old.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.raises((ssl.SSLError, ConnectionError)):
        server.ask(old, "/version")
    for least in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        context = server.context()
        context.minimum_version = context.maximum_version = least
        assert server.ask(context, "/version")[0] == 200
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as plain:
        plain.sendall(b"GET /version HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        with contextlib.suppress(ConnectionError):
            assert b"HTTP" not in plain.recv(4096)


BOMB = b"a: &a [x, x, x, x, x, x, x, x, x]\n" + b"".join(
    f"{chr(98 + n)}: &{chr(98 + n)} [{', '.join(['*' + chr(97 + n)] * 9)}]\n".encode() for n in range(9)
)
BODIES = {
    "an alias bomb of YAML": (YAML, BOMB),
    "an alias without end": (YAML, b"a: &a [*a]"),
    "YAML nested deeply": (YAML, b"[" * 100_000),
    "YAML mappings nested deeply": (YAML, b"? " * 50_000),
    "JSON nested deeply": (JSON, b'{"a":' * 200_000),
    "JSON nested, and closed": (JSON, b"[" * 900 + b"]" * 900),
    "no UTF-8": (JSON, b'{"metadata": {"name": "\xff\xfe"}}'),
    "half of a character": (JSON, b'{"metadata": {"name": "x"}, "data": {"a": "\\ud800"}}'),
    "a number that JSON does not have": (JSON, b'{"metadata": {"name": "x"}, "data": {"a": NaN}}'),
    "a number that is too large": (JSON, b'{"metadata": {"name": "x"}, "data": {"a": 1e999}}'),
    "a number with many digits": (JSON, b'{"metadata": {"name": "x"}, "data": ' + b"9" * 10_000 + b"}"),
    "protobuf that ends early": (JSON, b"k8s\x00\n\xff\xff\xff\xff\x7f"),
    "zeros": (JSON, bytes(4096)),
    "a list": (JSON, b"[]"),
    "a word": (JSON, b'"word"'),
}


@pytest.mark.usefixtures("alive")
def test_bodies_that_no_client_sends_change_nothing(server: Server) -> None:
    context = server.context()
    before = server.ask(context, CONFIGMAPS)
    for name, (headers, body) in BODIES.items():
        code, text = server.ask(context, CONFIGMAPS, "POST", body, headers)
        assert code in (400, 422), f"{name}: {code} {text}"
        patch = {**headers, "Content-Type": "application/apply-patch+yaml"}
        code, text = server.ask(context, f"{CONFIGMAPS}/x?fieldManager=me", "PATCH", body, patch)
        assert code in (400, 422), f"{name}, applied: {code} {text}"
        assert len(text) < 2000
    assert server.ask(context, CONFIGMAPS)[1].count('"name"') == before[1].count('"name"')


@pytest.mark.usefixtures("alive")
def test_bodies_and_headers_of_any_size(server: Server) -> None:
    context, resident = server.context(), server.resident()
    code, text = server.ask(context, CONFIGMAPS, "POST", b" " * (4 << 20), JSON)
    assert code == 413 and json.loads(text)["kind"] == "Status"
    # A server that refuses a request may close before the client has sent it all.
    closed = ConnectionError, ssl.SSLEOFError
    with contextlib.suppress(*closed):
        assert server.ask(context, "/version", headers={"X-Long": "a" * 100_000})[0] == 400
    with contextlib.suppress(*closed):
        assert server.ask(context, f"/api/v1/namespaces/{'a' * 100_000}/pods")[0] in (400, 414)
    with contextlib.suppress(*closed):  # a stranger's body is not read
        big = {"Content-Length": str(1 << 40)}
        assert server.ask(anonymous(), CONFIGMAPS, "POST", b"x", big)[0] == 401
    assert server.resident() < resident + 100_000


@pytest.mark.usefixtures("alive")
def test_names_that_are_paths_reach_no_file(server: Server) -> None:
    context = server.context()
    for name in ("..%2f..%2fapi.json", "%2e%2e", "..", ".", "a%00b", "a%0ab", "%2fetc%2fpasswd", "A" * 300):
        for path in (f"{CONFIGMAPS}/{name}", f"/api/v1/namespaces/{name}/pods", f"/openapi/v3/{name}",
                     f"/api/v1/namespaces/default/pods/{name}/log"):  # fmt: skip
            code, text = server.ask(context, path)
            assert code in (200, 400, 404) and "root:" not in text, f"{path}: {code} {text}"
    for name in ("../x", "..", "a/b", "a b", "a\n", "A", "", "a" * 254, "\u00e4", 5, None, ["a"], {"a": "b"}):
        body = json.dumps({"metadata": {"name": name}}).encode()
        code, text = server.ask(context, CONFIGMAPS, "POST", body, JSON)
        assert code in (400, 422), f"{name!r}: {code} {text}"


@pytest.mark.usefixtures("alive")
def test_strangers_cannot_keep_the_owner_out(server: Server) -> None:
    """More connections than the server may have descriptors by default, none of which ends its request."""
    context, stranger, resident = server.context(), anonymous(), server.resident()
    with contextlib.ExitStack() as stack:
        for number in range(1500):
            connection = stack.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=60))
            with contextlib.suppress(OSError):
                if number % 10 == 1:  # a greeting that never ends
                    connection.sendall(b"\x16\x03\x01\x02\x00\x01")
                elif number % 10 == 2:
                    secure = stack.enter_context(stranger.wrap_socket(connection))
                    secure.sendall(b"GET /version HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ")
            if number % 500 == 499:
                assert server.ask(context, "/readyz") == (200, "ok")
        assert len(list(Path(f"/proc/{server.pid}/fd").iterdir())) < 400
        assert server.resident() < resident + 60_000
        log = (server.config.parent / "api.log").stat().st_size
        assert log < 100_000


@pytest.mark.usefixtures("alive")
def test_hundreds_of_watches_at_a_time(server: Server) -> None:
    context, resident = server.context(), server.resident()
    with contextlib.ExitStack() as stack:
        watches = []
        for _ in range(100):
            connection = stack.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=60))
            watches.append(stack.enter_context(context.wrap_socket(connection)))
            watches[-1].sendall(b"GET /api/v1/configmaps?watch=1 HTTP/1.1\r\nHost: localhost:1\r\n\r\n")
        for watch in watches:
            assert watch.recv(12) == b"HTTP/1.1 200"
        assert server.resident() < resident + 150_000


def test_certificates_are_forgotten_when_the_server_ends(server: Server) -> None:
    context = server.context()
    assert server.ask(context, "/version")[0] == 200
    lab = server.config.parent.name
    apiserver.dismiss(lab)
    assert not server.config.exists()
    server.__init__(apiserver.ensure(lab))  # type: ignore[misc]  # the same lab, another server
    with pytest.raises((ssl.SSLError, ConnectionError, http.client.HTTPException)):
        server.ask(context, "/version")
    files = [path for path in server.config.parent.rglob("*") if path.is_file()]
    assert [path for path in files if b"PRIVATE KEY" in path.read_bytes()] == []  # the kubeconfig's is encoded


@pytest.mark.usefixtures("alive")
def test_metadata_of_wrong_types_is_refused(server: Server) -> None:
    context = server.context()
    for field, value in {"labels": 5, "annotations": ["a"], "finalizers": "x", "ownerReferences": [1]}.items():
        for metadata in ({"name": "m", field: value}, value):
            body = json.dumps({"metadata": metadata}).encode()
            assert server.ask(context, CONFIGMAPS, "POST", body, JSON)[0] in (400, 422), (field, value)
            for kind in ("application/apply-patch+yaml", "application/merge-patch+json"):
                for name in ("m", "kube-root-ca.crt"):
                    path = f"{CONFIGMAPS}/{name}?fieldManager=me"
                    code, text = server.ask(context, path, "PATCH", body, {"Content-Type": kind})
                    assert code in (400, 404, 422), f"{kind} {name} {metadata}: {code} {text}"
    assert '"m"' not in server.ask(context, CONFIGMAPS)[1]
