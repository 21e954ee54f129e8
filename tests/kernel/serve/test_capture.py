"""A capture on the page: packets as they come, their file, and nothing that goes on without its browser."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import run_netlab
from tests.kit.served import SECONDS, Served

pytestmark = pytest.mark.kernel
BAIT = "<script>alert(1)</script>"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of temporary files of the lab's server, which serves all tests of the module."""
    made = tmp_path_factory.mktemp("server")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", str(made))
        yield made


@pytest.fixture
def page(folder: Path, lab: str) -> Iterator[Served]:
    served = Served(lab)
    served.visit()
    yield served
    served.process.terminate()
    served.process.wait(SECONDS)


def lines(page: Served, connection: HTTPConnection, **asked: str) -> Iterator[dict[str, Any]]:
    """What a capture says, as it says it."""
    given = {"Cookie": page.cookie, "Origin": page.origin}
    connection.request("POST", "/page/v1/capture", json.dumps(asked), given)
    for line in connection.getresponse():
        if line.strip():
            yield json.loads(line)


def test_packets_come_as_they_pass_and_are_in_a_file(page: Served, lab: str) -> None:
    with closing(HTTPConnection(page.name, page.port, timeout=SECONDS)) as connection:
        said = lines(page, connection, at="default/client", filter="tcp port 80")
        begun = next(said)
        assert begun["says"].startswith("capturing at 2 interfaces of 1 namespace")
        run_netlab(
            "exec", "--lab", lab, "client", "--", "sh", "-c", f"echo 'GET /{BAIT} HTTP/1.0' | nc -w1 10.244.2.2 80 || :"
        )
        packet = next(each["packet"] for each in said if BAIT in json.dumps(each))
        assert (packet["place"], packet["interface"], packet["direction"]) == ("client", "eth0", "out")
        assert [layer["name"] for layer in packet["layers"]] == ["Ethernet", "IP", "TCP", "Raw"]
        file = f"/page/v1/capture/file?capture={begun['begun']}"
        assert page.request("GET", file, Cookie=page.cookie)[0] == 404, "it goes on"
        assert page.post("/page/v1/capture/stop", {"capture": begun["begun"]})[0] == 200
        end = list(said)[-1]
        assert end["end"]["count"] > 1
    assert page.request("GET", file)[0] == 401
    with closing(HTTPConnection(page.name, page.port, timeout=SECONDS)) as connection:
        connection.request("GET", file, headers={"Cookie": page.cookie})
        response = connection.getresponse()
        assert response.headers["Content-Disposition"] == f'attachment; filename="{lab}-1.pcapng"'
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert response.read().startswith(b"\n\r\r\n")


def test_what_a_browser_sends_is_no_option_and_no_path(page: Served) -> None:
    for asked in ({"at": "--write=/tmp/x"}, {"at": "default/nobody"}, {"filter": "x" * 600}):
        assert page.post("/page/v1/capture", asked)[0] == 400
    status, text = page.post("/page/v1/capture", {"filter": "--write=/tmp/x"})
    assert (status, "error" in json.loads(text)) == (200, True)
    for name in ("../../api.log", "1/..", "7", ""):
        assert page.request("GET", f"/page/v1/capture/file?capture={name}", Cookie=page.cookie)[0] == 404


def test_a_capture_and_its_file_end_with_the_page(page: Served, lab: str, folder: Path) -> None:
    with closing(HTTPConnection(page.name, page.port, timeout=SECONDS)) as connection:
        said = lines(page, connection)
        next(said)
        assert list(folder.glob("netlab-page-*/*.pcapng"))
        page.process.terminate()
        page.process.wait(SECONDS)
        run_netlab("down", lab)
        list(said)
    assert not list(folder.glob("netlab-page-*"))
