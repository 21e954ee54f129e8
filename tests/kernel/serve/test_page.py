"""The live page of a lab, by HTTP as a browser speaks it: who is let in, what it shows, and that nothing of it is left."""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from socket import create_connection
from typing import Any

import pytest

from netlab.runtime.client.pageserver import SOCKET
from netlab.runtime.state.rundir import RunDir
from tests.conftest import run_netlab
from tests.kit.served import Served

pytestmark = pytest.mark.kernel
SECONDS = 60  # for a busy machine


@pytest.fixture
def page(lab: str) -> Iterator[Served]:
    served = Served(lab)
    yield served
    served.process.terminate()
    served.process.wait(SECONDS)


def test_only_the_browser_with_the_token_comes_in(page: Served) -> None:
    assert page.request("GET", "/")[0] == 401
    assert page.request("GET", "/page/v1/events")[0] == 401
    assert page.request("GET", "/?token=wrong")[0] == 403
    page.visit()
    assert page.request("GET", f"/?token={page.token}")[0] == 403, "the token is good once"
    assert page.request("GET", f"/?token={page.token}", Cookie=page.cookie)[0] == 303, (
        "the same browser may use it again"
    )
    status, text, response = page.request("GET", "/", Cookie=page.cookie)
    assert (status, "<!doctype html>" in text) == (200, True)
    assert "default-src 'none'" in response.headers["Content-Security-Policy"]
    other = {"Cookie": re.sub("=.*", "=guess", page.cookie)}
    assert page.request("GET", "/app.js", **other)[0] == 401


def test_other_sites_and_other_names_are_refused(page: Served, lab: str) -> None:
    page.visit()
    flow = {"from": "default/client", "to": "default/server"}
    assert page.request("GET", "/", Cookie=page.cookie, Host=f"evil.example:{page.port}")[0] == 421
    assert page.request("GET", "/", Cookie=page.cookie, Host="localhost:1")[0] == 200, "a port that is forwarded"
    for origin in ("http://evil.example", "null", f"http://localhost:{page.port + 1}", f"https://{page.host}"):
        assert page.post("/page/v1/trace", flow, Origin=origin)[0] == 403
    assert page.request("POST", "/page/v1/trace", json.dumps(flow), Cookie=page.cookie)[0] == 403, "no Origin"
    for site in ("cross-site", "same-site"):
        assert page.request("GET", "/app.js", Cookie=page.cookie, Sec_Fetch_Site=site)[0] == 403
    for body in ("", "[]", "{", '{"from": 1, "to": 2}', '{"from": "--pcap=/tmp/x", "to": "default/server"}'):
        assert page.post("/page/v1/trace", body)[0] == 400
    assert page.post("/page/v1/trace", "x" * 100_000)[0] == 413
    assert page.request("GET", "/../api.log", Cookie=page.cookie)[0] == 404
    socket = RunDir(lab).path / SOCKET
    assert socket.stat().st_mode & 0o777 == 0o600


def test_strangers_do_not_keep_the_owner_out(page: Served) -> None:
    page.visit()
    with ExitStack() as strangers:
        for _ in range(300):
            strangers.enter_context(closing(create_connection(("127.0.0.1", page.port), SECONDS)))
        assert page.request("GET", "/", Cookie=page.cookie)[0] == 200


def test_the_page_shows_the_lab_and_what_differs_from_it(page: Served, lab: str) -> None:
    page.visit()
    events = page.events()
    kind, data = next(events)
    assert (kind, data["lab"]) == ("picture", lab)
    assert 'data-key="pod:default/client"' in data["svg"]
    assert next(events) == ("drift", {"marks": [], "foreign": [], "faults": []})
    route = ["ip", "-n", f"{lab}-node-1", "route"]
    subprocess.run([*route, "del", "10.244.2.0/24"], check=True)
    kind, data = next(events)
    (mark,) = data["marks"]
    assert (mark["kind"], mark["verb"], len(mark["line"])) == ("route", "is missing", 5)
    for command in mark["mend"]:
        subprocess.run(["sh", "-c", command], check=True)
    assert next(events) == ("drift", {"marks": [], "foreign": [], "faults": []})

    status, text = page.post("/page/v1/trace", {"from": "default/client", "to": "default/server"})
    answer = json.loads(text)
    assert (status, answer["trace"]["outcome"]) == (200, "open")
    assert [hop["netns"].removeprefix(f"{lab}-") for hop in answer["walk"]["question"]["hops"]][::11] == [
        "client",
        "server",
    ]
    assert len(answer["walk"]["question"]["points"]) > 12
    status, text = page.post("/page/v1/reach", {})
    assert {flow["outcome"] for flow in json.loads(text)["flows"]} == {"open"}


def test_a_page_ends_with_its_command_with_stop_and_with_the_lab(kit: Any, lab_name: str, tmp_path: Path) -> None:
    kit.up(kit.spec(lab_name, dataplane="vxlan"))
    first, second, third = (Served(lab_name) for _ in range(3))
    first.process.terminate()
    first.process.wait(SECONDS)
    while first.is_open():  # the server hears of the end of its command a moment later
        time.sleep(0.05)
    assert second.request("GET", "/")[0] == 401, "the others stay"
    assert run_netlab("serve", "--stop", lab_name).stdout == f"all pages of lab {lab_name} are closed\n"
    assert (second.process.wait(SECONDS), third.process.wait(SECONDS)) == (0, 0)
    last = Served(lab_name)
    last.visit()
    events = last.events()
    assert next(events)[0] == "picture"
    run_netlab("down", lab_name)
    assert last.process.wait(SECONDS) == 0
    assert "down" in [kind for kind, _ in events]
    assert kit.remains(lab_name) == []
    assert "running" in run_netlab("serve", lab_name, check=2).stderr
